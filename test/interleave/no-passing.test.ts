// Nobody takes an idle slot past a line that is not empty: Actor#tryBorrow looks whether somebody waited all the while.
import { Actor, type PoolContext, release, rounds, wait } from './actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

const tries = (context: PoolContext): void => {
  const actor = new Actor(context);
  for (let i = 0; i < 2; i++) actor.spend(actor.tryBorrow());
};

const race = poolRace(
  import.meta.url,
  'the fast path against the line',
  { held: [1], waiting: [2] },
  { threads: { holder: release(0), waiter: wait(0), tries, joins: rounds(1) } },
);

describe('nobody passes the line', () => {
  test('every schedule with one preemption', async () => {
    expect((await holds(race, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  test('random schedules', async () => {
    await holds(race, random({ schedules: 1500 }));
  });

  const blind = mutant(
    'the fast path does not look at the line',
    'Lending.tryBorrow',
    'this.$WORDS[$STATE_WORD] | this.$LEFT | (this.$WORDS[$LINE_WORD] & $NOT_EMPTY)',
    'this.$WORDS[$STATE_WORD] | this.$LEFT',
  );
  caught(race, exhaustive(), blind);
});
