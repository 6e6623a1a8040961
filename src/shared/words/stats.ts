/** The figures of a pool, read from shared memory. */

import {
  TALLY_ACQUIRED,
  TALLY_CREATED,
  TALLY_DESTROYED,
  TALLY_FACTORY_FAILURES,
  TALLY_RECLAIMED,
  TALLY_REJECTED,
  TALLY_RELEASED,
  TALLY_TIMED_OUT,
} from '../layout.ts';
import type { PoolStats } from '../types.ts';
import type { ControlBlock } from './control-block.ts';

/** All but what the pool itself has to say. */
export function figuresOf(block: ControlBlock): Omit<PoolStats, 'name' | 'state' | 'closed'> {
  const { count, idle } = block.census.count();
  const sums = block.tallies.sums();
  return {
    min: block.constants.min,
    max: block.constants.max,
    count,
    idle,
    active: count - idle,
    waiting: block.line.waiting(),
    threads: block.threads.attached(),
    acquired: sums[TALLY_ACQUIRED],
    released: sums[TALLY_RELEASED],
    created: sums[TALLY_CREATED],
    destroyed: sums[TALLY_DESTROYED],
    timedOut: sums[TALLY_TIMED_OUT],
    rejected: sums[TALLY_REJECTED],
    factoryFailures: sums[TALLY_FACTORY_FAILURES],
    reclaimed: sums[TALLY_RECLAIMED],
    waitTime: block.waitTimes.read(),
    holdTime: block.holdTimes.read(),
  };
}
