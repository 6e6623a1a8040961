import { rounds } from './actor.ts';
import { caught, describe, everyAccess, exhaustive, expect, holds, mutant, random, test, together } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

const round = rounds(1);
const threads = { a: round, b: round, c: round };
const race = poolRace(import.meta.url, 'three threads as everything wraps', { nearEnd: true }, { threads });
const fresh = poolRace(import.meta.url, 'three threads, an epoch that stands still', {}, { threads });

describe('versions, tickets and epochs wrap around', () => {
  test('every schedule with two preemptions', async () => {
    expect((await holds(race, exhaustive())).complete).toBe(true);
  });

  test('random schedules in which plain reads are steps', async () => {
    await holds(race, random({ schedules: 1500 }), everyAccess(['Slots', 'Line', 'Lending', 'Matching', 'FifoCursor']));
  });

  caught(
    race,
    exhaustive(),
    mutant(
      'tickets are compared as numbers',
      'Line.scanOldest',
      '($COUNTER - this.$WORDS[$TICKETS + $CELL]) | 0',
      '$COUNTER - this.$WORDS[$TICKETS + $CELL]',
    ),
  );

  // An epoch that came round while somebody slept: the second look in `empty` is for that.
  const still = mutant('the epoch stands still', 'nextEpoch', '(($LINE & $EPOCH_MASK) + $EPOCH_ONE) | 0', '$LINE & $EPOCH_MASK');
  test('the epoch comes round while the line is emptied: the second look sees it', async () => {
    await holds(fresh, exhaustive(), still);
  });
  const noSecondLook = mutant(
    'and there is no second look',
    'Line.empty',
    'if (this.$SCAN($LINE) === $NO_WAITER) return true;',
    'return true;',
  );
  caught(
    fresh,
    exhaustive({ preemptions: 3, atMost: 60_000 }),
    together('the epoch came round, and nobody looks twice', still, noSecondLook),
  );
});
