// That who joined first is served first is checked at the end of every race with one slot (atRest in pool.ts). Here it is about who is oldest.
import { comeBack, join, leave, release, wait } from './actor.ts';
import { caught, describe, everyAccess, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

/** The order of the cells is not the order of the line. */
const crossed = poolRace(
  import.meta.url,
  'the head of the line goes to its end',
  { held: [1], waiting: [2, 3] },
  { threads: { holder: release(0), comesBack: comeBack(0), other: wait(1) } },
);

/** Cell 0 is free, somebody waits in cell 1. If that one leaves, both may be taken while a match has looked at one and not yet at the other. */
const behind = poolRace(
  import.meta.url,
  'two join on both sides of a scan',
  { held: [1], waiting: [2, 2], left: [0] },
  { threads: { holder: release(0), leaver: leave(1), early: join, late: join } },
);
const visible = ['Line'];

describe('first come, first served', () => {
  test('the head goes to the end: every schedule with two preemptions', async () => {
    expect((await holds(crossed, exhaustive())).complete).toBe(true);
  });

  test('two join around a scan whose reads are steps: every schedule with one preemption', async () => {
    expect((await holds(behind, exhaustive({ preemptions: 1 }), everyAccess(visible))).complete).toBe(true);
  });

  test('random schedules', async () => {
    await holds(behind, random({ schedules: 1000 }), everyAccess(visible));
  });

  caught(
    crossed,
    exhaustive(),
    mutant('the lowest cell is first', 'keyOf', '($AGES - $AGE) * $CELLS + $CELL', '($AGES - $AGE) * $CELLS + $CELL + 2 ** 48 * $CELL'),
  );
  caught(
    crossed,
    exhaustive(),
    mutant(
      'the youngest is first',
      'FifoCursor.rescan',
      '$KEYS.$SUBARRAY(0, $FOUND).$SORT()',
      '$KEYS.$SUBARRAY(0, $FOUND).$SORT().reverse()',
    ),
  );
  caught(
    crossed,
    exhaustive(),
    mutant(
      'who has come back keeps the place',
      'Line.wordIfStillWaiting',
      'this.$WORDS[this.$AT.$TICKETS + $CELL] === $TICKET',
      '$TICKET !== word',
    ),
  );
  const unlimited = mutant('who joins behind the scan counts', 'Line.scanOldest', '$AGE > 0', '$AGE > -10');
  caught(behind, random({ schedules: 40_000 }), everyAccess(visible, unlimited));
});
