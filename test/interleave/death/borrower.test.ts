import { release, rounds } from '../actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from '../explorer/testing.ts';
import { repairByOwner } from '../owner.ts';
import { poolRace } from '../pool.ts';

const borrows = poolRace(
  import.meta.url,
  'a borrower dies, another comes',
  {},
  { threads: { victim: rounds(1), other: rounds(1) }, mortal: ['victim'], repair: repairByOwner },
);
const three = poolRace(
  import.meta.url,
  'one of three borrowers dies',
  { slots: 2, held: [1] },
  { threads: { a: release(0), b: rounds(1), c: rounds(1) }, repair: repairByOwner },
);

describe('death of a borrower', () => {
  test('at every step, with one preemption', async () => {
    expect((await holds(borrows, exhaustive({ preemptions: 1, deaths: 1 }))).complete).toBe(true);
  });

  test('one or two of three, at random', async () => {
    await holds(three, random({ schedules: 1500, deaths: 2, style: 'uniform' }));
  });

  caught(
    borrows,
    exhaustive({ preemptions: 1, deaths: 1 }),
    mutant(
      'borrowed slots are forgotten',
      'repair',
      'if ($SLOT_STATE($WORD) === $LEASED && $SLOTS.$SEIZE($SLOT, $LEASE)) $BORROWED.$PUSH({ $SLOT, $LEASE });',
      'void leaseOf;',
    ),
    mutant(
      'its cells are forgotten',
      'repair',
      '$CELL_STATE($WORD) === $FREE || $CELL_THREAD($WORD) !== $DEAD',
      '$CELL_STATE($WORD) === $FREE || $CELL_THREAD($WORD) !== $DEAD || $DEAD > 0',
    ),
  );
});
