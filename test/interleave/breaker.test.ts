import type { PoolContext } from './actor.ts';
import { borrowerOf, REFUSED } from './borrower.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

/** Served or refused: anything else is an error, and who is forgotten sleeps for ever. */
const borrower = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.spend(pool.acquireSync());
};

const opensAndCloses = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.deactivate();
  pool.activate();
  pool.release(0);
};

const race = poolRace(
  import.meta.url,
  'the breaker opens and closes while somebody joins',
  { held: [2] },
  { threads: { borrower, opensAndCloses } },
);

const opens = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.deactivate();
  pool.release(0);
};

const opening = poolRace(import.meta.url, 'the breaker opens while somebody joins', { held: [2] }, { threads: { borrower, opens } });

/**
 * An eviction that was interrupted may yet meet somebody who came after the breaker was closed again: allowed, and said so at
 * CircuitBreaker.deactivate. But nobody is left behind, and what is idle can be had when everybody has gone.
 */
const closes = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.activate();
  const slot = pool.acquireSync();
  context.assert(slot >= 0 || slot === REFUSED, `neither served nor refused: ${slot}`);
  pool.spend(slot);
};

const late = poolRace(
  import.meta.url,
  'somebody joins while an eviction is under way',
  { held: [1] },
  { threads: { opens, closes, borrower } },
);

describe('the breaker', () => {
  test.each([race, opening])('$name: every schedule with three preemptions', async (of) => {
    expect((await holds(of, exhaustive({ preemptions: 3 }))).complete).toBe(true);
  });

  test('joining during an eviction: schedules with one preemption, random ones', async () => {
    expect((await holds(late, exhaustive({ preemptions: 1 }))).complete).toBe(true);
    await holds(late, random({ schedules: 1000 }));
  });

  caught(
    race,
    exhaustive({ preemptions: 3 }),
    // As it was once: the breaker closes in between, and the joiner waits in a cell that it has left.
    mutant(
      'a joiner that leaves, and then reads the state again',
      'Acquiring.enqueue',
      'if ($IS_REFUSING($STATE) && $LENDING.$LEAVE($CELL)) throw this.$REJECTED($REFUSED);',
      'if ($IS_REFUSING(block.$STATE.load()) && $LENDING.$LEAVE($CELL)) this.assertOpen(); void $STATE;',
    ),
  );
  caught(
    opening,
    exhaustive(),
    mutant(
      'a joiner that does not read the state again',
      'Acquiring.enqueue',
      'if ($IS_REFUSING($STATE) && $LENDING.$LEAVE($CELL)) throw this.$REJECTED($REFUSED);',
      'void $STATE;',
    ),
    mutant(
      'an eviction that wakes nobody',
      'Matching.rejectWaiters',
      'if ($FIRST !== undefined && $LINE.$FAIL($FIRST.$CELL, $FIRST.$WORD, $REASON)) this.$WAKE($CELL_THREAD($FIRST.$WORD));',
      'if ($FIRST !== undefined) $LINE.$FAIL($FIRST.$CELL, $FIRST.$WORD, $REASON);',
    ),
  );
});
