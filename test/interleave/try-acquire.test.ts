import { Actor, type PoolContext, release, rounds, wait } from './actor.ts';
import { borrowerOf } from './borrower.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { serve } from './owner.ts';
import { poolRace } from './pool.ts';

const tries = (context: PoolContext): void => {
  const pool = borrowerOf(context);
  pool.spend(pool.tryAcquireSync());
};

const line = poolRace(
  import.meta.url,
  'a try against the line',
  { held: [1], waiting: [2] },
  { threads: { holder: release(0), waiter: wait(0), tries }, daemons: { owner: serve }, timeouts: ['owner'] },
);

/** Holds the only slot until the one who tries has been told: if that one waits for a return, both wait for ever. */
const keeps = (context: PoolContext): void => {
  const actor = new Actor(context);
  const { notes } = context.shared;
  // The look at the line comes with this step, so that somebody may join before the compare-exchange.
  context.step('begins');
  const slot = actor.acquire();
  while (Atomics.load(notes, 0) === 0) Atomics.wait(notes, 0, 0);
  actor.spend(slot);
};
const impatient = (context: PoolContext): void => {
  tries(context);
  Atomics.store(context.shared.notes, 0, 1);
  Atomics.notify(context.shared.notes, 0);
};
/** The slot is seen to be idle, and is taken before the one who tries has joined. */
const contended = poolRace(
  import.meta.url,
  'a try that comes too late',
  { held: [1] },
  { threads: { holder: release(0), keeps, impatient }, daemons: { owner: serve }, timeouts: ['owner'] },
);
const alone = poolRace(
  import.meta.url,
  'a try against a borrower',
  {},
  { threads: { keeps, impatient }, daemons: { owner: serve }, timeouts: ['owner'] },
);

const two = poolRace(
  import.meta.url,
  'two tries and a borrower',
  {},
  { threads: { tries, tries2: tries, round: rounds(1) }, daemons: { owner: serve }, timeouts: ['owner'] },
);

/** Holds slot 0 or slot 1, and never both: one of them is idle all along. */
const juggle = (context: PoolContext): void => {
  const { block, leases, me } = new Actor(context).lending;
  const { leasedTo, releaseDelta } = context.code.slots;
  let holds = 0;
  let lease = leases[0];
  for (let times = 0; times < 2; times++) {
    block.slots.giveBack(holds, lease, (lease + releaseDelta(me)) | 0);
    holds = 1 - holds;
    lease = block.slots.borrow(holds, leasedTo(me));
  }
  block.slots.giveBack(holds, lease, (lease + releaseDelta(me)) | 0);
};
const looks = (context: PoolContext): void => {
  context.assert(!new Actor(context).lending.block.snapshot.isSupplyExhausted(false), 'it said no, though one was idle all along');
};
const juggled = poolRace(
  import.meta.url,
  'a look at two slots of which one is always idle',
  { slots: 2, held: [1] },
  { threads: { juggle, looks } },
);

/** One place is empty, one slot is given back; one waits. So there is always something for one more. */
const handsOn = (context: PoolContext): void => {
  const { lending } = new Actor(context);
  lending.block.slots.giveBackFlagged(0, lending.forget(0));
  Atomics.store(context.shared.notes, 0, 1);
  lending.match();
};
const looksThen = (context: PoolContext): void => {
  if (Atomics.load(context.shared.notes, 0) === 1) looks(context);
};
const handedOn = poolRace(
  import.meta.url,
  'a look while a slot is on its way to somebody in line',
  { slots: 2, empty: 1, held: [1], waiting: [2] },
  { threads: { handsOn, waiter: wait(0), looksThen } },
);

describe('tryAcquire', () => {
  test('nothing idle at one instant is not nothing idle at each look: every schedule with three preemptions', async () => {
    expect((await holds(juggled, exhaustive({ preemptions: 3 }))).complete).toBe(true);
  });
  caught(
    juggled,
    exhaustive({ preemptions: 3 }),
    mutant('one look', 'Snapshot.isSupplyExhausted', 'if (this.$IS_AS_SEEN()) return true;', 'return true;'),
  );

  test('what a match is about to grant is not gone: every schedule with two preemptions', async () => {
    expect((await holds(handedOn, exhaustive())).complete).toBe(true);
  });
  caught(
    handedOn,
    exhaustive(),
    mutant(
      'what is taken is gone',
      'Snapshot.supply',
      '$STATE === $TAKEN ? this.$GRANTED[$SLOT] === 0 : $STATE !== $LEASED',
      '$STATE !== $TAKEN && $STATE !== $LEASED',
    ),
  );

  test('against the line: every schedule with one preemption', async () => {
    expect((await holds(line, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  test('against a borrower: every schedule with two preemptions', async () => {
    expect((await holds(alone, exhaustive())).complete).toBe(true);
  });

  test('two of them: random schedules', async () => {
    await holds(two, random({ schedules: 1000 }));
  });

  test('too late: random schedules', async () => {
    await holds(contended, random({ schedules: 1500, style: 'uniform' }));
  });

  caught(
    contended,
    random({ schedules: 30_000, style: 'uniform' }),
    mutant('a try that does not ask the owner', 'Acquiring.tryEnqueue', '$LENDING.matching.callOwner();', ''),
    mutant(
      'a try like any other waiter',
      'Acquiring.tryEnqueue',
      'const $CELL = $LENDING.$JOIN($MARK_TRIES);',
      'const $CELL = $LENDING.$JOIN(0);',
    ),
  );
});
