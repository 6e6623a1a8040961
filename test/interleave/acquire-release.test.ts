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
    await holds(race, random({ schedules: 1500 }), everyAccess(['Slots', 'Line', 'Lending', 'Matching', 'FifoCursor']));
  });

  test('caught: a borrower that looks, then takes', async () => {
    const bad = mutant(
      'borrow stores',
      'Slots.borrowAgain',
      'if (Atomics.compareExchange(this.$WORDS, $AT, $IDLE, $LEASED) !== $IDLE) return false;',
      'if (Atomics.load(this.$WORDS, $AT) !== $IDLE) return false; Atomics.store(this.$WORDS, $AT, $LEASED);',
    );
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('invariant');
  });

  test('caught: a release that overwrites the flag', async () => {
    const bad = mutant(
      'giveBack stores',
      'Slots.giveBack',
      'return Atomics.compareExchange(this.$WORDS, this.$BASE + $SLOT * $SLOT_STRIDE, $LEASE, $IDLE) === $LEASE;',
      'Atomics.store(this.$WORDS, this.at($SLOT), $IDLE); return true;',
    );
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('deadlock');
  });
});
