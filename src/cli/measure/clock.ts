/** One monotonic clock for all threads. performance.now() starts at zero on each thread; hrtime does not, but costs more. */
const origin = findOrigin();

/** Reads both clocks several times. The closest pair counts: the first read of either takes a millisecond, in which Node loads it. */
function findOrigin(): number {
  let best = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < 20; i++) best = Math.max(best, Number(process.hrtime.bigint()) / 1e6 - performance.now());
  return best;
}

/** Milliseconds, with fraction. Comparable between the threads of a process, to about a microsecond. */
export function now(): number {
  return origin + performance.now();
}

/** Spins for so many milliseconds of wall-clock time: this is what a borrower does with what it has borrowed. */
export function spin(ms: number): void {
  if (ms === 0) return;
  const end = performance.now() + ms;
  while (performance.now() < end);
}
