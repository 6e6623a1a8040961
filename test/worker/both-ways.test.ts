/** One lease, called asynchronously and synchronously: pool.synchronous and pool.asynchronous. */
import { expect, test } from 'vitest';
import { open, workshop } from '../support/pools.ts';
import { Service } from '../support/service.ts';
import { thread } from '../support/thread.ts';

test('what was acquired can be called either way, in the order of the calls, and given back by either', async () => {
  let last = 0;
  const pool = await open({ factory: () => ({ next: async () => ++last }), max: 1 });
  const t = await thread(pool);
  const seen = await t.run(async ({ pool }) => {
    const values: unknown[] = [];
    const remote = await pool.acquire();
    const pending = remote.next();
    values.push(pool.synchronous(remote).next(), await pending);
    pool.release(pool.synchronous(remote));
    const sync = pool.acquireSync();
    values.push(await pool.asynchronous(sync).next(), sync.next());
    pool.release(pool.asynchronous(sync));
    return values;
  });
  expect(seen).toEqual([2, 1, 3, 4]);
  expect(pool.idleCount()).toBe(1);
});

test('given back once, it is over for both; and neither is had from something else', async () => {
  const pool = await open({ factory: () => new Service(7), max: 1 });
  const t = await thread(pool);
  const seen = await t.run(async ({ pool, attempt }) => {
    const remote = await pool.acquire();
    const sync = pool.synchronous(remote);
    pool.release(remote);
    const next = await pool.acquire();
    const tries = [
      await attempt(() => sync.whoami()),
      await attempt(() => pool.synchronous(remote).whoami()),
      await attempt(() => pool.asynchronous(sync).whoami()),
      await attempt(() => pool.release(sync)),
      await attempt(() => pool.synchronous({} as never)),
    ];
    pool.release(next);
    return tries.map(({ error }) => error?.code ?? error?.name);
  });
  expect(seen).toEqual([...Array(3).fill('ERR_POOL_REMOTE_CALL'), 'ERR_POOL_NOT_BORROWED', 'TypeError']);
});

test('a shared value is itself either way', async () => {
  const pool = await open({ ...workshop(), share: (thing: { id: number }) => thing.id, max: 1 });
  const t = await thread(pool);
  const seen = await t.run(async ({ pool }) => {
    const value = await pool.acquire();
    const both = [pool.synchronous(value), pool.asynchronous(value)];
    pool.release(value);
    return both;
  });
  expect(seen).toEqual([1, 1]);
});
