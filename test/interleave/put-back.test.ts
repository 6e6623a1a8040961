// A joiner that finds the only slot TAKEN relies on its flag: whoever puts it back has to look at the line again.
import { join, leave, release } from './actor.ts';
import { caught, describe, everyAccess, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

const race = poolRace(
  import.meta.url,
  'a slot is put back while somebody joins',
  { held: [1], waiting: [2] },
  { threads: { holder: release(0), leaver: leave(0), joiner: join } },
);

describe('a slot is put back while somebody joins', () => {
  test('every schedule with two preemptions', async () => {
    expect((await holds(race, exhaustive())).complete).toBe(true);
  });

  test('random schedules in which plain reads are steps', async () => {
    await holds(race, random({ schedules: 1000 }), everyAccess(['Slots', 'Line', 'Lending', 'Matching', 'FifoCursor']));
  });

  caught(
    race,
    exhaustive(),
    mutant(
      'who puts back does not look again',
      'Matching.serve',
      'if ($SLOT !== $NONE) this.$GRANT($SLOT); else if (!this.$FLAG_ALL()) return this.$MAY_GROW();',
      'if ($SLOT !== $NONE) { if (!this.$GRANT($SLOT)) return false; } else if (!this.$FLAG_ALL()) return this.$MAY_GROW();',
    ),
    mutant('nobody puts back', 'Matching.grant', '$SLOTS.$PUT_BACK($SLOT, this.$ME)', ''),
  );
});
