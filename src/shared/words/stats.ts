/** The figures of a pool, read from shared memory. */

import {
  COUNTER_ACQUIRED,
  COUNTER_CANCELLED,
  COUNTER_CREATED,
  COUNTER_DESTROYED,
  COUNTER_FACTORY_FAILURES,
  COUNTER_RECLAIMED,
  COUNTER_RECYCLED,
  COUNTER_REJECTED,
  COUNTER_RELEASED,
  COUNTER_REVOKED,
  COUNTER_TIMED_OUT,
} from '../layout.ts';
import type { PoolStats } from '../types.ts';
import type { ControlBlock } from './control-block.ts';

/** All but what the pool itself has to say. */
export function figuresOf(block: ControlBlock): Omit<PoolStats, 'name' | 'state' | 'closed' | 'suspended' | 'suspendedBy'> {
  const { count, idle } = block.snapshot.count();
  const sums = block.counters.sums();
  return {
    min: block.limits.min,
    max: block.limits.max,
    ceiling: block.constants.ceiling,
    count,
    idle,
    active: count - idle,
    waiting: block.waiting(),
    threads: block.threads.attached(),
    acquired: sums[COUNTER_ACQUIRED],
    released: sums[COUNTER_RELEASED],
    created: sums[COUNTER_CREATED],
    destroyed: sums[COUNTER_DESTROYED],
    timedOut: sums[COUNTER_TIMED_OUT],
    rejected: sums[COUNTER_REJECTED],
    factoryFailures: sums[COUNTER_FACTORY_FAILURES],
    reclaimed: sums[COUNTER_RECLAIMED],
    revoked: sums[COUNTER_REVOKED],
    cancelled: sums[COUNTER_CANCELLED],
    recycled: sums[COUNTER_RECYCLED],
    waitTime: block.waitTimes.read(),
    holdTime: block.holdTimes.read(),
  };
}
