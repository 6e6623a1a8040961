import { expect, test } from 'vitest';
import { borrow, expectWhole, open, record } from '../support/pools.ts';
import { thread } from '../support/thread.ts';
import { type Gate, gate, outcome, rejection, settled, until } from '../support/wait.ts';

/** A factory whose calls end when they are told to, each on its own. */
function foundry() {
  const calls: Gate<object>[] = [];
  let running = 0;
  let most = 0;
  const factory = async (): Promise<object> => {
    const call = gate<object>();
    calls.push(call);
    most = Math.max(most, ++running);
    try {
      return await call.promise;
    } finally {
      running--;
    }
  };
  /** Ends all calls, also those that follow. */
  const open = (): void => {
    for (const call of calls) call.open({});
    const { push } = calls;
    calls.push = (...more) => {
      for (const call of more) call.open({});
      return push.apply(calls, more);
    };
  };
  return { calls, factory, open, running: () => running, most: () => most };
}

test('a burst makes no more at once than maxCreating, and all are served', async () => {
  const works = foundry();
  const pool = await open({ factory: works.factory, max: 10, maxCreating: 3 });
  const all = borrow(pool, 10);
  await until(() => works.calls.length === 3);
  // One ends, the next begins.
  works.calls[0]!.open({});
  await until(() => works.calls.length === 4);
  works.open();
  const things = await settled(all);
  expect(works.most()).toBe(3);
  expect(pool.stats()).toMatchObject({ count: 10, created: 10, waiting: 0 });
  for (const thing of things) pool.release(thing);
  await expectWhole(pool);
});

test('without it there is no limit', async () => {
  const works = foundry();
  const pool = await open({ factory: works.factory, max: 10 });
  const all = borrow(pool, 10);
  await until(() => works.calls.length === 10);
  works.open();
  await settled(all);
});

test('Infinity is no limit either', async () => {
  const works = foundry();
  const pool = await open({ factory: works.factory, max: 10, maxCreating: Number.POSITIVE_INFINITY });
  const all = borrow(pool, 10);
  await until(() => works.calls.length === 10);
  works.open();
  await settled(all);
});

test('the first ones, and a refill to min, keep to it', async () => {
  const works = foundry();
  const opening = open({ factory: works.factory, min: 5, max: 5, maxCreating: 2 });
  await until(() => works.calls.length === 2);
  works.open();
  const pool = await settled(opening);
  expect(pool.idleCount()).toBe(5);
  for (const thing of await borrow(pool, 5)) pool.destroy(thing);
  await until(() => pool.idleCount() === 5);
  expect(works.most()).toBe(2);
});

test('a factory that fails for one of the first ends the pool: those whose turn had not come are not made', async () => {
  const works = foundry();
  const opening = rejection(open({ factory: works.factory, min: 5, max: 5, maxCreating: 2 }));
  await until(() => works.calls.length === 2);
  works.calls[1]!.fail(new Error('no more'));
  expect(await opening).toMatchObject({ message: 'no more' });
  works.open();
  await until(() => works.running() === 0);
  expect(works.calls.length).toBe(2);
});

test('synchronous factories are not held up', async () => {
  const pool = await open({ factory: () => ({}), min: 3, max: 6, maxCreating: 1 });
  expect(pool.idleCount()).toBe(3);
  expect(await settled(borrow(pool, 6))).toHaveLength(6);
});

test('tryAcquire at the limit gives null, on the owner and on a worker', async () => {
  const works = foundry();
  const pool = await open({ factory: works.factory, max: 3, maxCreating: 1 });
  const worker = await thread(pool);
  const first = pool.acquire();
  await until(() => works.calls.length === 1);
  expect(await settled(pool.tryAcquire())).toBeNull();
  expect(await settled(worker.run(async ({ pool }) => (await pool.tryAcquire()) === null))).toBe(true);
  expect(await settled(worker.run(({ pool }) => pool.tryAcquireSync() === null))).toBe(true);
  expect([works.calls.length, pool.waitingCount()]).toEqual([1, 1]);
  works.open();
  await settled(first);
  expect(await settled(pool.tryAcquire())).not.toBeNull();
});

test('a call given up at createTimeout counts until it has settled', async () => {
  const works = foundry();
  const pool = await open({ factory: works.factory, max: 3, maxCreating: 1, createTimeout: 20 });
  const log = record(pool);
  expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_CREATE_TIMEOUT' });
  // Its slot is free, but the server may still be busy with it.
  expect(pool.count()).toBe(0);
  const next = pool.acquire();
  expect(await settled(pool.tryAcquire())).toBeNull();
  expect(await rejection(pool.acquire({ timeout: 30 }))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
  expect(works.calls.length).toBe(1);
  works.open();
  await settled(next);
  expect([works.calls.length, works.most()]).toEqual([2, 1]);
  expect(log.created).toHaveLength(1);
});

test('a call given up at createTimeout that fails later makes room, too', async () => {
  const works = foundry();
  const pool = await open({ factory: works.factory, max: 3, maxCreating: 1, createTimeout: 20 });
  expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_CREATE_TIMEOUT' });
  const next = outcome(pool.acquire());
  works.calls[0]!.fail(new Error('late'));
  await until(() => works.calls.length === 2);
  works.open();
  await settled(next);
});

test('where the factory fails again and again, each waiter hears of it in turn', async () => {
  let running = 0;
  let most = 0;
  const pool = await open({
    max: 5,
    maxCreating: 2,
    factory: async () => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running--;
      throw new Error('broken');
    },
  });
  const all = Array.from({ length: 12 }, () => rejection(pool.acquire()));
  for (const error of await settled(Promise.all(all))) expect(error).toMatchObject({ message: 'broken' });
  expect(most).toBe(2);
  expect(pool.stats()).toMatchObject({ count: 0, waiting: 0, factoryFailures: 12 });
});

test('closing while some wait for room ends', async () => {
  const works = foundry();
  const pool = await open({ factory: works.factory, max: 5, maxCreating: 1 });
  const all = Array.from({ length: 3 }, () => rejection(pool.acquire()));
  await until(() => works.calls.length === 1);
  await settled(pool.close());
  for (const error of await settled(Promise.all(all))) expect(error).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  works.open();
  expect(works.calls.length).toBe(1);
});
