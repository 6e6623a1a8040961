// The owner has everything replaced while others borrow, give back, join, or are taken from: all of it goes, once, and nothing is left behind.
import { Actor, type PoolContext, release, rounds } from './actor.ts';
import type { Outcome } from './explorer/scenario.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { NONE_LEFT, Owner } from './owner.ts';
import { type PoolCode, type PoolMemory, poolRace } from './pool.ts';
import { allNew } from './recycled.ts';

const recycles = (context: PoolContext): void => {
  const owner = new Owner(context);
  owner.serve(() => owner.recycle());
};
/** In between others may run. */
const recyclesAndRevokes = (context: PoolContext): void => {
  const owner = new Owner(context);
  owner.serve(() => {
    owner.recycle();
    context.step('takes back what is out');
    owner.revoke(0, 1);
  });
};
/** Gives back what it may not have any more. */
const gives = (context: PoolContext): void => {
  const { lending } = new Actor(context);
  context.step('has had it');
  lending.giveBack(0);
};

const neverNone = (outcome: Outcome<PoolCode, PoolMemory>): void => {
  allNew(outcome);
  outcome.assert(outcome.shared.notes[NONE_LEFT] === 0, 'there was a moment with no resource, though there is room');
};

const borrowed = poolRace(
  import.meta.url,
  'recycled against a borrower, with room for one more',
  { slots: 2, empty: 1 },
  { threads: { borrows: rounds(1) }, daemons: { owner: recycles }, after: neverNone },
);
const returned = poolRace(
  import.meta.url,
  'recycled against a return and a joiner',
  { slots: 2, held: [1] },
  { threads: { holder: release(0), joins: rounds(1) }, daemons: { owner: recycles }, after: allNew },
);
const only = poolRace(
  import.meta.url,
  'the only one recycled, against its return and a joiner',
  { held: [1] },
  { threads: { holder: release(0), joins: rounds(1) }, daemons: { owner: recycles }, after: allNew },
);
/** The rest of a return that had looked whether it is to be handed in before that was said: see `Lending.passOn`. */
const passesOn = (context: PoolContext): void => {
  const { lending } = new Actor(context);
  context.step('has looked');
  lending.block.slots.giveBackFlagged(0, lending.leases[0]);
  lending.match();
  lending.matching.callOwner();
};

const again = poolRace(
  import.meta.url,
  'the only one recycled as it is passed on, and a borrower that finds it idle then',
  { held: [1], waiting: [2], left: [0] },
  { threads: { holder: passesOn, borrows: rounds(1) }, daemons: { owner: recycles }, after: allNew },
);
const revoked = poolRace(
  import.meta.url,
  'recycled against a revocation, a return and a joiner',
  { slots: 2, held: [1] },
  { threads: { gives, joins: rounds(1) }, daemons: { owner: recyclesAndRevokes }, after: allNew },
);

describe('recycle', () => {
  test('against a borrower: every schedule with two preemptions, with one resource there all the while', async () => {
    expect((await holds(borrowed, exhaustive())).complete).toBe(true);
  });

  test.each([
    ['a return and a joiner', returned],
    ['the return of the only one, and a joiner', only],
    ['a revocation, a return and a joiner', revoked],
  ])('against %s: every schedule with one preemption, and at random', async (_, race) => {
    expect((await holds(race, exhaustive({ preemptions: 1 }))).complete).toBe(true);
    await holds(race, random({ schedules: 800 }));
  });

  test('against a return that had looked before, and a borrower: every schedule with one preemption', async () => {
    expect((await holds(again, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  caught(
    again,
    exhaustive({ preemptions: 1 }),
    mutant('out again, it is not flagged again', 'Turn.acceptSlots', 'this.owned.recall($SLOT);', '{}'),
  );
  caught(
    borrowed,
    exhaustive(),
    mutant(
      'one that is borrowed just then is forgotten',
      'Recycling.proceed',
      'alive--;',
      'if (!slots.check(slot)) continue; alive--; this.#give(slot); continue;',
    ),
  );
  caught(
    only,
    exhaustive({ preemptions: 1 }),
    mutant('what is out is not flagged', 'OwnedSlots.recall', 'if ($SLOTS.flag($SLOT) !== $FOUND_IDLE) return;', 'return;'),
  );
  caught(
    returned,
    random({ schedules: 4000 }),
    mutant('a thread that had begun to pass it on says nothing', 'Lending.passOn', 'this.matching.callOwnerIfDue($SLOT);', ''),
  );
  caught(
    borrowed,
    exhaustive(),
    mutant(
      'old ones go before there is a new one',
      'Recycling.proceed',
      'if (!$PROVED) return this.$PROVE($IDLE, $OUT, $CREATING + $ENDING);',
      'void $PROVED;',
    ),
  );
});
