/** What a pool is like, and who uses it how. Drawn from a seed. */
import type { Random } from '../soak/random.ts';

/** How a thread uses the pool: asleep or not, or a sleeper beside asynchronous lanes. */
export type Way = 'sync' | 'async' | 'mixed';

export interface Configuration {
  readonly capacity: number;
  /** Resources made up front. */
  readonly min: number;
  /** The owner first, which cannot sleep. A lane is one thing after the other; a thread may have several. */
  readonly ways: readonly Way[];
  readonly lanes: number;
  /** Operations of a lane, what it gives back at the end not counted. */
  readonly length: number;
  readonly beforeAcquire: boolean;
  readonly beforeRelease: boolean;
  /** How likely it is that something is destroyed and not released. */
  readonly destroys: number;
  /** Tickets, versions, epochs and generations begin just before they come round. */
  readonly nearEnd: boolean;
  /** Longest that something is held, or a pause lasts, in microseconds. */
  readonly longest: number;
  /** How likely a thread naps before an atomic operation. */
  readonly restless: number;
}

const WAYS: readonly Way[] = ['sync', 'sync', 'async', 'mixed'];

export function drawConfiguration(random: Random): Configuration {
  const threads = random.from(2, 4);
  const capacity = random.pick([1, 1, 2, 2, 3]);
  const lanes = random.from(1, 2);
  const ways = Array.from({ length: threads }, (_, thread) => (thread === 0 ? 'async' : random.pick(WAYS)));
  return {
    capacity,
    min: random.from(0, capacity),
    ways,
    lanes,
    length: random.from(2, lanes === 1 ? 5 : 3),
    beforeAcquire: random.chance(0.15),
    beforeRelease: random.chance(0.15),
    destroys: random.chance(0.3) ? 0.3 : 0,
    longest: random.pick([0, 5, 30, 200]),
    nearEnd: random.chance(0.3),
    restless: 0,
  };
}
