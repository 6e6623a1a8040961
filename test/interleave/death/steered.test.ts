// A borrower dies while the owner has everything replaced, or suspends the pool until all is back.
import { type PoolContext, release, rounds } from '../actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from '../explorer/testing.ts';
import { Owner, tellOwner } from '../owner.ts';
import { poolRace } from '../pool.ts';
import { allNew } from '../recycled.ts';

const recycles = (context: PoolContext): void => {
  const owner = new Owner(context);
  owner.serve(() => owner.recycle());
};
const suspends = (context: PoolContext): void => {
  const owner = new Owner(context);
  owner.suspend('returned');
  owner.serve();
};

const recycled = poolRace(
  import.meta.url,
  'a borrower dies while everything is replaced',
  { held: [1] },
  { threads: { victim: release(0) }, daemons: { owner: recycles }, mortal: ['victim'], repair: tellOwner, after: allNew },
);
const suspended = poolRace(
  import.meta.url,
  'a borrower dies while the pool is suspended',
  {},
  { threads: { victim: rounds(1) }, daemons: { owner: suspends }, mortal: ['victim'], repair: tellOwner },
);

/** With another borrower, who must not be left behind. */
const wide = {
  recycled: poolRace(
    import.meta.url,
    'one of two borrowers dies while everything is replaced',
    { slots: 2 },
    {
      threads: { victim: rounds(1), other: rounds(1) },
      daemons: { owner: recycles },
      mortal: ['victim'],
      repair: tellOwner,
      after: allNew,
    },
  ),
  suspended: poolRace(
    import.meta.url,
    'one of two borrowers dies while the pool is suspended',
    {},
    { threads: { victim: rounds(1), other: rounds(1) }, daemons: { owner: suspends }, mortal: ['victim'], repair: tellOwner },
  ),
};

describe('death of a borrower', () => {
  test.each([
    ['against recycle', recycled, wide.recycled],
    ["against suspend until 'returned'", suspended, wide.suspended],
  ])('%s: at every step, with one preemption; with another borrower, at random', async (_, race, other) => {
    expect((await holds(race, exhaustive({ preemptions: 1, deaths: 1 }))).complete).toBe(true);
    await holds(other, random({ schedules: 800, deaths: 1, style: 'uniform' }));
  });

  const forgotten = mutant(
    'borrowed slots are forgotten',
    'repair',
    'if ($SLOT_STATE($WORD) === $LEASED && $SLOTS.$SEIZE($SLOT, $LEASE)) $BORROWED.$PUSH({ $SLOT, $LEASE });',
    'void leaseOf;',
  );
  caught(recycled, exhaustive({ preemptions: 1, deaths: 1 }), forgotten);
  caught(suspended, exhaustive({ preemptions: 1, deaths: 1 }), forgotten);
});
