// A thread dies while the owner runs a call of it. Its record is given to the next thread at once: that one has nothing to do with the call.
import { Actor, type PoolContext } from '../actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from '../explorer/testing.ts';
import { OneShot } from '../one-shot.ts';
import { Owner } from '../owner.ts';
import { poolRace } from '../pool.ts';

/** The thread that calls, and whoever has its record after it. */
const RECORD = 1;

/** notes[0]: what the owner has heard of the caller. */
const HEARD = 0;
const DONE = 1;
const DIED = 2;

const tellOwner = ({ code, shared }: PoolContext, what: number): void => {
  Atomics.store(shared.notes, HEARD, what);
  code.ControlBlock.attach(shared.buffer).bells.ring(0);
};

/** Borrows something itself, while its call is under way; then waits for no answer any more. */
const caller = (context: PoolContext): void => {
  new Actor(context).round();
  tellOwner(context, DONE);
};

/** `settles`: the call ends, though its thread is gone. */
const ownerThat =
  (settles: boolean) =>
  (context: PoolContext): void => {
    const { code, shared } = context;
    const owner = new Owner(context);
    const { bells, threads } = owner.lending.block;
    const call = new OneShot(context, owner, RECORD);
    call.start();
    for (;;) {
      const seen = bells.read(owner.me);
      if (Atomics.load(shared.notes, HEARD) !== 0) break;
      bells.sleep(owner.me, seen, Number.POSITIVE_INFINITY);
    }
    if (Atomics.load(shared.notes, HEARD) === DONE) return call.member.settle(true);
    // As when its port closes.
    call.abandon();
    const borrowed = code.repair(owner.lending, RECORD);
    threads.detach(RECORD);
    for (const { slot } of borrowed) {
      shared.inside[slot] = 0;
      owner.turn.owned.orphaned(slot, true);
    }
    owner.turn.request();
    context.step('the call still runs');
    call.member.settle(settles);
  };

/** Has that record, once it is free. */
const next = ({ assert, code, shared }: PoolContext): void => {
  const { snapshot, threads } = code.ControlBlock.attach(shared.buffer);
  if (threads.isAttached(RECORD)) return;
  const { leases, calls } = snapshot.heldBy(RECORD);
  assert(leases === 0 && calls === 0, 'it is said to have what the thread had that had its record before');
};

const deathWith = (name: string, settles: boolean) =>
  poolRace(
    import.meta.url,
    name,
    { slots: 2, threads: 2 },
    {
      threads: { caller, owner: ownerThat(settles), next },
      mortal: ['caller'],
      repair: (context) => tellOwner(context, DIED),
    },
  );
const ends = deathWith('a thread dies, and its one-shot call ends', true);
const hangs = deathWith('a thread dies, and its one-shot call does not end', false);

describe('death of a thread with a one-shot call', () => {
  test.each([
    ['which ends', ends],
    ['which does not end', hangs],
  ])('%s: at every step, with one preemption; at random', async (_, race) => {
    expect((await holds(race, exhaustive({ preemptions: 1, deaths: 1 }))).complete).toBe(true);
    await holds(race, random({ schedules: 800, deaths: 1, style: 'uniform' }));
  });

  caught(
    ends,
    exhaustive({ preemptions: 1, deaths: 1 }),
    mutant(
      'it is not said that the thread is gone',
      'OneShotCalls.abandon',
      'this.$LENDING.block.slots.actFor($CALL.slot, $BEHALF_GONE);',
      '',
    ),
  );
  caught(
    hangs,
    exhaustive({ preemptions: 1, deaths: 1 }),
    mutant('its slot is given up by nobody', 'OneShotCalls.orphanAfter', 'if (!$SETTLED) this.$ORPHAN($MEMBER, $CALL);', 'void $SETTLED;'),
  );
});
