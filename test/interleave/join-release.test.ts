import { rounds } from './actor.ts';
import { breaks, caught, describe, everyAccess, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

const round = rounds(1);
const race = poolRace(import.meta.url, 'joiners against a release', {}, { threads: { a: round, b: round, c: round } });

describe('joiners against a release: three threads, one slot', () => {
  test('every schedule with two preemptions', async () => {
    expect((await holds(race, exhaustive())).complete).toBe(true);
  });

  test('random schedules in which plain reads are steps', async () => {
    await holds(
      race,
      random({ schedules: 1500, style: 'uniform' }),
      everyAccess(['shared/slot.ts', 'shared/line.ts', 'shared/lending.ts', 'shared/succession.ts']),
    );
  });

  test('caught: a match that flags nothing', async () => {
    const bad = mutant(
      'no flag',
      'shared/lending.ts',
      'if (slots.flag(slot) === FOUND_IDLE) idle = true;',
      'if (slotState(slots.load(slot)) === IDLE) idle = true;',
    );
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('deadlock');
  });

  test('caught: a flagged return that does not match', async () => {
    const bad = mutant(
      'no match on return',
      'shared/lending.ts',
      'if (!slots.giveBackFlagged(slot, lease)) return;\n    this.match();',
      'if (!slots.giveBackFlagged(slot, lease)) return;',
    );
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('deadlock');
  });

  test('caught: a joiner that does not look again when it has flagged', async () => {
    const bad = mutant(
      'one look',
      'shared/lending.ts',
      'else if (!this.flagAll()) return this.mayGrow();',
      'else {\n        this.flagAll();\n        return this.mayGrow();\n      }',
    );
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('deadlock');
  });

  test('caught: a sleeper that reads its bell after it has looked', async () => {
    const bad = mutant(
      'reads late',
      'shared/blocking.ts',
      'bells.sleep(lending.me, seen, Math.min(left, SLICE));',
      'bells.sleep(lending.me, bells.read(lending.me), Math.min(left, SLICE));',
    );
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('deadlock');
  });

  caught(
    race,
    exhaustive(),
    mutant(
      'a cell is claimed by a store',
      'shared/line.ts',
      'return cellState(word) === FREE && this.#swap(cell, word, (word & VERSION_MASK) | (me << THREAD_SHIFT) | JOINING);',
      'if (cellState(word) !== FREE) return false;\n    Atomics.store(this.#words, this.#at.cells + cell, (word & VERSION_MASK) | (me << THREAD_SHIFT) | JOINING);\n    return true;',
    ),
  );
});
