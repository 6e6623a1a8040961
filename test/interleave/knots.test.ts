// A thread looks for deadlocks while others give back and stand in line again. There never is one, so it must never see one, whatever
// falls between its readings.
import { Actor, type PoolContext, release, wait } from './actor.ts';
import { caught, describe, everyAccess, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

/** Gives back what it holds, and then sleeps in line for more. */
const again = (context: PoolContext): void => {
  release(0)(context);
  const actor = new Actor(context);
  const join = actor.lending.join.bind(actor.lending);
  actor.lending.join = () => join(context.code.cells.MARK_SYNC);
  actor.spend(actor.wait(actor.join()));
};

const looks = (context: PoolContext): void => {
  const { block } = new Actor(context).lending;
  const observation = new context.code.Observation('pool', block, () => false);
  const knots = context.code.knotsOver([observation]);
  context.assert(knots.length === 0, `a knot that is none: ${knots[0]?.text}`);
};

const race = poolRace(
  import.meta.url,
  'a look for deadlocks',
  { held: [1], waiting: [2] },
  { threads: { holder: again, waiter: wait(0), looks } },
);

describe('a look for deadlocks', () => {
  test('every schedule with two preemptions', async () => {
    expect((await holds(race, exhaustive())).complete).toBe(true);
  });

  test('random schedules in which plain reads are steps', async () => {
    await holds(race, random({ schedules: 1500 }), everyAccess(['Slots', 'Line']));
  });

  caught(
    race,
    exhaustive(),
    mutant(
      'one reading is believed',
      'knotsOver',
      'let $FOUND = findKnots(pools.map(($POOL) => $POOL.standing()));',
      'return findKnots(pools.map((pool) => pool.standing()));',
    ),
  );
});
