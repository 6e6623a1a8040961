import { attachPool } from 'cenote/worker';
import { describe, expect, test } from 'vitest';
import { open, record, workshop } from '../support/pools.ts';
import { Service, service } from '../support/service.ts';
import { thread, threads } from '../support/thread.ts';
import { failureOf, outcome, rejection, settled, until } from '../support/wait.ts';

describe('attachPool', () => {
  test('gives a pool with the name of its owner', async () => {
    const pool = await open({ factory: service(), name: 'db' });
    const t = await thread(pool);
    expect(await t.run(({ pool }) => pool.name)).toBe('db');
    expect(await t.run(({ pool }) => pool.isClosed())).toBe(false);
  });

  test("is announced as 'attach' with the thread's id", async () => {
    const pool = await open({ factory: service() });
    const log = record(pool);
    const [a, b] = await threads(2, pool);
    await until(() => log.attached.length === 2);
    expect(new Set(log.attached)).toEqual(new Set([a!.id, b!.id]));
  });

  test('is idempotent: the same handle gives the same object', async () => {
    const pool = await open({ factory: service() });
    const t = await thread(pool);
    expect(await t.run(async ({ pool, handle, attachPool }) => (await attachPool(handle)) === pool)).toBe(true);
  });

  test('is idempotent for a clone of the handle, too', async () => {
    const pool = await open({ factory: service() });
    const t = await thread(pool);
    expect(await t.run(async ({ pool, attachPool }, again) => (await attachPool(again)) === pool, pool.handle)).toBe(true);
    expect(await t.run(async ({ pool, handle, attachPool }) => (await attachPool(structuredClone(handle))) === pool)).toBe(true);
  });

  test('called several times at once gives one object and attaches once', async () => {
    const pool = await open({ factory: service() });
    const log = record(pool);
    const t = await thread();
    const same = await t.run(async ({ attachPool }, handle) => {
      const [a, b, c] = await Promise.all([attachPool(handle), attachPool(structuredClone(handle)), attachPool(handle)]);
      return a === b && b === c;
    }, pool.handle);
    expect(same).toBe(true);
    await until(() => log.attached.length > 0);
    expect(log.attached).toHaveLength(1);
  });

  test('a handle may come by message as well as in workerData', async () => {
    const pool = await open({ factory: service() });
    const t = await thread();
    const id = await t.run(async ({ attachPool }, handle) => (await attachPool(handle)).use((resource) => resource.whoami()), pool.handle);
    expect(id).toBe(1);
  });

  test.each([
    ['undefined', undefined],
    ['null', null],
    ['a number', 7],
    ['a text', 'pool'],
    ['an empty object', {}],
    ['an object without a buffer', { name: 'pool', owner: 0 }],
    ['an object with an ordinary buffer', { name: 'pool', owner: 0, buffer: new ArrayBuffer(4096) }],
    ['shared memory with nothing in it', { name: 'pool', owner: 0, buffer: new SharedArrayBuffer(65_536) }],
    ['shared memory that is too small', { name: 'pool', owner: 0, buffer: new SharedArrayBuffer(4) }],
  ])('rejects %s with a TypeError', async (_, handle) => {
    const t = await thread();
    const { ok, error } = await t.run(
      ({ attempt, attachPool }, handle) => attempt(async () => void (await attachPool(handle as never))),
      handle as unknown,
    );
    expect(ok).toBe(false);
    expect(error!.lineage).toContain('TypeError');
  });

  test('rejects with PoolClosedError when the pool is closed', async () => {
    const pool = await open({ factory: service(), name: 'db' });
    await pool.close();
    expect(await rejection(thread(pool))).toMatchObject({ name: 'PoolClosedError', code: 'ERR_POOL_CLOSED', pool: 'db' });
  });

  test('rejects with PoolError on the owner itself', async () => {
    const pool = await open({ factory: service(), name: 'db' });
    const error = await failureOf(() => attachPool(pool.handle));
    expect(error).toMatchObject({ pool: 'db' });
    expect((error as Error).name).toBe('PoolError');
  });

  test('rejects with PoolError when maxThreads are attached', async () => {
    const pool = await open({ factory: service(), name: 'db', maxThreads: 2 });
    await threads(2, pool);
    const error = (await rejection(thread(pool))) as Error & { lineage: string[] };
    expect(error).toMatchObject({ pool: 'db' });
    expect(error.lineage).toContain('PoolError');
  });

  test('of more threads at once than maxThreads exactly so many succeed', async () => {
    const pool = await open({ factory: service(), maxThreads: 2 });
    const results = await Promise.all(Array.from({ length: 5 }, () => outcome(thread(pool))));
    expect(results.filter(({ value }) => value)).toHaveLength(2);
    for (const { error } of results) if (error) expect((error as { lineage?: string[] }).lineage).toContain('PoolError');
  });

  test('rejects with PoolClosedError when there is no such owner', async () => {
    const pool = await open({ factory: service() });
    const t = await thread();
    const { error } = await settled(
      t.run(({ attempt, attachPool }, handle) => attempt(async () => void (await attachPool({ ...handle, owner: 987_654 }))), pool.handle),
    );
    expect(error).toMatchObject({ name: 'PoolClosedError', code: 'ERR_POOL_CLOSED' });
  });

  test('settles when the pool is closed meanwhile', async () => {
    for (let i = 0; i < 5; i++) {
      const pool = await open({ factory: service() });
      const t = await thread();
      const attaching = t.run(async ({ attempt, attachPool, keep, tell }, handle) => {
        tell('now');
        return attempt(async () => void keep('attached', await attachPool(handle)));
      }, pool.handle);
      await until(() => t.told.length > 0);
      await pool.close();
      const { ok, error } = await settled(attaching);
      if (ok) expect(await t.run(({ kept }) => kept<typeof pool>('attached').isClosed())).toBe(true);
      else expect(error).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    }
  });

  test('an answer that a busy thread comes to only after its patience has ended still counts, and closes nothing', async () => {
    const pool = await open({ factory: service() });
    const t = await thread();
    const whoami = await t.run(async ({ attachPool, load }, handle) => {
      // The thread was busy until its time was over: the timer comes first, then the welcome, then what the timer has put off until after that.
      const { default: timers } = (await load('node:timers')) as { default: typeof import('node:timers') };
      const { syncBuiltinESMExports } = (await load('node:module')) as typeof import('node:module');
      const { setTimeout, setImmediate } = timers;
      const replace = (by: object): void => {
        Object.assign(timers, by);
        syncBuiltinESMExports();
      };
      const putOff: (() => void)[] = [];
      replace({ setTimeout: (after: () => void) => void after(), setImmediate: (after: () => void) => void putOff.push(after) });
      const attached = await attachPool(handle).finally(() => replace({ setTimeout, setImmediate }));
      for (const after of putOff) after();
      await new Promise(setImmediate);
      return [putOff.length, await attached.use((resource) => resource.whoami())];
    }, pool.handle);
    expect(whoami).toEqual([1, 1]);
    expect(pool.isClosed()).toBe(false);
  });

  test('succeeds again when one of maxThreads has left', async () => {
    const pool = await open({ factory: service(), maxThreads: 1 });
    const log = record(pool);
    const first = await thread(pool);
    await first.run(({ pool }) => pool.detach());
    await until(() => log.detached.length === 1);
    const second = await thread(pool);
    await second.terminate();
    await until(() => log.detached.length === 2);
    await thread(pool);
  });

  test('goes on working for 100 threads after one another, with few places', async () => {
    const pool = await open({ factory: service(), maxThreads: 4, max: 2 });
    const log = record(pool);
    for (let i = 0; i < 10; i++) {
      const batch = await threads(3, pool);
      await Promise.all(batch.map((t) => t.run(({ pool }) => pool.use((resource) => resource.whoami()))));
      await Promise.all(batch.map((t) => (i % 2 ? t.terminate() : t.run(({ pool }) => pool.detach()))));
      await until(() => log.detached.length === 3 * (i + 1));
    }
    expect(pool.stats()).toMatchObject({ active: 0, waiting: 0 });
  });

  test('stats().threads counts who is there', async () => {
    const pool = await open({ factory: service() });
    const alone = pool.stats().threads;
    const [a] = await threads(2, pool);
    expect(pool.stats().threads).toBe(alone + 2);
    expect((await a!.run(({ pool }) => pool.stats())).threads).toBe(alone + 2);
    await a!.terminate();
    await until(() => pool.stats().threads === alone + 1);
  });

  test('one thread may attach to many pools', async () => {
    const pools = await Promise.all(Array.from({ length: 8 }, (_, i) => open({ factory: () => new Service(i), name: `pool-${i}` })));
    const t = await thread<Service>();
    const ids = await t.run(
      async ({ attachPool }, handles) => {
        const attached = await Promise.all(handles.map((handle) => attachPool(handle)));
        return Promise.all(attached.map((pool) => pool.use((resource) => resource.whoami())));
      },
      pools.map(({ handle }) => handle),
    );
    expect(ids).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("a worker's worker may attach", async () => {
    const pool = await open({ factory: service() });
    const t = await thread<Service>();
    const id = await t.run(({ nested }, handle) => nested(handle, ({ pool }) => pool.use((resource) => resource.whoami())), pool.handle);
    expect(id).toBe(1);
  });

  test('errors on a worker are instances of the classes that cenote exports', async () => {
    const pool = await open({ factory: service(), name: 'db', max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    const flags = await t.run(async ({ pool, cenote }) => {
      const { AcquireTimeoutError, PoolError } = await cenote();
      const error = await pool.acquire({ timeout: 5 }).then(
        () => undefined,
        (error: unknown) => error,
      );
      return [error instanceof AcquireTimeoutError, error instanceof PoolError, error instanceof Error];
    });
    expect(flags).toEqual([true, true, true]);
  });
});

describe('a pool that is owned by a worker', () => {
  /** A thread that owns a pool of Things with a few methods. */
  const ownedElsewhere = async () => {
    const owner = await thread();
    const handle = await owner.run(async ({ cenote, keep }) => {
      const { createPool } = await cenote();
      let id = 0;
      const pool = await createPool({
        name: 'elsewhere',
        max: 2,
        factory: () => ({ id: ++id, whoami: () => id, add: (a: number, b: number) => a + b }),
      });
      keep('pool', pool);
      return pool.handle;
    });
    return { owner, handle };
  };

  test('names its thread in the handle', async () => {
    const { owner, handle } = await ownedElsewhere();
    expect(handle.owner).toBe(owner.id);
  });

  test('can be used from the main thread', async () => {
    const { handle } = await ownedElsewhere();
    const pool = await attachPool(handle);
    expect(await settled(pool.use((resource) => resource.add(40, 2)))).toBe(42);
    expect(pool.useSync((resource) => resource.add(40, 2))).toBe(42);
    expect(pool.stats()).toMatchObject({ active: 0, idle: 1 });
    await pool.detach();
  });

  test('can be used from its siblings', async () => {
    const { handle } = await ownedElsewhere();
    const siblings = await threads(2, handle);
    const results = await Promise.all(siblings.map((t) => t.run(({ pool }) => pool.use((resource) => resource.add(1, 2)))));
    expect(results).toEqual([3, 3]);
    expect(await siblings[0]!.run(({ pool }) => pool.useSync((resource) => resource.add(3, 4)))).toBe(7);
  });

  test('keeps one line over main thread and siblings', async () => {
    const { owner, handle } = await ownedElsewhere();
    const pool = await attachPool(handle);
    const sibling = await thread(handle);
    await owner.run(async ({ kept }) => {
      const mine = kept<import('cenote').Pool<{ id: number }>>('pool');
      (globalThis as { held?: unknown[] }).held = [await mine.acquire(), await mine.acquire()];
    });
    const order: string[] = [];
    const first = pool.acquire().then(() => order.push('main'));
    await until(() => pool.waitingCount() === 1);
    const second = sibling.hold().then(() => order.push('sibling'));
    await until(() => pool.waitingCount() === 2);
    const giveBack = () =>
      owner.run(({ kept }) => {
        const mine = kept<import('cenote').Pool<unknown>>('pool');
        mine.release((globalThis as { held?: unknown[] }).held!.pop());
      });
    await giveBack();
    await settled(first);
    await giveBack();
    await settled(second);
    expect(order).toEqual(['main', 'sibling']);
    await pool.detach();
  });
});

test('a thread that only attaches makes nothing', async () => {
  const shop = workshop();
  const pool = await open(shop);
  await threads(2, pool);
  expect(shop.made).toEqual([]);
  expect(pool.count()).toBe(0);
});

test('two threads may each own a pool and use the one of the other', async () => {
  const mine = await open({ factory: service(), name: 'mine', max: 1 });
  const t = await thread(mine);
  const handle = await t.run(async ({ cenote, keep }) => {
    const { createPool } = await cenote();
    let calls = 0;
    return keep('pool', await createPool({ name: 'theirs', max: 1, factory: () => ({ next: () => ++calls }) })).handle;
  });
  const theirs = await attachPool(handle);
  const there = t.run(async ({ pool }) => {
    let sum = 0;
    for (let i = 0; i < 50; i++) sum = await pool.use((resource) => resource.add(sum, 1));
    return sum;
  });
  let here = 0;
  for (let i = 0; i < 50; i++) here = await theirs.use((resource) => resource.next());
  expect(here).toBe(50);
  expect(await settled(there)).toBe(50);
  await theirs.detach();
});

describe('attachPool with limits, while the owner is busy', () => {
  /** An owner that stands still until it is raised. */
  const busy = async () => {
    const owner = await thread<Service>();
    const handle = await owner.run(async ({ cenote, keep }) => {
      const { createPool } = await cenote();
      const pool = await createPool({ factory: () => ({ whoami: () => 7 }) as unknown as Service, name: 'busy' });
      keep('pool', pool);
      return pool.handle;
    });
    const blocked = owner.run(({ tell, block }) => {
      tell('blocked');
      block(0);
    });
    await until(() => owner.told.length === 1);
    const threadsOf = () => owner.run(({ kept }) => kept<{ stats(): { threads: number } }>('pool').stats().threads);
    return {
      handle,
      threadsOf,
      wake: () => {
        owner.raise(0);
        return blocked;
      },
    };
  };

  test('rejects with AcquireTimeoutError, or with the reason of its signal; later it attaches', async () => {
    const { handle, threadsOf, wake } = await busy();
    expect(await rejection(attachPool(handle, { timeout: 50 }))).toMatchObject({
      code: 'ERR_POOL_ACQUIRE_TIMEOUT',
      pool: 'busy',
      message: expect.stringContaining('within 50 ms'),
    });
    const controller = new AbortController();
    const attaching = attachPool(handle, { signal: controller.signal });
    attaching.catch(() => {});
    const reason = new Error('not any more');
    controller.abort(reason);
    expect(await rejection(attaching)).toBe(reason);
    expect(await rejection(attachPool(handle, { signal: controller.signal }))).toBe(reason);
    await settled(wake());
    // Those that gave up are not attached behind their backs.
    await until(async () => (await threadsOf()) === 0);
    const pool = await settled(attachPool(handle, { timeout: 50_000 }));
    expect(await settled(pool.call('whoami', []))).toBe(7);
    expect(await attachPool(handle, { timeout: 1, signal: new AbortController().signal })).toBe(pool);
    expect(await threadsOf()).toBe(1);
    await pool.detach();
  });

  test('one that gives up takes nothing from another that waits', async () => {
    const { handle, wake } = await busy();
    const patient = attachPool(handle);
    expect(await rejection(attachPool(handle, { timeout: 30 }))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
    await settled(wake());
    const pool = await settled(patient);
    expect(await settled(pool.call('whoami', []))).toBe(7);
    await pool.detach();
  });

  test('does not keep a thread alive that has given up', async () => {
    const { handle } = await busy();
    const t = await thread();
    const { error } = await settled(t.run(({ attachPool, attempt }, handle) => attempt(() => attachPool(handle, { timeout: 30 })), handle));
    expect(error).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
    t.finish();
    expect(await settled(t.exited)).toBe(0);
  });

  test('refuses what are no limits', async () => {
    const pool = await open({ factory: service() });
    const t = await thread();
    const seen = await t.run(
      async ({ attachPool, attempt }, handle) => [
        (await attempt(() => attachPool(handle, 7 as never))).error,
        (await attempt(() => attachPool(handle, { timeout: -1 }))).error,
        (await attempt(() => attachPool(handle, { signal: {} as never }))).error,
      ],
      pool.handle,
    );
    expect(seen).toMatchObject([{ message: expect.stringContaining('attach options') }, { name: 'RangeError' }, { name: 'TypeError' }]);
  });
});
