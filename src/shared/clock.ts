/** One monotonic clock for all threads. performance.now() starts at zero on each thread; hrtime does not, but costs more. */
const origin = findOrigin();

/** The closest of several readings: the first of either clock takes a millisecond, in which Node loads it. */
function findOrigin(): number {
  let best = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < 20; i++) best = Math.max(best, Number(process.hrtime.bigint()) / 1e6 - performance.now());
  return best;
}

/** Milliseconds, with fraction, that never go back. What depends on time takes one, so that a test may bring its own. */
export type Clock = () => number;

/** Milliseconds, with fraction. Comparable between the threads of a process, to some microseconds. */
export function now(): number {
  return origin + performance.now();
}

/** `now` as it is kept in a 32-bit word: whole milliseconds modulo 2^32. */
export function stamp(): number {
  return Math.floor(now()) | 0;
}

/** Milliseconds since a stamp. Right as long as they are fewer than 2^31 (24 days). */
export function since(stamped: number): number {
  return Math.max(0, (stamp() - stamped) | 0);
}

/** The longest wait that timers and Atomics.wait take. */
export const LONGEST = 2_147_483_647;
