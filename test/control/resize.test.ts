/** `max` and `min` change while the pool runs. */
import { PoolClosedError, ResizeTimeoutError } from 'cenote';
import { expect, test } from 'vitest';
import { open, workshop } from '../support/pools.ts';
import { thread } from '../support/thread.ts';
import { failureOf, rejection, settled, staysPending, turns, until } from '../support/wait.ts';

test('up: the line is served at once, and further up to the ceiling only', async () => {
  const shop = workshop();
  const pool = await open({ ...shop, max: 1, ceiling: 4 });
  const told: unknown[] = [];
  pool.on('resize', (...what) => told.push(what));
  const held = await pool.acquire();
  const waiting = [pool.acquire(), pool.acquire()];
  await staysPending(Promise.race(waiting));
  await settled(pool.resize({ max: 3 }));
  const more = await settled(Promise.all(waiting));
  expect(pool.stats()).toMatchObject({ max: 3, ceiling: 4, count: 3 });
  expect(await pool.tryAcquire()).toBe(null);
  expect(told).toEqual([
    [
      { min: 0, max: 3 },
      { min: 0, max: 1 },
    ],
  ]);
  for (const limits of [{ max: 5 }, { max: 2, min: 3 }, { min: -1 }, { max: 0 }, { max: 1.5 }])
    expect(await failureOf(() => pool.resize(limits))).toBeInstanceOf(RangeError);
  expect(String(await failureOf(() => pool.resize({ max: 5 })))).toContain('ceiling, which is 4, but is 5');
  expect(await failureOf(() => pool.resize({ size: 5 } as never))).toBeInstanceOf(TypeError);
  expect(String(await failureOf(() => pool.resize({ max: 3, timeout: 5 } as never)))).toContain('an option of the second argument');
  expect(pool.stats()).toMatchObject({ min: 0, max: 3 });
  for (const thing of [held, ...more]) pool.release(thing);
});

test('down: idle ones go at once, borrowed ones as they come back, and a later resize up costs nothing', async () => {
  const pool = await open({ ...workshop(), max: 4 });
  const reasons: string[] = [];
  pool.on('destroy', (_, reason) => reasons.push(reason));
  const held = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire(), pool.acquire()]);
  pool.release(held.pop()!);
  const down = pool.resize({ max: 1 });
  await turns();
  expect([reasons, pool.count()]).toEqual([['resized'], 3]);
  pool.release(held.pop()!);
  await until(() => pool.count() === 2);
  await staysPending(down);
  await settled(pool.resize({ max: 2 }));
  await settled(down);
  const [first, second] = held;
  pool.release(first);
  await turns();
  expect(pool.stats()).toMatchObject({ count: 2, idle: 1 });
  pool.release(second);
  await turns();
  expect([reasons, pool.idleCount()]).toEqual([['resized', 'resized'], 2]);
});

test('what is being made is destroyed on arrival, if it is too many', async () => {
  const arriving: ((thing: object) => void)[] = [];
  const pool = await open({ factory: () => new Promise<object>((resolve) => arriving.push(resolve)), max: 2 });
  const reasons: string[] = [];
  pool.on('destroy', (_, reason) => reasons.push(reason));
  const waiting = [pool.acquire(), pool.acquire()];
  await until(() => arriving.length === 2);
  const down = pool.resize({ max: 1 });
  await staysPending(down);
  arriving[0]({});
  arriving[1]({});
  await settled(down);
  expect([reasons, pool.count()]).toEqual([['resized'], 1]);
  pool.release(await settled(Promise.race(waiting)));
  await settled(Promise.all(waiting.slice(1)));
});

test('min is made, or a factory that fails says so', async () => {
  let isDown = false;
  const pool = await open({
    factory: () => {
      if (isDown) throw new Error('down');
      return {};
    },
    max: 4,
  });
  const errors: string[] = [];
  pool.on('error', (error) => errors.push(error.message));
  await settled(pool.resize({ min: 2 }));
  expect(pool.count()).toBe(2);
  isDown = true;
  await settled(pool.resize({ min: 3 }));
  expect([pool.count(), pool.stats().min, errors]).toEqual([2, 3, ['down']]);
});

test('after the timeout the new limits hold; a closed pool is not resized', async () => {
  const pool = await open({ ...workshop(), max: 2 });
  const held = [await pool.acquire(), await pool.acquire()];
  const error = await rejection(pool.resize({ max: 1 }, { timeout: 10 }));
  expect(error).toBeInstanceOf(ResizeTimeoutError);
  expect(error).toMatchObject({ code: 'ERR_POOL_RESIZE_TIMEOUT', message: expect.stringContaining('there are 2 resources') });
  pool.release(held[0]);
  await until(() => pool.count() === 1);
  const pending = pool.resize({ max: 1, min: 1 });
  await settled(pending);
  const held2 = pool.resize({ max: 2, min: 0 }).then(() => pool.resize({ max: 1 }));
  await settled(held2);
  await pool.close();
  expect(await rejection(pool.resize({ max: 1 }))).toBeInstanceOf(PoolClosedError);
  pool.release(held[1]);
});

test('under load from workers the pool goes up and down, and nobody is left behind', async () => {
  const shop = workshop();
  const pool = await open({ ...shop, max: 4, ceiling: 8 });
  const workers = await Promise.all([thread(pool), thread(pool), thread(pool)]);
  const done = workers.map((worker) =>
    worker.run(async ({ pool, flags }) => {
      let rounds = 0;
      // Once at least, however late a busy machine lets this thread begin.
      while (rounds === 0 || Atomics.load(flags, 0) === 0) {
        await Promise.all([pool.use(() => rounds++), pool.use(() => rounds++), pool.use(() => rounds++)]);
        pool.useSync(() => rounds++);
      }
      return rounds;
    }),
  );
  for (const max of [8, 2, 1, 8, 3, 1, 4]) {
    await settled(pool.resize({ max }));
    expect(pool.count()).toBeLessThanOrEqual(max);
    await turns();
    expect(shop.made.length - shop.gone.length).toBeLessThanOrEqual(max);
  }
  for (const worker of workers) worker.raise(0);
  expect(Math.min(...(await settled(Promise.all(done))))).toBeGreaterThan(0);
  // What came back while returns passed by the owner is idle when it has looked.
  await until(() => pool.activeCount() === 0);
  expect(pool.stats()).toMatchObject({ active: 0, waiting: 0 });
});
