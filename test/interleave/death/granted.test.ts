import { release, wait } from '../actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from '../explorer/testing.ts';
import { repairByOwner } from '../owner.ts';
import { poolRace } from '../pool.ts';

const alone = poolRace(
  import.meta.url,
  'the only waiter dies while it is granted',
  { held: [1], waiting: [2] },
  { threads: { holder: release(0), victim: wait(0) }, mortal: ['victim'], repair: repairByOwner },
);
const race = poolRace(
  import.meta.url,
  'a waiter dies while it is granted',
  { held: [1], waiting: [2, 3] },
  { threads: { holder: release(0), victim: wait(0), next: wait(1) }, mortal: ['victim'], repair: repairByOwner },
);

describe('death of a waiter that is granted', () => {
  test('at every step, with one preemption', async () => {
    expect((await holds(alone, exhaustive({ preemptions: 1, deaths: 1 }))).complete).toBe(true);
  });

  test('at random', async () => {
    await holds(race, random({ schedules: 2000, deaths: 1, style: 'uniform' }));
  });

  caught(
    alone,
    exhaustive({ preemptions: 1, deaths: 1 }),
    mutant(
      'what it was granted is not put back',
      'repair',
      'if ($SLOT_STATE($TAKEN) === $OWN_TAKEN) $SLOTS.$UNTAKE($SLOT, $TAKEN);',
      'void $TAKEN;',
    ),
    mutant(
      'a cell that moves under the repair is let go',
      'repair',
      'if ($LINE.$FREE($CELL, $WORD)) break;',
      '$LINE.$FREE($CELL, $WORD); break;',
    ),
  );
});
