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
    await holds(race, random({ schedules: 1500, style: 'uniform' }), everyAccess(['Slots', 'Line', 'Lending', 'Matching', 'FifoCursor']));
  });

  test('caught: a match that flags nothing', async () => {
    const bad = mutant('no flag', 'Matching.flagAll', '$SLOTS.$FLAG($SLOT) === $FOUND_IDLE', 'slotState($SLOTS.load($SLOT)) === IDLE');
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('deadlock');
  });

  test('caught: a flagged return that does not match', async () => {
    const bad = mutant(
      'no match on return',
      'Lending.passOn',
      '{ const { slots } = this.$BLOCK; if (!$SLOTS.$GIVE_BACK_FLAGGED($SLOT, $LEASE)) return; this.$MATCH(); this.matching.$CALL_IF_DUE($SLOT); }',
      '{ const { $SLOTS } = this.$BLOCK; if (!$SLOTS.$GIVE_BACK_FLAGGED($SLOT, $LEASE)) return; this.matching.$CALL_IF_DUE($SLOT); }',
    );
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('deadlock');
  });

  test('caught: a joiner that does not look again when it has flagged', async () => {
    const bad = mutant(
      'one look',
      'Matching.serve',
      'if (!this.$FLAG_ALL()) return this.$MAY_GROW();',
      '{ this.$FLAG_ALL(); return this.$MAY_GROW(); }',
    );
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('deadlock');
  });

  test('caught: a sleeper that reads its bell after it has looked', async () => {
    const bad = mutant(
      'reads late',
      'sleepInLine',
      '$BELLS.$SLEEP($LENDING.$ME, $SEEN, Math.min($LEFT, $SLICE))',
      '$BELLS.$SLEEP($LENDING.$ME, $BELLS.read($LENDING.$ME), Math.min($LEFT, $SLICE))',
    );
    expect((await breaks(race, exhaustive(), bad)).kind).toBe('deadlock');
  });

  caught(
    race,
    exhaustive(),
    mutant(
      'a cell is claimed by a store',
      'Line',
      'return $CELL_STATE($WORD) === $FREE && this.$SWAP($CELL, $WORD, ($WORD & $VERSION_MASK) | ($ME << $THREAD_SHIFT) | $JOINING);',
      'if ($CELL_STATE($WORD) !== $FREE) return false; Atomics.store(this.#words, this.#at.cells + $CELL, ($WORD & $VERSION_MASK) | ($ME << $THREAD_SHIFT) | $JOINING); return true;',
    ),
  );
});
