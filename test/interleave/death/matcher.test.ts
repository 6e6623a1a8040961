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
      'shared/repair.ts',
      'if (slotState(word) === TAKEN && !owner.block.census.isGranted(slot)) slots.repossess(slot, word);',
      '',
    ),
    mutant(
      'what it had granted is taken back',
      'shared/repair.ts',
      'if (slotState(word) === TAKEN && !owner.block.census.isGranted(slot)) slots.repossess(slot, word);',
      'if (slotState(word) === TAKEN && (slot < 0 || !owner.block.census.isGranted(-1))) slots.repossess(slot, word);',
    ),
    mutant(
      'nobody rings for it',
      'shared/repair.ts',
      'if (cellState(word) === GRANTED || cellState(word) === FAILED) owner.wake(cellThread(word));',
      'void FAILED;',
    ),
  );
});
