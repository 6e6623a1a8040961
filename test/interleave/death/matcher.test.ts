import { release, wait } from '../actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from '../explorer/testing.ts';
import { repairByOwner } from '../owner.ts';
import { poolRace } from '../pool.ts';

const race = poolRace(
  import.meta.url,
  'the one who gives back and matches dies',
  { held: [1], waiting: [2, 3] },
  { threads: { matcher: release(0), first: wait(0), second: wait(1) }, mortal: ['matcher'], repair: repairByOwner },
);

describe('death of a matcher', () => {
  test('at every step, with one preemption', async () => {
    expect((await holds(race, exhaustive({ preemptions: 1, deaths: 1 }))).complete).toBe(true);
  });

  test('at random', async () => {
    await holds(race, random({ schedules: 1000, deaths: 1 }));
  });

  caught(
    race,
    exhaustive({ preemptions: 1, deaths: 1 }),
    mutant(
      'what it had taken stays taken',
      'repair',
      'if ($SLOT_STATE($WORD) === $TAKEN && !$OWNER.$BLOCK.$SNAPSHOT.$IS_GRANTED($SLOT)) $SLOTS.$UNTAKE($SLOT, $WORD);',
      '',
    ),
    mutant(
      'what it had granted is taken back',
      'repair',
      '!$OWNER.$BLOCK.$SNAPSHOT.$IS_GRANTED($SLOT)',
      '($SLOT < 0 || !$OWNER.$BLOCK.$SNAPSHOT.$IS_GRANTED(-1))',
    ),
    mutant(
      'nobody rings for it',
      'repair',
      'if ($CELL_STATE($WORD) === $GRANTED || $CELL_STATE($WORD) === $FAILED) $OWNER.$WAKE($CELL_THREAD($WORD));',
      'void $FAILED;',
    ),
  );
});
