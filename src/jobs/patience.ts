/** Waiting for no longer than so long. */
import { clearTimeout, setTimeout } from '../shared/index.ts';

/** The promise's value; or undefined, if it has not come within so many ms. */
export async function patiently<V>(promise: Promise<V>, ms: number): Promise<V | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
