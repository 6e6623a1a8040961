import { cancel, comeBack, leave, release, wait } from '../actor.ts';
import { breaks, describe, exhaustive, expect, holds, random, test } from '../explorer/testing.ts';
import { repairByOwner } from '../owner.ts';
import { poolRace } from '../pool.ts';

const threads = { holder: release(0), victim: leave(0), next: wait(1) };
const size = { held: [1], waiting: [2, 3] };
const race = poolRace(import.meta.url, 'a waiter dies as it leaves', size, { threads, mortal: ['victim'], repair: repairByOwner });
const back = poolRace(import.meta.url, 'a waiter dies as it leaves or comes back', size, {
  threads: { ...threads, victim: comeBack(0) },
  mortal: ['victim', 'holder'],
  repair: repairByOwner,
});
const cancelled = poolRace(import.meta.url, 'a waiter dies as it cancels', size, {
  threads: { ...threads, victim: cancel(0) },
  mortal: ['victim'],
  repair: repairByOwner,
});
const unrepaired = poolRace(import.meta.url, 'nobody repairs', size, { threads, mortal: ['victim'], bad: true });

describe('death of a waiter that leaves', () => {
  test.each([race, cancelled])('$name: at every step, with one preemption', async (of) => {
    expect((await holds(of, exhaustive({ preemptions: 1, deaths: 1 }))).complete).toBe(true);
  });

  test('leaving, coming back or giving back, at random', async () => {
    await holds(back, random({ schedules: 1500, deaths: 2, style: 'uniform' }));
  });

  test('caught: nobody repairs', async () => {
    await breaks(unrepaired, exhaustive({ preemptions: 1, deaths: 1 }));
  });
});
