/** Passing time as a borrower does with what it has borrowed. The clock by which it is measured is that of the pool. */
import { performance } from 'node:perf_hooks';

/** Spins for so many milliseconds of wall-clock time. */
export function spin(ms: number): void {
  if (ms === 0) return;
  const end = performance.now() + ms;
  while (performance.now() < end);
}
