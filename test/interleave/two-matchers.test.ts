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
    await holds(
      race,
      random({ schedules: 1500 }),
      everyAccess(['shared/slot.ts', 'shared/line.ts', 'shared/lending.ts', 'shared/succession.ts']),
    );
  });

  caught(
    race,
    exhaustive(),
    mutant(
      'a grant that stores',
      'shared/line.ts',
      'return this.#swap(cell, waiting, withSlot(waiting, GRANTED, slot));',
      'Atomics.store(this.#words, this.#at.cells + cell, withSlot(waiting, GRANTED, slot));\n    return true;',
    ),
    mutant('a matcher that keeps what nobody wants', 'shared/lending.ts', 'slots.putBack(slot, this.me);', ';'),
    mutant(
      'a take that stores',
      'shared/slot.ts',
      'return this.swap(slot, idle, inState(idle, TAKEN, me) | FLAG);',
      'Atomics.store(this.words, this.at(slot), inState(idle, TAKEN, me) | FLAG);\n    return true;',
    ),
  );
});
