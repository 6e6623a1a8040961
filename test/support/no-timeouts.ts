/** The core without its time limits: for what may take as long as a busy machine takes, where the core itself gives up after a while. */
import { onTestFinished, vi } from 'vitest';
import { reachTheCore } from './core-time.ts';

/** From here to the end of the test no setTimeout of this thread runs out. Intervals and the clock go on, and so do the bounds of ./wait.ts. */
export function noTimeouts(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  reachTheCore();
  onTestFinished(() => {
    vi.useRealTimers();
    reachTheCore();
  });
}
