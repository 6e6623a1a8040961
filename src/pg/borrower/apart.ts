/**
 * Calls what is the program's: a listener, a callback. What it throws is told as with pg, as an uncaught exception, and is no part of the
 * steps in which it was called. They go on.
 */
import { setImmediate } from 'node:timers';

export function apart(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}
