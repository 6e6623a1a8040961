/** A waiter that sleeps: blocks its thread until it is served, or until its time is over. */
import { availableParallelism } from 'node:os';
import { now } from '../clock.ts';
import type { Lending } from '../lending/lending.ts';
import { type Ended, ended, refused, served, TIMED_OUT } from '../lending/outcome.ts';
import { NONE, REASON_NOTHING } from '../words/line.ts';

/**
 * A sleeper looks this often whether there is still an owner, in ms: a thread whose owner died is never rung. A look costs 50 us and
 * more, so that the looks of eight sleepers, four times a second each, show in the processor's time.
 */
export const SLICE = 750;
/** How long a waiter that is alone in the line spins before it sleeps, in ms. Sleeping and waking cost about as much. */
const SPIN = 0.025;
/** The same where the borrower of what it waits for may itself wait for a processor: long enough for holds that are over at once. */
const SHORT_SPIN = 0.006;
const CORES = availableParallelism();

/** By the size of the pool, not by what is out: that changes while one looks. */
export const spinFor = (slots: number, cores: number): number => (slots < cores ? SPIN : SHORT_SPIN);

export interface Sleeper {
  /** Called when it has slept for a while without a ring; may throw to give up (the caller leaves the line). */
  assertOwnerAlive(): void;
  /**
   * Called before each sleep, after the bell was read: throws if the part of the program that sleeps is cancelled (the caller leaves the
   * line).
   */
  assertGoesOn(): void;
  /** Another slot that has become this thread's, and serves this sleeper just as well (see `Waiters.exchange`); or NONE. */
  instead(cell: number): number;
  /** Its time is over, and it is still in line. */
  beforeLeaving(): void;
  /**
   * Asked after each sleep: the cell that it has now. Code of this thread that has run meanwhile, and slept in line itself, may have taken
   * what was granted in the one before. NONE: it has none any more, and gets nothing.
   */
  cellNow(): number;
}

/** What the waiter in `cell` comes to, be it that `instead` has served it. `timeout` in ms, 0: for ever. */
export function sleepInLine(lending: Lending, cell: number, timeout: number, sleeper: Sleeper): Ended | typeof TIMED_OUT {
  const { bells, line, limits } = lending.block;
  const deadline = timeout === 0 ? Number.POSITIVE_INFINITY : now() + timeout;
  // It may have lost its place before it came to sleep.
  if (cell === NONE) return refused(REASON_NOTHING);
  if (line.waiting() === 1) spin(lending, cell, spinFor(limits.max, CORES));
  for (;;) {
    // Read before looking: a ring after this keeps the sleep from beginning.
    const seen = bells.read(lending.me);
    const outcome = lending.collect(cell);
    if (outcome.kind !== 'pending') return outcome;
    const instead = sleeper.instead(cell);
    if (instead !== NONE) return served(instead);
    const left = deadline - now();
    if (left <= 0) {
      sleeper.beforeLeaving();
      return lending.leave(cell) ? TIMED_OUT : ended(lending.collect(cell));
    }
    sleeper.assertGoesOn();
    bells.sleep(lending.me, seen, Math.min(left, SLICE));
    if (bells.read(lending.me) === seen) sleeper.assertOwnerAlive();
    cell = sleeper.cellNow();
    if (cell === NONE) return refused(REASON_NOTHING);
  }
}

function spin(lending: Lending, cell: number, limit: number): void {
  const end = now() + limit;
  while (lending.isWaiting(cell) && now() < end);
}
