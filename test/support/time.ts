/**
 * Time that passes when a test says so: the timers and the monotonic clock of this thread. Other threads keep to theirs, and so do the bounds of
 * ./wait.ts.
 */
import { onTestFinished, vi } from 'vitest';
import { reachTheCore } from './core-time.ts';
import { pendingUntil, turns } from './wait.ts';

export interface Time {
  /** Lets so many milliseconds pass, and this thread do all that is due by then. */
  pass(ms: number): Promise<void>;
  /** Lets them pass in a hundred steps, and fails if the condition does not hold after one of them. */
  holds(condition: () => unknown, ms: number): Promise<void>;
  /** Lets them pass, and fails if the promise has settled by then. */
  pending(promise: PromiseLike<unknown>, ms: number): Promise<void>;
}

/** From here to the end of the test. Before anything is made that looks at the time. */
export function ownTime(): Time {
  const begun = performance.now();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  reachTheCore();
  onTestFinished(() => {
    vi.useRealTimers();
    reachTheCore();
  });
  // It goes on from where it was: what other threads have written down before is comparable.
  vi.advanceTimersByTime(begun);
  const pass = async (ms: number): Promise<void> => {
    await vi.advanceTimersByTimeAsync(ms);
    await turns();
  };
  return {
    pass,
    async holds(condition, ms) {
      const failure = new Error();
      Error.captureStackTrace(failure);
      for (let step = 1; step <= 100; step++) {
        await vi.advanceTimersByTimeAsync(Math.floor((ms * step) / 100) - Math.floor((ms * (step - 1)) / 100));
        await turns(2);
        if (condition()) continue;
        failure.message = `did not hold for ${ms} ms, but until ${(ms * step) / 100}: ${condition}`;
        throw failure;
      }
    },
    pending: (promise, ms) => pendingUntil(pass(ms), promise),
  };
}
