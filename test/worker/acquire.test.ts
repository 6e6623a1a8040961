import { describe, expect, test } from 'vitest';
import { borrow, expectConsistent, expectWhole, open, type Thing, workshop } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { type Thread, thread, threads } from '../support/thread.ts';
import { BOUND, gate, pendingUntil, rejection, settled, sleep, spinUntil, until } from '../support/wait.ts';

/** Resolves when this thread, asleep in line like the one that is watched but later, has timed out: after `timeout` ms, or the pool's own. */
const timedOut = (t: Thread<Service>, timeout?: number) =>
  t.run(async ({ pool, attempt }, timeout) => {
    const { error } = await attempt(() => void pool.acquireSync({ ...(timeout && { timeout }) }));
    if (error?.code !== 'ERR_POOL_ACQUIRE_TIMEOUT') throw new Error('should have timed out');
  }, timeout);

describe('acquire on a worker', () => {
  test('gives a remote whose methods run on the owner', async () => {
    const pool = await open({ factory: service() });
    const t = await thread(pool);
    const result = await t.run(async ({ pool, held }) => {
      held.push(await pool.acquire());
      return held[0]!.add(1, 2);
    });
    expect(result).toBe(3);
    expect(pool.stats()).toMatchObject({ active: 1, idle: 0 });
    await t.giveBack();
    await until(() => pool.idleCount() === 1);
  });

  test('gives what is idle', async () => {
    const pool = await open({ factory: service(), min: 1 });
    const t = await thread(pool);
    await t.hold();
    expect(pool.stats()).toMatchObject({ count: 1, active: 1, created: 1, acquired: 1 });
  });

  test('a timeout of Infinity is none: asynchronously, asleep, and by call', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const mine = await pool.acquire();
    // Each on a thread of its own: one that has been served and sleeps in line before it gives back waits for itself.
    const called = (await thread(pool)).run(({ pool }) => pool.call('add', [1, 2], { timeout: Number.POSITIVE_INFINITY }));
    const acquired = (await thread(pool)).run(async ({ pool }) => {
      pool.release(await pool.acquire({ timeout: Number.POSITIVE_INFINITY }));
      return 'acquired';
    });
    const slept = (await thread(pool)).run(({ pool }) => {
      pool.release(pool.acquireSync({ timeout: Number.POSITIVE_INFINITY }));
      return 'slept';
    });
    await until(() => pool.waitingCount() === 3);
    pool.release(mine);
    expect(await settled(Promise.all([called, acquired, slept]))).toEqual([3, 'acquired', 'slept']);
  });

  test('waits for a resource that the owner has', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const mine = await pool.acquire();
    const t = await thread(pool);
    const waiting = t.hold();
    await until(() => pool.waitingCount() === 1);
    await pendingUntil(
      t.run(() => {}),
      waiting,
    );
    pool.release(mine);
    await settled(waiting);
  });

  test('waits for a resource that another worker has', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const [a, b] = await threads(2, pool);
    await a!.hold();
    const waiting = b!.hold();
    await until(() => pool.waitingCount() === 1);
    await a!.giveBack();
    await settled(waiting);
  });

  test('the owner waits for a resource that a worker has', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    await t.hold();
    const waiting = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    await t.giveBack();
    expect((await settled(waiting)).id).toBe(1);
  });

  test('waits for a slow factory', async () => {
    const make = service();
    const pool = await open({
      factory: async () => {
        await sleep(40);
        return make();
      },
    });
    const t = await thread(pool);
    expect(await settled(t.run(({ pool }) => pool.use((resource) => resource.whoami())))).toBe(1);
  });

  test('several at once on one thread are all served', async () => {
    const pool = await open({ factory: service(), max: 3 });
    const t = await thread(pool);
    const ids = await t.run(({ pool }) =>
      Promise.all(
        Array.from({ length: 12 }, () =>
          pool.use(async (resource) => {
            await resource.slow(2);
            return resource.whoami();
          }),
        ),
      ),
    );
    expect(ids).toHaveLength(12);
    expect(new Set(ids).size).toBe(3);
    expect(pool.stats()).toMatchObject({ waiting: 0, idle: 3 });
  });

  test('with different resources at once calls each of them', async () => {
    const pool = await open({ factory: service(), max: 4 });
    const t = await thread(pool);
    await t.hold(4);
    const ids = await t.run(({ held }) => Promise.all(held.map((resource) => resource.whoami())));
    expect([...ids].sort()).toEqual([1, 2, 3, 4]);
  });

  test('over several threads never gives a resource to two, nor more than max', async () => {
    const shop = workshop();
    const out = new Set<number>();
    let wrong = 0;
    const pool = await open({
      ...shop,
      max: 3,
      factory: () => {
        const thing = shop.factory();
        return {
          id: thing.id,
          enter() {
            if (out.has(thing.id)) wrong++;
            out.add(thing.id);
          },
          leave: () => out.delete(thing.id),
        };
      },
      destructor: () => {},
    });
    const all = await threads(3, pool);
    const work = all.map((t) =>
      t.run(async ({ pool, sleep }) => {
        await Promise.all(
          Array.from({ length: 3 }, async (_, i) => {
            for (let round = 0; round < 20; round++) {
              const resource = await pool.acquire();
              await resource.enter();
              if ((i + round) % 4 === 0) await sleep(1);
              await resource.leave();
              pool.release(resource);
            }
          }),
        );
      }),
    );
    let done = false;
    const watch = (async () => {
      while (!done) {
        expectConsistent(pool.stats());
        await sleep(1);
      }
    })();
    await settled(Promise.all(work));
    done = true;
    await watch;
    expect(wrong).toBe(0);
    expect(shop.made).toHaveLength(3);
    expect(pool.stats()).toMatchObject({ idle: 3, active: 0, waiting: 0 });
  });

  test('use gives the resource back, also when the body throws', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    expect(await t.run(({ pool }) => pool.use((resource) => resource.add(1, 1)))).toBe(2);
    const { error } = await t.run(({ pool, attempt }) =>
      attempt(() =>
        pool.use(() => {
          throw new RangeError('in the body');
        }),
      ),
    );
    expect(error).toMatchObject({ name: 'RangeError', message: 'in the body' });
    await until(() => pool.idleCount() === 1);
    expect(pool.stats()).toMatchObject({ acquired: 2, released: 2 });
  });

  test('use: a body that released or destroyed the resource itself is fine', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    const results = await t.run(async ({ pool }) => [
      await pool.use((resource) => {
        pool.release(resource);
        return 'released';
      }),
      await pool.use((resource) => {
        pool.destroy(resource);
        return 'destroyed';
      }),
    ]);
    expect(results).toEqual(['released', 'destroyed']);
    await until(() => pool.stats().released === 2 && pool.count() === 0);
  });

  test('lease releases itself', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    const sum = await t.run(async ({ pool }) => {
      const lease = await pool.lease();
      try {
        return await lease.resource.add(20, 22);
      } finally {
        await lease[Symbol.asyncDispose]();
      }
    });
    expect(sum).toBe(42);
    await until(() => pool.idleCount() === 1);
    await t.run(async ({ pool }) => {
      const lease = await pool.lease();
      lease[Symbol.dispose]();
    });
    await until(() => pool.stats().released === 2);
  });

  test('lease can be destroyed, and its end does no harm after that', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    await t.run(async ({ pool }) => {
      const lease = await pool.lease();
      lease.destroy(new Error('broken'));
      await lease[Symbol.asyncDispose]();
    });
    await until(() => pool.stats().destroyed === 1);
    await expectWhole(pool);
  });

  test('is refused with QueueFullError when maxWaiting wait already', async () => {
    const pool = await open({ factory: service(), name: 'db', min: 1, max: 1, maxWaiting: 1 });
    const mine = await pool.acquire();
    const [a, b] = await threads(2, pool);
    const waiting = a!.hold();
    await until(() => pool.waitingCount() === 1);
    expect(await rejection(b!.hold())).toMatchObject({ name: 'QueueFullError', code: 'ERR_POOL_QUEUE_FULL', pool: 'db' });
    pool.release(mine);
    await settled(waiting);
  });

  test('is refused with ServiceUnavailableError when the breaker is INACTIVE', async () => {
    const pool = await open({ factory: service(), name: 'db' });
    const t = await thread(pool);
    pool.deactivate();
    expect(await rejection(t.hold())).toMatchObject({ name: 'ServiceUnavailableError', code: 'ERR_POOL_UNAVAILABLE', pool: 'db' });
  });

  test('counts on the owner and on every worker', async () => {
    const pool = await open({ factory: service(), max: 2 });
    const [a, b] = await threads(2, pool);
    await a!.hold();
    await b!.hold();
    expect(await a!.run(({ pool }) => [pool.count(), pool.idleCount(), pool.activeCount(), pool.waitingCount()])).toEqual([2, 0, 2, 0]);
    const waiting = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    expect(await b!.run(({ pool }) => pool.waitingCount())).toBe(1);
    await b!.giveBack();
    pool.release(await settled(waiting));
  });
});

describe('tryAcquire on a worker', () => {
  test('gives what is idle', async () => {
    const pool = await open({ factory: service(), min: 1 });
    const t = await thread(pool);
    expect(await t.run(async ({ pool }) => (await pool.tryAcquire())!.whoami())).toBe(1);
  });

  test('has one made when nothing is made yet', async () => {
    const make = service();
    const pool = await open({
      factory: async () => {
        await sleep(20);
        return make();
      },
    });
    const t = await thread(pool);
    expect(await t.run(async ({ pool }) => (await pool.tryAcquire())!.whoami())).toBe(1);
  });

  test('gives null when everything is out', async () => {
    const pool = await open({ factory: service(), max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    expect(await settled(t.run(async ({ pool }) => (await pool.tryAcquire()) === null))).toBe(true);
    expect(pool.waitingCount()).toBe(0);
  });

  test('gives null when the pool is closed or the breaker is INACTIVE', async () => {
    const pool = await open({ factory: service(), min: 1 });
    const t = await thread(pool);
    pool.deactivate();
    expect(await t.run(async ({ pool }) => (await pool.tryAcquire()) === null)).toBe(true);
    pool.activate();
    await pool.close();
    expect(await t.run(async ({ pool }) => (await pool.tryAcquire()) === null)).toBe(true);
  });

  test('gives null at once, also behind an acquire of the same thread that goes on waiting', async () => {
    const pool = await open({ factory: service(), min: 3, max: 3, recoveryProbes: 1 });
    pool.recover();
    const probe = await settled(pool.acquire());
    const t = await thread(pool);
    await t.run(({ pool, keep }) => void keep('waiting', pool.acquire()));
    await until(() => pool.waitingCount() === 1);
    const tried = t.run(async ({ pool, flags }) => {
      const trying = pool.tryAcquire();
      // It has looked for itself by then, and hears of nothing but by its bell.
      await null;
      Atomics.store(flags, 0, 1);
      Atomics.notify(flags, 0);
      return (await trying) === null;
    });
    // Blocks the owner: nobody says no before that.
    expect(Atomics.wait(t.flags, 0, 0, BOUND)).not.toBe('timed-out');
    expect(await settled(tried)).toBe(true);
    expect(pool.waitingCount()).toBe(1);
    pool.release(probe);
    await settled(t.run(async ({ pool, kept }) => pool.release(await kept<ReturnType<typeof pool.acquire>>('waiting'))));
    await until(() => pool.idleCount() === 3);
  });

  test("rejects with the factory's error", async () => {
    const pool = await open({ factory: () => Promise.reject(Object.assign(new TypeError('no route'), { code: 'E_ROUTE' })) });
    const t = await thread(pool);
    expect(await rejection(t.run(({ pool }) => pool.tryAcquire()))).toMatchObject({
      name: 'TypeError',
      message: 'no route',
      code: 'E_ROUTE',
    });
  });

  test('does not pass the line', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const mine = await pool.acquire();
    const [a, b] = await threads(2, pool);
    const first = a!.hold();
    await until(() => pool.waitingCount() === 1);
    const second = b!.hold();
    await until(() => pool.waitingCount() === 2);
    pool.release(mine);
    await settled(first);
    const third = await thread(pool);
    expect(await third.run(async ({ pool }) => (await pool.tryAcquire()) === null)).toBe(true);
    await a!.giveBack();
    await settled(second);
  });
});

describe('acquireSync', () => {
  test('gives a remote whose methods answer synchronously', async () => {
    const pool = await open({ factory: service(), min: 1 });
    const t = await thread(pool);
    const results = await t.run(({ pool, syncHeld }) => {
      const resource = pool.acquireSync();
      syncHeld.push(resource);
      return [resource.whoami(), resource.add(1, 2), resource.addLater(3, 4), resource.nothing()];
    });
    expect(results).toEqual([1, 3, 7, undefined]);
    expect(pool.activeCount()).toBe(1);
    await t.run(({ pool, syncHeld }) => pool.release(syncHeld.pop()!));
    await until(() => pool.idleCount() === 1);
  });

  test('has one made when nothing is made yet', async () => {
    const make = service();
    const pool = await open({
      factory: async () => {
        await sleep(30);
        return make();
      },
    });
    const t = await thread(pool);
    expect(await settled(t.run(({ pool }) => pool.useSync((resource) => resource.whoami())))).toBe(1);
  });

  test('sleeps until a resource comes back from the owner', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const mine = await pool.acquire();
    const [t, other] = await threads(2, pool);
    const waiting = t!.run(({ pool }) => pool.useSync((resource) => resource.whoami()));
    await until(() => pool.waitingCount() === 1);
    await pendingUntil(timedOut(other!, 30), waiting);
    expect(pool.waitingCount()).toBe(1);
    pool.release(mine);
    expect(await settled(waiting)).toBe(1);
  });

  test('sleeps until a resource comes back from another worker', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const [a, b] = await threads(2, pool);
    await a!.hold();
    const waiting = b!.run(({ pool }) => pool.useSync((resource) => resource.whoami()));
    await until(() => pool.waitingCount() === 1);
    await a!.giveBack();
    expect(await settled(waiting)).toBe(1);
  });

  test('sleeps until another worker that is blocked, too, comes back', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const [a, b] = await threads(2, pool);
    const first = a!.run(({ pool, block, tell }) => {
      const resource = pool.acquireSync();
      tell('held');
      block(0);
      pool.release(resource);
      block(1);
    });
    await until(() => a!.told.length === 1);
    const second = b!.run(({ pool }) => pool.useSync((resource) => resource.whoami()));
    await until(() => pool.waitingCount() === 1);
    a!.raise(0);
    expect(await settled(second)).toBe(1);
    a!.raise(1);
    await first;
  });

  test('times out with AcquireTimeoutError', async () => {
    const pool = await open({ factory: service(), name: 'db', max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    const { error, took } = await t.run(async ({ pool, attempt }) => {
      const started = performance.now();
      const { error } = await attempt(() => void pool.acquireSync({ timeout: 60 }));
      return { error, took: performance.now() - started };
    });
    expect(error).toMatchObject({ name: 'AcquireTimeoutError', code: 'ERR_POOL_ACQUIRE_TIMEOUT', pool: 'db' });
    expect(took).toBeGreaterThanOrEqual(58);
    expect(pool.stats()).toMatchObject({ timedOut: 1, waiting: 0 });
  });

  test('defaults to acquireTimeout', async () => {
    const pool = await open({ factory: service(), max: 1, acquireTimeout: 20 });
    await pool.acquire();
    const t = await thread(pool);
    expect(await rejection(t.run(({ pool }) => void pool.acquireSync()))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
  });

  test('a timeout of 0 sleeps for ever, whatever acquireTimeout says', async () => {
    const pool = await open({ factory: service(), max: 1, acquireTimeout: 20 });
    const mine = await pool.acquire();
    const [t, other] = await threads(2, pool);
    const waiting = t!.run(({ pool }) => pool.useSync((resource) => resource.whoami(), { timeout: 0 }));
    await until(() => pool.waitingCount() === 1);
    await pendingUntil(timedOut(other!), waiting);
    expect(pool.waitingCount()).toBe(1);
    pool.release(mine);
    expect(await settled(waiting)).toBe(1);
  });

  test('throws PoolClosedError, also out of its sleep', async () => {
    const pool = await open({ factory: service(), name: 'db', max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    const sleeping = rejection(t.run(({ pool }) => void pool.acquireSync()));
    await until(() => pool.waitingCount() === 1);
    await pool.close();
    expect(await sleeping).toMatchObject({ name: 'PoolClosedError', code: 'ERR_POOL_CLOSED', pool: 'db' });
    expect(await rejection(t.run(({ pool }) => void pool.acquireSync()))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });

  test('throws ServiceUnavailableError, also out of its sleep', async () => {
    const pool = await open({ factory: service(), max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    const sleeping = rejection(t.run(({ pool }) => void pool.acquireSync()));
    await until(() => pool.waitingCount() === 1);
    pool.deactivate();
    expect(await sleeping).toMatchObject({ code: 'ERR_POOL_UNAVAILABLE' });
    expect(await rejection(t.run(({ pool }) => void pool.acquireSync()))).toMatchObject({ code: 'ERR_POOL_UNAVAILABLE' });
  });

  test('throws QueueFullError', async () => {
    const pool = await open({ factory: service(), min: 1, max: 1, maxWaiting: 0 });
    await pool.acquire();
    const t = await thread(pool);
    expect(await rejection(t.run(({ pool }) => void pool.acquireSync()))).toMatchObject({ code: 'ERR_POOL_QUEUE_FULL' });
  });

  test("throws the factory's error", async () => {
    const pool = await open({ factory: () => Promise.reject(Object.assign(new TypeError('no route'), { code: 'E_ROUTE' })) });
    const t = await thread(pool);
    expect(await rejection(t.run(({ pool }) => void pool.acquireSync()))).toMatchObject({
      name: 'TypeError',
      message: 'no route',
      code: 'E_ROUTE',
    });
  });

  test('works beside asynchronous acquires of the same thread', async () => {
    const pool = await open({ factory: service(), max: 2 });
    const t = await thread(pool);
    const results = await t.run(async ({ pool }) => {
      const remote = await pool.acquire();
      const early = remote.slow(20, 'early');
      const sync = pool.acquireSync();
      const ids = [sync.whoami(), await remote.whoami(), await early];
      pool.release(sync);
      pool.release(remote);
      return ids;
    });
    expect(results).toEqual([2, 1, 'early']);
  });

  test('a pending asynchronous acquire of the same thread is served first, and does not deadlock it', async () => {
    const pool = await open({ factory: service(), max: 2 });
    const held = await borrow(pool, 2);
    const t = await thread(pool);
    const order = t.run(async ({ pool }) => {
      const first = pool.acquire().then((resource) => {
        pool.release(resource);
        return 'asynchronous';
      });
      const sync = pool.acquireSync({ timeout: 60_000 });
      pool.release(sync);
      return [await first, 'synchronous'];
    });
    await until(() => pool.waitingCount() === 2);
    for (const each of held) pool.release(each);
    expect(await settled(order)).toEqual(['asynchronous', 'synchronous']);
  });

  test('with a hook waits for the hook', async () => {
    const pool = await open({
      factory: service(),
      min: 1,
      beforeAcquire: async () => {
        await sleep(20);
      },
    });
    const t = await thread(pool);
    expect(await settled(t.run(({ pool }) => pool.useSync((resource) => resource.whoami())))).toBe(1);
  });

  test('useSync returns what the body returns and gives the resource back, also when it throws', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    expect(await t.run(({ pool }) => pool.useSync((resource) => resource.add(20, 22)))).toBe(42);
    expect(
      await rejection(
        t.run(({ pool }) =>
          pool.useSync(() => {
            throw new RangeError('in the body');
          }),
        ),
      ),
    ).toMatchObject({ name: 'RangeError', message: 'in the body' });
    await until(() => pool.idleCount() === 1);
    expect(pool.stats()).toMatchObject({ acquired: 2, released: 2 });
  });

  test('useSync refuses a body that returns a promise, or another thenable, and has the resource back by then', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    const told = await t.run(async ({ pool }) => {
      const unhandled: unknown[] = [];
      process.on('unhandledRejection', (error) => unhandled.push(error));
      const seen: unknown[] = [];
      let begun = 0;
      // biome-ignore lint/suspicious/noThenProperty: that is what is refused.
      for (const body of [async () => Promise.reject(new Error('later')), () => ({ then: () => begun++ })])
        try {
          pool.useSync(body as () => unknown);
        } catch (error) {
          seen.push((error as Error).name, (error as Error).message, pool.idleCount());
        }
      await new Promise((resolve) => setImmediate(resolve));
      return [...seen, begun, unhandled];
    });
    const refused = expect.stringContaining('useSync must not return a promise');
    expect(told).toEqual(['TypeError', refused, 1, 'TypeError', refused, 1, 0, []]);
  });

  test('useSync: a body that released or destroyed the resource itself is fine, timeout counts', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    await t.run(({ pool }) => pool.useSync((resource) => pool.release(resource)));
    await t.run(({ pool }) => pool.useSync((resource) => pool.destroy(resource)));
    await until(() => pool.count() === 0);
    await pool.acquire();
    expect(await rejection(t.run(({ pool }) => pool.useSync(() => 1, { timeout: 10 })))).toMatchObject({
      code: 'ERR_POOL_ACQUIRE_TIMEOUT',
    });
  });
});

describe('tryAcquireSync', () => {
  test('gives what is idle, without the owner', async () => {
    const pool = await open({ factory: service(), min: 1 });
    const t = await thread(pool);
    const done = t.run(({ pool, flags }) => {
      // The owner is kept busy until this thread says that it has it.
      while (Atomics.load(flags, 0) === 0);
      const resource = pool.tryAcquireSync();
      const got = resource !== null;
      if (resource) pool.release(resource);
      Atomics.store(flags, 1, 1);
      return got;
    });
    t.raise(0);
    expect(spinUntil(t.flags, 1), 'finished while the owner was busy').toBe(true);
    expect(await done).toBe(true);
  });

  test('gives null when everything is out, at once', async () => {
    const pool = await open({ factory: service(), max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    expect(await settled(t.run(({ pool }) => pool.tryAcquireSync() === null))).toBe(true);
  });

  test('has one made when nothing is made yet', async () => {
    const make = service();
    const pool = await open({
      factory: async () => {
        await sleep(20);
        return make();
      },
    });
    const t = await thread(pool);
    expect(await settled(t.run(({ pool }) => pool.tryAcquireSync()!.whoami()))).toBe(1);
  });

  test('gives null when the pool is closed or the breaker is INACTIVE', async () => {
    const pool = await open({ factory: service(), min: 1 });
    const t = await thread(pool);
    pool.deactivate();
    expect(await t.run(({ pool }) => pool.tryAcquireSync() === null)).toBe(true);
    pool.activate();
    await pool.close();
    expect(await t.run(({ pool }) => pool.tryAcquireSync() === null)).toBe(true);
  });

  test("throws the factory's error", async () => {
    const pool = await open({ factory: () => Promise.reject(new TypeError('no route')) });
    const t = await thread(pool);
    expect(await rejection(t.run(({ pool }) => pool.tryAcquireSync()))).toMatchObject({ name: 'TypeError', message: 'no route' });
  });

  test('with a hook waits for the hook', async () => {
    const pool = await open({
      factory: service(),
      min: 1,
      beforeAcquire: async () => {
        await sleep(20);
      },
    });
    const t = await thread(pool);
    expect(await settled(t.run(({ pool }) => pool.tryAcquireSync()!.whoami()))).toBe(1);
  });

  test('does not pass the line', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const mine = await pool.acquire();
    const [a, b] = await threads(2, pool);
    const waiting = a!.hold();
    await until(() => pool.waitingCount() === 1);
    expect(await b!.run(({ pool }) => pool.tryAcquireSync() === null)).toBe(true);
    pool.release(mine);
    await settled(waiting);
  });
});

describe('a slow connect', () => {
  test('does not hold up a worker when a resource comes back first', async () => {
    const slow = gate<Thing>();
    let calls = 0;
    const pool = await open({ max: 2, factory: () => (++calls === 1 ? { id: 1 } : slow.promise) });
    const mine = await pool.acquire();
    const t = await thread(pool);
    const waiting = t.hold();
    await until(() => calls === 2);
    pool.release(mine);
    await settled(waiting);
    slow.open({ id: 2 });
    await until(() => pool.idleCount() === 1);
  });

  test('serves whoever is first, on whatever thread', async () => {
    const slow = gate<Thing>();
    const pool = await open({ max: 1, factory: () => slow.promise });
    const t = await thread(pool);
    const first = t.hold();
    await until(() => pool.waitingCount() === 1);
    const second = pool.acquire();
    await until(() => pool.waitingCount() === 2);
    slow.open({ id: 1 });
    await settled(first);
    await pendingUntil(
      t.run(() => {}),
      second,
    );
    await t.giveBack();
    expect((await settled(second)).id).toBe(1);
  });
});
