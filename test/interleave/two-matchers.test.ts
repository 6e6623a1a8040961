import { release, wait } from './actor.ts';
import { caught, describe, everyAccess, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

const race = poolRace(
  import.meta.url,
  'two matchers, one waiter',
  { slots: 2, held: [1, 2], waiting: [3] },
  { threads: { a: release(0), b: release(1), waiter: wait(0) } },
);

describe('two matchers, one waiter', () => {
  test('every schedule with two preemptions', async () => {
    expect((await holds(race, exhaustive())).complete).toBe(true);
  });

  test('random schedules in which plain reads are steps', async () => {
    await holds(race, random({ schedules: 1500 }), everyAccess(['Slots', 'Line', 'Lending', 'Matching', 'FifoCursor']));
  });

  caught(
    race,
    exhaustive(),
    mutant(
      'a grant that stores',
      'Line.grant',
      'return this.$SWAP($CELL, $WAITING, $WITH_SLOT($WAITING, $GRANTED, $SLOT));',
      'Atomics.store(this.#words, this.#at.cells + $CELL, $WITH_SLOT($WAITING, $GRANTED, $SLOT)); return true;',
    ),
    mutant('a matcher that keeps what nobody wants', 'Matching.grant', '$SLOTS.$PUT_BACK($SLOT, this.$ME)', ''),
    mutant(
      'a take that stores',
      'Slots.take',
      'return this.$SWAP($SLOT, $IDLE, $IN_STATE($IDLE, $TAKEN, $ME) | $FLAG);',
      'Atomics.store(this.words, this.at($SLOT), $IN_STATE($IDLE, $TAKEN, $ME) | $FLAG); return true;',
    ),
  );
});
