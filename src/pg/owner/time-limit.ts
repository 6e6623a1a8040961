/** The time limit of what a session does between two borrowers. */
import { clearTimeout, setTimeout } from 'node:timers';

/** Rejects if it takes longer than `limit` ms. 0 and less: no limit. */
export async function inTime<V>(limit: number, what: string, done: Promise<V>): Promise<V> {
  if (limit <= 0) return done;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
  }
}
