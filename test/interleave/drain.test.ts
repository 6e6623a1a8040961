import { type PoolContext, release, wait } from './actor.ts';
import { borrowerOf } from './borrower.ts';
import { emptyWhenClosed } from './closing.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { Owner } from './owner.ts';
import { poolRace } from './pool.ts';

const owner = (context: PoolContext): void => new Owner(context).drain();
const borrows = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.spend(pool.acquireSync());
};

/** Who is in line is served yet. */
const line = poolRace(
  import.meta.url,
  'draining against a release to a waiter',
  { held: [1], waiting: [2] },
  { threads: { holder: release(0), waiter: wait(0), owner }, after: emptyWhenClosed },
);
const late = poolRace(
  import.meta.url,
  'draining against borrowers on their way in',
  { held: [1] },
  { threads: { holder: release(0), borrows, owner }, after: emptyWhenClosed },
);

const alone = poolRace(import.meta.url, 'draining against a borrower', {}, { threads: { borrows, owner }, after: emptyWhenClosed });

describe('drain', () => {
  test.each([line, late])('$name: every schedule with one preemption', async (of) => {
    expect((await holds(of, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  test('random schedules', async () => {
    await holds(late, random({ schedules: 800 }));
  });

  test('against a borrower: every schedule with three preemptions', async () => {
    expect((await holds(alone, exhaustive({ preemptions: 3 }))).complete).toBe(true);
  });
  caught(
    alone,
    exhaustive({ preemptions: 3 }),
    mutant('an owner that flags nothing', 'Turn.clear', '$SLOTS.flag($SLOT) === $FOUND_IDLE', 'slotState($SLOTS.load($SLOT)) === IDLE'),
  );

  caught(
    late,
    exhaustive(),
    mutant(
      'a match that does not tell the owner of the end',
      'Matching.match',
      '$NEEDED || $IS_CLOSED($STATE) || $IS_DRAINING($STATE) || $IS_SUSPENDED($STATE)',
      '$NEEDED || $IS_CLOSED($STATE) || $IS_SUSPENDED($STATE)',
    ),
  );
});
