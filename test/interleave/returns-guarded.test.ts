// With beforeRelease every return is handed in to the owner.
import { rounds } from './actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { serve } from './owner.ts';
import { poolRace } from './pool.ts';

const race = poolRace(
  import.meta.url,
  'every return is handed in',
  { state: ({ state }) => state.RETURNS_GUARDED },
  { threads: { a: rounds(1), b: rounds(1) }, daemons: { owner: serve } },
);

describe('guarded returns', () => {
  test('every schedule with two preemptions', async () => {
    expect((await holds(race, exhaustive())).complete).toBe(true);
  });

  test('random schedules', async () => {
    await holds(race, random({ schedules: 1000 }));
  });

  caught(
    race,
    exhaustive(),
    mutant(
      'handed in without a ring',
      'Lending.returnToOwner',
      'if ($SLOTS.$HAND_IN($SLOT, $LEASE)) this.matching.$CALL_OWNER();',
      '$SLOTS.$HAND_IN($SLOT, $LEASE);',
    ),
    mutant(
      'a bell that rings for sleepers only',
      'ringAt',
      'if ((Atomics.add($WORDS, $AT, $RING) & ($SLEEPING | $LISTENING)) !== 0) Atomics.notify($WORDS, $AT);',
      'if ((Atomics.load($WORDS, $AT) & $SLEEPING) !== 0) { Atomics.add($WORDS, $AT, $RING); Atomics.notify($WORDS, $AT); }',
    ),
  );
});
