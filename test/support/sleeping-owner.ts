/** What goes on while this thread, which is the owner's, does nothing. */
import { until } from './wait.ts';

/**
 * Begins what sets the word to 1 when it has begun, and to 2 (and notifies) when it is through; and blocks this thread meanwhile. False: it
 * was not through within five seconds.
 */
export async function goesOnMeanwhile(begin: (flag: Int32Array<SharedArrayBuffer>) => Promise<unknown>): Promise<boolean> {
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const done = begin(flag);
  await until(() => Atomics.load(flag, 0) >= 1);
  Atomics.wait(flag, 0, 1, 5000);
  const isThrough = Atomics.load(flag, 0) === 2;
  await done;
  return isThrough;
}
