import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { borrow, expectConsistent, open, workshop } from '../support/pools.ts';
import { thread } from '../support/thread.ts';
import { ownTime } from '../support/time.ts';
import { rejection, settled, until } from '../support/wait.ts';

describe('stats', () => {
  test('of a fresh pool', async () => {
    const pool = await open({ ...workshop(), name: 'db', min: 1, max: 4 });
    expect(pool.stats()).toMatchObject({
      name: 'db',
      state: 'active',
      closed: false,
      min: 1,
      max: 4,
      count: 1,
      idle: 1,
      active: 0,
      waiting: 0,
      acquired: 0,
      released: 0,
      created: 1,
      destroyed: 0,
      timedOut: 0,
      rejected: 0,
      factoryFailures: 0,
      reclaimed: 0,
      waitTime: { count: 0 },
      holdTime: { count: 0 },
    });
  });

  test('agrees with the counts', async () => {
    const pool = await open({ ...workshop(), max: 3 });
    const [a] = await borrow(pool, 3);
    const waiting = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    const { count, idle, active, waiting: line } = pool.stats();
    expect([count, idle, active, line]).toEqual([pool.count(), pool.idleCount(), pool.activeCount(), pool.waitingCount()]);
    expect([count, idle, active, line]).toEqual([3, 0, 3, 1]);
    pool.release(a!);
    await settled(waiting);
  });

  test('acquired minus released is what is out', async () => {
    const pool = await open({ ...workshop(), max: 5 });
    const things = await borrow(pool, 5);
    expect(pool.stats()).toMatchObject({ acquired: 5, released: 0 });
    pool.release(things[0]!);
    pool.release(things[1]!);
    pool.destroy(things[2]!);
    await until(() => pool.stats().released === 3);
    const { acquired, released } = pool.stats();
    expect(acquired - released).toBe(2);
  });

  test('tells the state of the breaker and whether it is closed', async () => {
    const pool = await open(workshop());
    pool.deactivate();
    expect(pool.stats().state).toBe('inactive');
    pool.recover();
    expect(pool.stats().state).toBe('recovering');
    pool.activate();
    expect(pool.stats().state).toBe('active');
    await pool.close();
    expect(pool.stats().closed).toBe(true);
  });

  test('counts the refused: closed, unavailable, line full, factory error', async () => {
    let broken = false;
    const pool = await open({
      max: 1,
      maxWaiting: 1,
      factory: () => {
        if (broken) throw new Error('down');
        return {};
      },
    });
    const held = await pool.acquire();
    const waiting = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    await rejection(pool.acquire());
    expect(pool.stats().rejected).toBe(1);
    pool.release(held);
    const thing = await settled(waiting);
    pool.deactivate();
    await rejection(pool.acquire());
    expect(pool.stats().rejected).toBe(2);
    pool.activate();
    broken = true;
    pool.destroy(thing);
    await rejection(pool.acquire());
    expect(pool.stats()).toMatchObject({ rejected: 3, factoryFailures: 1 });
    await pool.close();
    await rejection(pool.acquire());
    expect(pool.stats().rejected).toBe(4);
  });

  test('created minus destroyed is what exists', async () => {
    const pool = await open({ ...workshop(), max: 4, maxUses: 2 });
    for (let i = 0; i < 10; i++) {
      const things = await borrow(pool, 1 + (i % 4));
      for (const thing of things) i % 3 ? pool.release(thing) : pool.destroy(thing);
    }
    await until(() => pool.activeCount() === 0);
    const { created, destroyed, count } = pool.stats();
    expect(created - destroyed).toBe(count);
    expectConsistent(pool.stats());
  });

  test('is a snapshot: a later change does not show in it', async () => {
    const pool = await open({ ...workshop(), min: 1 });
    const before = pool.stats();
    await pool.acquire();
    expect(before).toMatchObject({ idle: 1, active: 0, acquired: 0 });
  });

  test('is plain data', async () => {
    const pool = await open({ ...workshop(), min: 1 });
    expect(structuredClone(pool.stats())).toEqual(pool.stats());
  });
});

describe('waitTime', () => {
  test('knows nothing of immediate hand-outs', async () => {
    const pool = await open({ ...workshop(), min: 2 });
    for (let i = 0; i < 20; i++) pool.release(await pool.acquire());
    expect(pool.stats().waitTime.count).toBe(0);
  });

  test('counts every wait in line, with at most 12.5 % error', async () => {
    const time = ownTime();
    const pool = await open({ ...workshop(), min: 1, max: 1 });
    for (let i = 0; i < 5; i++) {
      const held = await pool.acquire();
      const waiting = pool.acquire();
      await time.pass(60 + 20 * i);
      pool.release(held);
      pool.release(await settled(waiting));
    }
    const { waitTime } = pool.stats();
    expect(waitTime.count).toBe(5);
    for (const [value, waited] of [
      [waitTime.p50, 100],
      [waitTime.p99, 140],
      [waitTime.max, 140],
    ] as const) {
      expect(value).toBeGreaterThan(waited * 0.875);
      expect(value).toBeLessThan(waited * 1.125);
    }
  });

  test('tells a long wait among short ones: the median is not the maximum', async () => {
    const time = ownTime();
    const pool = await open({ ...workshop(), min: 1, max: 1 });
    const wait = async (ms: number) => {
      const held = await pool.acquire();
      const waiting = pool.acquire();
      await time.pass(ms);
      pool.release(held);
      pool.release(await settled(waiting));
    };
    for (let i = 0; i < 9; i++) await wait(5);
    await wait(300);
    const { count, p50, p90, p99, max } = pool.stats().waitTime;
    expect(count).toBe(10);
    expect(p50).toBeLessThan(6);
    expect(max).toBeGreaterThan(260);
    expect(p50).toBeLessThanOrEqual(p90);
    expect(p90).toBeLessThanOrEqual(p99);
    expect(p99).toBeLessThanOrEqual(max * 1.125);
  });
});

test('console.log shows a line of it, on any thread', async () => {
  const pool = await open({ ...workshop(), name: 'db', max: 3, min: 2 });
  const worker = await thread(pool);
  const held = await pool.acquire();
  const shown = '[Pool "db": 1 of 3 out, 1 idle, 0 waiting]';
  expect(inspect(pool)).toBe(shown);
  const there = await worker.run(async ({ pool, load }) =>
    ((await load('node:util')) as { inspect(value: unknown): string }).inspect(pool),
  );
  expect(there).toBe(shown);
  pool.release(held);
  await pool.close();
  expect(inspect(pool)).toBe('[Pool "db": 0 of 3 out, 0 idle, 0 waiting, closed]');
});

test('of the holds of a thread one in 256 is timed, and at first each whose number is a power of two', async () => {
  const pool = await open({ ...workshop(), max: 1 });
  const counts: number[] = [];
  for (const holds of [1, 2, 2, 8, 256, 300, 512, 2560]) {
    while (pool.stats().acquired < holds) pool.release(await pool.acquire());
    counts.push(pool.stats().holdTime.count);
  }
  expect(counts).toEqual([1, 2, 2, 4, 9, 9, 10, 18]);
});

test('holdTime knows, from samples, how long resources are out', async () => {
  const time = ownTime();
  const pool = await open({ ...workshop(), max: 50 });
  for (let round = 0; round < 6; round++) {
    const things = await borrow(pool, 50);
    await time.pass(40);
    for (const thing of things) pool.release(thing);
  }
  const { count, p50, max } = pool.stats().holdTime;
  expect(count).toBeGreaterThan(0);
  expect(count).toBeLessThanOrEqual(300);
  expect(p50).toBeGreaterThan(35);
  expect(p50).toBeLessThan(45);
  expect(max).toBeGreaterThanOrEqual(p50 * 0.875);
});
