// Slot versions: who moves a slot for somebody else (the owner, asked by message) names the lease, and may come too late.
import { Actor, type PoolContext } from './actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test, together } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

const LEASE = 0;

const borrowsTwice = (context: PoolContext): void => {
  const actor = new Actor(context);
  const { leases } = actor.lending;
  const slot = actor.acquire();
  context.shared.notes[LEASE] = leases[slot];
  actor.release(slot);
  actor.round();
};

/** Takes the first lease away, if it still is one. */
const owner = (context: PoolContext): void => {
  const actor = new Actor(context);
  context.step('a message has come');
  const lease = context.shared.notes[LEASE];
  if (lease === 0 || !actor.lending.block.slots.seize(0, lease)) return;
  actor.use(0);
  actor.lending.block.slots.toIdle(0);
  actor.lending.match();
};

const threads = { borrowsTwice, owner };
const race = poolRace(import.meta.url, 'a lease is seized late', {}, { threads });
const wrapping = poolRace(import.meta.url, 'a lease is seized late, as versions wrap', { nearEnd: true }, { threads });

describe('a lease is seized late', () => {
  test.each([race, wrapping])('$name: every schedule with three preemptions', async (of) => {
    expect((await holds(of, exhaustive({ preemptions: 3 }))).complete).toBe(true);
  });

  test('random schedules', async () => {
    await holds(race, random({ schedules: 1000 }));
  });

  caught(
    race,
    exhaustive(),
    together(
      'a slot without versions',
      mutant('', 'slot.nextRound', '(($WORD & $VERSION_MASK) + $VERSION_ONE) | 0', '($WORD & $VERSION_MASK)'),
      mutant('', 'releaseDelta', '$VERSION_ONE - $LEASING($THREAD)', '-$LEASING($THREAD)'),
    ),
  );
  caught(
    race,
    exhaustive(),
    mutant(
      'any lease is seized',
      'Slots.seize',
      'return this.$OWNER_CLAIM($SLOT, $LEASE, $IN_STATE($LEASE, $CHECKING, 0)) || this.$OWNER_CLAIM($SLOT, $LEASE | $FLAG, $IN_STATE($LEASE, $CHECKING, 0));',
      'Atomics.store(this.words, this.at($SLOT), $IN_STATE($LEASE, $CHECKING, 0)); return true;',
    ),
  );
});
