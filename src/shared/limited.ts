/** A promise, but for no longer than its caller has patience. What becomes of it later is the caller's affair; no rejection of it goes unhandled. */
import { clearTimeout, setTimeout } from 'node:timers';

export function limited<V>(promise: PromiseLike<V>, ms: number, signal: AbortSignal | undefined, late: () => unknown): Promise<V> {
  return new Promise((resolve, reject) => {
    const timer = ms > 0 ? setTimeout(() => end(() => reject(late())), ms) : undefined;
    const aborted = (): void => end(() => reject(signal!.reason));
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      settle();
    };
    signal?.addEventListener('abort', aborted, { once: true });
    if (signal?.aborted) aborted();
    promise.then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    );
  });
}
