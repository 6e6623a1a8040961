import { comeBack, release, wait } from './actor.ts';
import { caught, describe, everyAccess, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

const race = poolRace(
  import.meta.url,
  'a cell is used again under a match',
  { held: [1], waiting: [2, 3] },
  { threads: { holder: release(0), comesBack: comeBack(0), other: wait(1) } },
);

describe('a cell is used again under a match', () => {
  test('every schedule with two preemptions', async () => {
    expect((await holds(race, exhaustive())).complete).toBe(true);
  });

  test('random schedules in which plain reads are steps', async () => {
    await holds(race, random({ schedules: 1500 }), everyAccess(['Slots', 'Line', 'Lending', 'Matching', 'FifoCursor']));
  });

  caught(
    race,
    exhaustive(),
    mutant('a cell without versions', 'line.nextRound', '(($WORD & $VERSION_MASK) + $VERSION_ONE) | 0', '$WORD & $VERSION_MASK'),
  );
});
