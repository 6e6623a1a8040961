import { hrtime } from 'node:process';

/** Milliseconds, the same on every thread: each counts from its own beginning. */
export const timeAt = (now: number): number => performance.timeOrigin + now;

/** Whole milliseconds of a clock that all threads of the process share and that nothing sets. It wraps: only differences mean something. */
export function ticks(): number {
  const [seconds, nanoseconds] = hrtime();
  return (seconds * 1000 + Math.floor(nanoseconds / 1e6)) | 0;
}
