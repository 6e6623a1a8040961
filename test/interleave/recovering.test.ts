// RECOVERING begins while borrowers are on their way: one probe at a time, whose return the owner sees.
import { type PoolContext, release } from './actor.ts';
import { borrowerOf } from './borrower.ts';
import type { Outcome } from './explorer/scenario.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { serve } from './owner.ts';
import { atRest, type PoolCode, type PoolMemory, poolRace } from './pool.ts';

const round = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.spend(pool.acquireSync());
};
const recovers = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.recover();
  pool.spend(pool.acquireSync());
};

/** A probe came back well, and the owner saw it: the breaker has closed again. */
const recovered = (outcome: Outcome<PoolCode, PoolMemory>): void => {
  const { assert, code, shared } = outcome;
  const state = code.ControlBlock.attach(shared.buffer).state.load();
  assert(code.state.breakerOf(state) === code.state.ACTIVE, 'the verdict of the probe is lost');
  atRest(outcome);
};

const race = poolRace(
  import.meta.url,
  'recovery begins while somebody borrows',
  { slots: 1 },
  { threads: { round, recovers }, daemons: { owner: serve }, after: recovered },
);
const waiting = poolRace(
  import.meta.url,
  'recovery begins while a slot is out and somebody waits',
  { held: [1] },
  { threads: { holder: release(0), round, recovers }, daemons: { owner: serve }, after: recovered },
);

describe('RECOVERING', () => {
  test('every schedule with one preemption, random ones', async () => {
    expect((await holds(race, exhaustive({ preemptions: 1 }))).complete).toBe(true);
    await holds(race, random({ schedules: 2000 }));
  });

  test('with a holder: random schedules', async () => {
    await holds(waiting, random({ schedules: 800 }));
  });

  // Random schedules come to it once in ten thousand, all that there are with two preemptions after 15,000: it begins where it is near.
  caught(
    race,
    random({ schedules: 20_000, seed: 9500 }),
    // A borrower that read the state before the guard went up gives back unseen, and the waiter sleeps on beside an idle slot.
    mutant(
      'an owner that flags nothing',
      'HandOuts.meetDemand',
      'this.$LENDING.matching.hasWaiters() && this.$LENDING.matching.flagAll() && this.$WANTS_MORE()',
      'false',
    ),
  );

  caught(
    race,
    exhaustive(),
    mutant(
      'nobody calls the owner',
      'Matching.match',
      'const $NEEDED = this.$SERVE($NEAR);',
      'const $NEEDED = (this.$SERVE($NEAR), false);',
    ),
    mutant(
      'the return of a probe is not guarded',
      'guardsReturns',
      '($STATE & $RETURNS_GUARDED) !== 0 || $BREAKER_OF($STATE) === $RECOVERING',
      '($STATE & $RETURNS_GUARDED) !== 0',
    ),
  );
});
