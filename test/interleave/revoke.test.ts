// The owner takes back what a thread has, while that thread gives it back, or dies, and others wait: it goes to one of them, as a new one, and nothing is lost.
import { Actor, type PoolContext, rounds } from './actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { Owner, repairing } from './owner.ts';
import { poolRace } from './pool.ts';

const revokes = (context: PoolContext): void => {
  const owner = new Owner(context);
  owner.serve(() => owner.revoke(0, 1));
};
/** Gives back what it may not have any more. */
const gives = (context: PoolContext): void => {
  const { lending } = new Actor(context);
  context.step('has had it');
  lending.giveBack(0);
};

const released = poolRace(
  import.meta.url,
  'a release against a revocation',
  { held: [1] },
  { threads: { gives }, daemons: { owner: revokes } },
);
const waited = poolRace(
  import.meta.url,
  'a release against a revocation, while one waits',
  { held: [1] },
  { threads: { gives, joins: rounds(1) }, daemons: { owner: revokes } },
);
const dies = poolRace(
  import.meta.url,
  'a borrower that dies against a revocation',
  { held: [1] },
  {
    threads: { victim: gives },
    mortal: ['victim'],
    repair: (context) => repairing(context, (owner) => owner.revoke(0, context.victimIndex + 1)),
  },
);

describe('revoke', () => {
  test('against a release: every schedule with three preemptions', async () => {
    expect((await holds(released, exhaustive({ preemptions: 3 }))).complete).toBe(true);
  });

  test('against a release while one waits: every schedule with one preemption, and at random', async () => {
    expect((await holds(waited, exhaustive({ preemptions: 1 }))).complete).toBe(true);
    await holds(waited, random({ schedules: 800 }));
  });

  test('of a thread that dies, at every step, with one preemption', async () => {
    expect((await holds(dies, exhaustive({ preemptions: 1, deaths: 1 }))).complete).toBe(true);
  });

  caught(
    waited,
    exhaustive({ preemptions: 1 }),
    mutant(
      'a release stores what it has not',
      'Slots.giveBackFlagged',
      'return this.$SWAP($SLOT, $LEASE | $FLAG, $NEXT_ROUND($LEASE, $IDLE));',
      'Atomics.store(this.words, this.at($SLOT), $NEXT_ROUND($LEASE, $IDLE)); return true;',
    ),
  );
});
