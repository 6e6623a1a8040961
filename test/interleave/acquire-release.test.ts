import { rounds } from './actor.ts';
import { breaks, describe, everyAccess, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

const race = poolRace(import.meta.url, 'two threads, one slot', {}, { threads: { a: rounds(2), b: rounds(2) } });

describe('acquire and release: two threads, one slot', () => {
  test('every schedule with two preemptions', async () => {
    const { complete } = await holds(race, exhaustive());
    expect(complete).toBe(true);
  });

  test('random schedules', async () => {
    await holds(race, random({ schedules: 2000 }));
  });

  test('random schedules in which plain reads are steps', async () => {
    await holds(
      race,
      random({ schedules: 1500 }),
      everyAccess(['shared/slot.ts', 'shared/line.ts', 'shared/lending.ts', 'shared/succession.ts']),
    );
  });

  test('caught: a borrower that looks, then takes', async () => {
    const bad = mutant(
      'borrow stores',
      'shared/slot.ts',
      'if (Atomics.compareExchange(this.words, at, idle, leased) !== idle) return false;',
      'if (Atomics.load(this.words, at) !== idle) return false;\n    Atomics.store(this.words, at, leased);',
    );
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('invariant');
  });

  test('caught: a release that overwrites the flag', async () => {
    const bad = mutant(
      'giveBack stores',
      'shared/slot.ts',
      'return Atomics.compareExchange(this.words, this.base + slot * SLOT_STRIDE, lease, idle) === lease;',
      'Atomics.store(this.words, this.at(slot), idle);\n    return true;',
    );
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('deadlock');
  });
});
