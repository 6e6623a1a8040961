// One waiter at the head of the line is patient; behind it others come, give up, and come again.
import { Actor, type PoolContext, release, wait } from './actor.ts';
import { caught, describe, exhaustive, expect, holds, mutant, random, test } from './explorer/testing.ts';
import { poolRace } from './pool.ts';

/** Joins, and may give up; `times` over. */
const churn =
  (times: number) =>
  (context: PoolContext): void => {
    const actor = new Actor(context);
    for (let i = 0; i < times; i++) actor.spend(actor.wait(actor.join(), 10));
  };

const one = poolRace(
  import.meta.url,
  'one is patient, one gives up',
  { held: [1], waiting: [2] },
  { threads: { holder: release(0), patient: wait(0), churner: churn(1) }, timeouts: ['churner'] },
);
const many = poolRace(
  import.meta.url,
  'one is patient, others come and go',
  { held: [1], waiting: [2], maxWaiting: 4, nearEnd: true },
  { threads: { holder: release(0), patient: wait(0), churner: churn(6), churner2: churn(6) }, timeouts: ['churner', 'churner2'] },
);

describe('a patient waiter', () => {
  test('with one that gives up behind it: every schedule with one preemption', async () => {
    expect((await holds(one, exhaustive({ preemptions: 1 }))).complete).toBe(true);
  });

  test('with a dozen that come and go, as everything wraps: random schedules', async () => {
    await holds(many, random({ schedules: 600 }));
  });

  caught(
    many,
    random({ schedules: 20_000 }),
    mutant(
      'the youngest is first',
      'FifoCursor.rescan',
      '$KEYS.$SUBARRAY(0, $FOUND).$SORT()',
      '$KEYS.$SUBARRAY(0, $FOUND).$SORT().reverse()',
    ),
  );
});
