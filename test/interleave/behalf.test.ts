// SLOT_BEHALF is a plain word beside the slot: it is never believed of a lease that it does not belong to.
import { Actor, type PoolContext } from './actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test, together } from './explorer/testing.ts';
import { OneShot } from './one-shot.ts';
import { Owner } from './owner.ts';
import { poolRace } from './pool.ts';

/** The thread that has sent the call. Nothing of it runs here. */
const CALLER = 2;

/** Runs a call for the caller, and then borrows for itself. */
const owner = (context: PoolContext): void => {
  const owner = new Owner(context);
  const call = new OneShot(context, owner, CALLER);
  context.step('begins');
  call.start();
  call.member.settle(true);
  owner.round();
};

/** What a borrower reads of the caller, for the message of a timeout: if it is said to have a call, that is so at the instant of the last read. */
function look({ assert, code }: PoolContext, { lending }: Actor): void {
  const { slots, snapshot, words } = lending.block;
  const { leases, calls } = snapshot.heldBy(CALLER);
  assert(leases === 0, 'the caller is said to have borrowed a slot itself');
  if (calls === 0) return;
  // Plain reads: nobody runs between the last read of `heldBy` and these.
  const word = words[slots.at(0)];
  const isOut = code.slots.slotState(word) === code.slots.LEASED && code.slots.slotThread(word) === 0;
  assert(isOut && words[slots.at(0) + code.layout.SLOT_BEHALF] === CALLER, 'the caller is said to have a call that has ended');
}

const reader = (context: PoolContext): void => {
  const actor = new Actor(context);
  look(context, actor);
  const slot = actor.acquire();
  context.assert(slot >= 0, `no slot but ${slot}`);
  context.assert(actor.lending.block.slots.behalf(slot) === 0, 'a slot that is borrowed here is the owner’s for another thread');
  actor.spend(slot);
  look(context, actor);
};

const race = poolRace(
  import.meta.url,
  'a one-shot call, and a borrower that asks who has what',
  { threads: 2 },
  { threads: { reader, owner } },
);

describe('on whose behalf', () => {
  test('every schedule with two preemptions', async () => {
    expect((await holds(race, exhaustive())).complete).toBe(true);
  });

  test('random schedules', async () => {
    await holds(race, random({ schedules: 1500 }));
  });

  caught(
    race,
    exhaustive(),
    mutant('it is never said that the call is over', 'OneShotCalls.end', 'this.$LENDING.block.slots.actFor($CALL.slot, 0);', ''),
    mutant(
      'it is said after the slot was given back',
      'OneShotCalls.run',
      'if (this.$END($MEMBER, $CALL)) this.$LENDING.giveBack($SLOT);',
      'this.$LENDING.giveBack($SLOT); this.$END($MEMBER, $CALL);',
    ),
  );
  // The call is seen, it ends, the owner borrows for itself, and that is seen.
  caught(
    race,
    exhaustive({ preemptions: 3 }),
    together(
      'for whom is read before the slot',
      mutant(
        '',
        'Snapshot.heldBy',
        'const $WORD = this.$SLOTS.load($SLOT);',
        'const early = this.$SLOTS.behalf($SLOT); const $WORD = this.$SLOTS.load($SLOT);',
      ),
      mutant('', 'Snapshot.heldBy', '$BORROWER === $OWNER ? this.$SLOTS.behalf($SLOT) : 0', '$BORROWER === $OWNER ? early : 0'),
    ),
  );
});
