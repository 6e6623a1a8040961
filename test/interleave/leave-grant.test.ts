import { Actor, cancel, type PoolContext, release, wait } from './actor.ts';
import { caught, describe, everyAccess, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

/** Times out, or is served after all. */
const impatient = (context: PoolContext): void => {
  const actor = new Actor(context);
  actor.spend(actor.wait(0, 100));
};

const race = poolRace(
  import.meta.url,
  'a waiter gives up while it is granted',
  { held: [1], waiting: [2, 3] },
  { threads: { holder: release(0), impatient, patient: wait(1) }, timeouts: ['impatient'] },
);
const alone = poolRace(
  import.meta.url,
  'the only waiter gives up while it is granted',
  { held: [1], waiting: [2] },
  { threads: { holder: release(0), impatient }, timeouts: ['impatient'] },
);

const cancelled = poolRace(
  import.meta.url,
  'a waiter cancels while it is granted',
  { held: [1], waiting: [2, 3] },
  { threads: { holder: release(0), cancels: cancel(0), patient: wait(1) } },
);

describe('a waiter gives up while it is granted', () => {
  test.each([race, alone, cancelled])('$name: every schedule with two preemptions', async (of) => {
    expect((await holds(of, exhaustive())).complete).toBe(true);
  });

  test('random schedules in which plain reads are steps', async () => {
    await holds(race, random({ schedules: 1000, style: 'uniform' }), everyAccess(['Slots', 'Line', 'Lending', 'Matching', 'FifoCursor']));
  });

  caught(
    alone,
    exhaustive({ preemptions: 3 }),
    mutant(
      'a leaver that does not see that it was granted',
      'Line.leave',
      'return $CELL_STATE($WORD) === $WAITING && $CELL_THREAD($WORD) === $ME && this.$FREE($CELL, $WORD);',
      'Atomics.store(this.#words, this.#at.cells + $CELL, nextRound($WORD)); return true;',
    ),
    mutant(
      'a leaver that is granted and walks off',
      'sleepInLine',
      '$LENDING.$LEAVE($CELL) ? $TIMED_OUT : $ENDED($LENDING.$COLLECT($CELL))',
      '$LENDING.$LEAVE($CELL) ? $TIMED_OUT : $TIMED_OUT',
    ),
  );

  caught(
    cancelled,
    exhaustive({ preemptions: 2 }),
    mutant(
      'a waiter that cancels keeps what it was granted',
      'Lending.withdraw',
      'if (this.$BLOCK.$IS_RETIRED($SLOT)) this.$HAND_IN($SLOT, $LEASE); else this.$PASS_ON($SLOT, $LEASE);',
      'if (this.$BLOCK.$IS_RETIRED($SLOT)) this.$HAND_IN($SLOT, $LEASE);',
    ),
  );
});
