// A waiter that finds an EMPTY slot rings the owner, who makes a resource for whoever is then first.
import { release, rounds } from './actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { serve } from './owner.ts';
import { poolRace } from './pool.ts';

const round = rounds(1);
const race = poolRace(
  import.meta.url,
  'a resource arrives while another comes back',
  { slots: 2, empty: 1, held: [1] },
  { threads: { holder: release(0), joiner: round }, daemons: { owner: serve } },
);
const empty = poolRace(
  import.meta.url,
  'two join an empty pool',
  { slots: 1, empty: 1 },
  { threads: { a: round, b: round }, daemons: { owner: serve } },
);

describe('growth from EMPTY', () => {
  test('a resource arrives while another comes back: every schedule with one preemption', async () => {
    expect((await holds(race, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  test('two join an empty pool: every schedule with one preemption', async () => {
    expect((await holds(empty, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  test('random schedules', async () => {
    await holds(empty, random({ schedules: 1000 }));
  });

  caught(
    empty,
    exhaustive(),
    mutant('a match that does not ask for more', 'Matching.serve', 'return this.$MAY_GROW();', 'return false;'),
    mutant('an offer without the flag', 'Slots.toTakenByOwner', '$IN_STATE($WORD, $TAKEN, 0) | $FLAG', 'nextRound($WORD, IDLE)'),
  );
});
