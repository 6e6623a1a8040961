/** Milliseconds, the same on every thread: each counts from its own beginning. */
export const timeAt = (now: number): number => performance.timeOrigin + now;
