/**
 * Waits for a promise within a timeout and a signal.
 * If it settles later, its value is the caller's to deal with; a late rejection counts as handled.
 */

import { clearTimeout, setTimeout } from '../node.ts';
import { abortReason, SharedAbortListeners } from './abort-signals.ts';

export function limited<V>(promise: PromiseLike<V>, ms: number, signal: AbortSignal | undefined, late: () => unknown): Promise<V> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = (settle: () => void): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      if (signal !== undefined) signals.remove(signal);
      settle();
    };
    const aborted = (): void => end(() => reject(abortReason(signal!)));
    const signals = new SharedAbortListeners(aborted);
    const timer = ms > 0 ? setTimeout(() => end(() => reject(late())), ms) : undefined;
    promise.then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    );
    if (signal === undefined) return;
    try {
      signals.add(signal);
      if (signal.aborted) aborted();
    } catch (error) {
      // A signal that is not Node's may throw.
      end(() => reject(error));
    }
  });
}
