// RECOVERING begins while borrowers are on their way: one probe at a time, whose return the owner sees.
import { type PoolContext, release } from './actor.ts';
import { borrowerOf } from './borrower.ts';
import { breaks, caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { Owner, serve } from './owner.ts';
import { poolRace } from './pool.ts';

const round = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.spend(pool.acquireSync());
};
const recovers = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.recover();
  pool.spend(pool.acquireSync());
};

const race = poolRace(
  import.meta.url,
  'recovery begins while somebody borrows',
  { slots: 1 },
  { threads: { round, recovers }, daemons: { owner: serve } },
);
const waiting = poolRace(
  import.meta.url,
  'recovery begins while a slot is out and somebody waits',
  { held: [1] },
  { threads: { holder: release(0), round, recovers }, daemons: { owner: serve } },
);

/** Flags nothing: who read the state before the guard went up gives back unseen, and the waiter sleeps on beside an idle slot. */
class FlagsNothing extends Owner {
  protected override prepare(): void {
    this.prepareIdle();
  }
}
const unseen = poolRace(
  import.meta.url,
  'recovery begins, and nobody flags',
  {},
  { threads: { round, recovers }, daemons: { owner: (context) => new FlagsNothing(context).serveUntil(() => false) }, bad: true },
);

describe('RECOVERING', () => {
  test('every schedule with one preemption, random ones', async () => {
    expect((await holds(race, exhaustive({ preemptions: 1 }))).complete).toBe(true);
    await holds(race, random({ schedules: 2000 }));
  });

  test('with a holder: random schedules', async () => {
    await holds(waiting, random({ schedules: 800 }));
  });

  test('caught: an owner that flags nothing', async () => {
    expect((await breaks(unseen, exhaustive())).kind).toBe('deadlock');
  });

  caught(
    race,
    exhaustive(),
    mutant('nobody calls the owner', 'Lending.serve', 'true', 'false'),
    mutant(
      'the return of a probe is not guarded',
      'guardsReturns',
      '($STATE & $RETURNS_GUARDED) !== 0 || $BREAKER_OF($STATE) === $RECOVERING',
      '($STATE & $RETURNS_GUARDED) !== 0',
    ),
  );
});
