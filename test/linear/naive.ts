/**
 * A semaphore as one writes it at first: a word for each permit, whoever finds one free takes it, whoever gives one back wakes somebody. It loses nothing and lends nothing
 * twice, but it is not fair: whoever comes by at the right moment passes everybody who sleeps. The checker has to notice.
 */
import type { Subject } from './subject.ts';

const WAKE = 0;
const FIRST_PERMIT = 1;

export const naiveWords = (capacity: number, threads: number): Int32Array =>
  new Int32Array(new SharedArrayBuffer(4 * (FIRST_PERMIT + capacity + threads)));

export function naive(words: Int32Array, capacity: number, thread: number): Subject {
  const announcement = (of: number): number => FIRST_PERMIT + capacity + of;
  const take = (): number | null => {
    for (let permit = 0; permit < capacity; permit++)
      if (Atomics.compareExchange(words, FIRST_PERMIT + permit, 0, thread + 1) === 0) return permit + 1;
    return null;
  };
  const unsupported = (): never => {
    throw new Error('the naive semaphore only sleeps');
  };
  return {
    acquireSync({ timeout }) {
      const end = timeout === 0 ? Number.POSITIVE_INFINITY : performance.now() + timeout;
      for (;;) {
        const seen = Atomics.load(words, WAKE);
        const permit = take();
        if (permit !== null) {
          Atomics.store(words, announcement(thread), 0);
          return permit;
        }
        Atomics.store(words, announcement(thread), 1);
        const left = end - performance.now();
        if (left <= 0) {
          Atomics.store(words, announcement(thread), 0);
          throw Object.assign(new Error('timed out'), { code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
        }
        Atomics.wait(words, WAKE, seen, left);
      }
    },
    tryAcquireSync: take,
    release(permit) {
      Atomics.store(words, FIRST_PERMIT + permit - 1, 0);
      Atomics.add(words, WAKE, 1);
      Atomics.notify(words, WAKE);
    },
    isInLine: (of) => Atomics.load(words, announcement(of)) === 1,
    acquire: unsupported,
    tryAcquire: unsupported,
    destroy: unsupported,
    call: unsupported,
  };
}
