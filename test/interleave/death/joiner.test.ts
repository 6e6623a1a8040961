import { join, release } from '../actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from '../explorer/testing.ts';
import { repairByOwner } from '../owner.ts';
import { poolRace } from '../pool.ts';

const alone = poolRace(
  import.meta.url,
  'the only joiner dies on its way in',
  { held: [1] },
  { threads: { holder: release(0), victim: join }, mortal: ['victim'], repair: repairByOwner },
);
const race = poolRace(
  import.meta.url,
  'a joiner dies on its way in',
  { held: [1] },
  { threads: { holder: release(0), victim: join, other: join }, mortal: ['victim'], repair: repairByOwner },
);

describe('death of a joiner', () => {
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
      'only those who wait are looked for',
      'repair',
      '$CELL_STATE($WORD) === $FREE || $CELL_THREAD($WORD) !== $DEAD',
      '$CELL_STATE($WORD) === $FREE || $CELL_STATE($WORD) === 1 || $CELL_THREAD($WORD) !== $DEAD',
    ),
  );
});
