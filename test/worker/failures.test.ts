import { describe, expect, test } from 'vitest';
import { expectWhole, open, record } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { thread, threads } from '../support/thread.ts';
import { gate, outcome, rejection, settled, sleep, until } from '../support/wait.ts';

describe('a factory that always fails', () => {
  test('is told to each of more waiters than slots, on every thread', async () => {
    let calls = 0;
    const pool = await open<Service>({
      max: 2,
      factory: async () => {
        await sleep(2);
        throw Object.assign(new TypeError(`no route ${calls++}`), { code: 'E_ROUTE' });
      },
    });
    const workers = await threads(3, pool);
    const failures = await settled(
      Promise.all([
        ...Array.from({ length: 5 }, () => rejection(pool.acquire())),
        ...workers.map((t, i) =>
          t.run(async ({ pool, outcome, attempt }, i) => {
            if (i === 0) {
              const errors: unknown[] = [];
              for (let n = 0; n < 4; n++) errors.push((await attempt(() => void pool.acquireSync())).error);
              return errors;
            }
            return Promise.all(Array.from({ length: 5 }, async () => (await outcome(pool.acquire())).error));
          }, i),
        ),
      ]).then((all) => all.flat()),
    );
    expect(failures).toHaveLength(5 + 4 + 5 + 5);
    for (const error of failures)
      expect(error).toMatchObject({ name: 'TypeError', code: 'E_ROUTE', message: expect.stringMatching(/^no route/) });
    expect(pool.stats()).toMatchObject({ count: 0, waiting: 0, rejected: 19 });
  });

  test('after every connection broke on return: whoever waits is told, on every thread', async () => {
    const make = service();
    let broken = false;
    const pool = await open<Service>({
      max: 2,
      factory: () => {
        if (broken) throw new Error('down');
        return make();
      },
      beforeRelease: () => !broken,
    });
    const workers = await threads(2, pool);
    await Promise.all(workers.map((t) => t.hold()));
    const waiting = [
      ...Array.from({ length: 3 }, () => rejection(pool.acquire())),
      ...workers.flatMap((t) => Array.from({ length: 3 }, () => rejection(t.hold()))),
    ];
    await until(() => pool.waitingCount() === 9);
    broken = true;
    await Promise.all(workers.map((t) => t.giveBack()));
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ message: 'down' });
    // All of them may have been told before the owner has looked at the second that came back.
    await until(() => pool.count() === 0);
    expect(pool.stats()).toMatchObject({ count: 0, waiting: 0 });
    broken = false;
    await expectWhole(pool);
  });

  test('keeps its cause and its own properties on the way', async () => {
    const pool = await open<Service>({
      factory: () => {
        throw Object.assign(new Error('outer', { cause: new RangeError('inner') }), { code: 'E_OUT', address: '10.0.0.1' });
      },
    });
    const t = await thread(pool);
    expect(await rejection(t.hold())).toMatchObject({
      message: 'outer',
      code: 'E_OUT',
      address: '10.0.0.1',
      cause: { name: 'RangeError', message: 'inner' },
    });
  });

  test('that gives nothing is a TypeError on a worker, too', async () => {
    const pool = await open({ factory: () => undefined as unknown as object });
    const t = await thread(pool);
    expect(await rejection(t.hold())).toMatchObject({ name: 'TypeError' });
  });

  test('that takes too long is a CreateTimeoutError on a worker, too', async () => {
    const pool = await open({ name: 'db', createTimeout: 20, factory: () => new Promise<object>(() => {}) });
    const t = await thread(pool);
    expect(await rejection(t.hold())).toMatchObject({ name: 'CreateTimeoutError', code: 'ERR_POOL_CREATE_TIMEOUT', pool: 'db' });
  });

  test('now and then, over several threads: everyone is served or told', async () => {
    const make = service();
    let calls = 0;
    const pool = await open<Service>({
      max: 2,
      factory: async () => {
        await sleep(calls % 2);
        if (calls++ % 2) throw new Error('now and then');
        return make();
      },
    });
    const workers = await threads(3, pool);
    const served = await settled(
      Promise.all(
        workers.map((t, i) =>
          t.run(async ({ pool }, i) => {
            let served = 0;
            for (let n = 0; n < 25; n++) {
              try {
                const resource = n % 3 === i ? pool.acquireSync({ timeout: 60_000 }) : await pool.acquire({ timeout: 60_000 });
                served++;
                if (n % 2) pool.destroy(resource);
                else pool.release(resource);
              } catch (error) {
                if ((error as Error).message !== 'now and then') throw error;
              }
            }
            return served;
          }, i),
        ),
      ),
    );
    expect(served.every((n) => n > 0)).toBe(true);
    await until(() => pool.activeCount() === 0);
    expect(pool.waitingCount()).toBe(0);
  });
});

describe('hooks over several threads', () => {
  test('beforeAcquire that says no: the worker gets another one', async () => {
    const pool = await open<Service>({ factory: service(), min: 2, max: 2, beforeAcquire: ({ id }) => id > 2 });
    const log = record(pool);
    const t = await thread(pool);
    const id = await settled(t.run(({ pool }) => pool.use((resource) => resource.whoami())));
    expect(id).toBeGreaterThan(2);
    expect(log.reasons()).toContain('rejected-on-acquire');
  });

  test('beforeAcquire that throws: the same, also for a synchronous acquire', async () => {
    const pool = await open<Service>({
      factory: service(),
      min: 1,
      max: 1,
      beforeAcquire: ({ id }) => {
        if (id === 1) throw new Error('stale');
      },
    });
    record(pool);
    const t = await thread(pool);
    expect(await settled(t.run(({ pool }) => pool.useSync((resource) => resource.whoami())))).toBe(2);
  });

  test('beforeAcquire is not asked about what is made for a worker', async () => {
    let asked = 0;
    const pool = await open<Service>({ factory: service(), beforeAcquire: () => void asked++ });
    const t = await thread(pool);
    await t.hold();
    expect(asked).toBe(0);
    await t.giveBack();
    await until(() => pool.idleCount() === 1);
    await t.hold();
    expect(asked).toBe(1);
  });

  test('a worker that times out during beforeAcquire leaves the good resource in the pool', async () => {
    let asked = 0;
    const slow = gate();
    const pool = await open<Service>({
      factory: service(),
      min: 1,
      max: 1,
      beforeAcquire: async () => {
        if (asked++ === 0) await slow.promise;
      },
    });
    const t = await thread(pool);
    expect(await rejection(t.run(({ pool }) => pool.acquire({ timeout: 20 })))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
    slow.open();
    expect((await settled(pool.acquire())).id).toBe(1);
  });

  test('beforeRelease that says no serves everyone in line with a new one', async () => {
    const pool = await open<Service>({ factory: service(), max: 2, beforeRelease: () => false });
    const workers = await threads(3, pool);
    const ids = await settled(
      Promise.all(
        workers.map((t) => t.run(({ pool }) => Promise.all(Array.from({ length: 5 }, () => pool.use((resource) => resource.whoami()))))),
      ),
    );
    expect(new Set(ids.flat()).size).toBe(15);
    await until(() => pool.count() === 0);
    expect(pool.stats()).toMatchObject({ created: 15, destroyed: 15 });
  });

  test('beforeRelease that is slow is over before anyone else has the resource', async () => {
    let checking = false;
    const pool = await open<{ enter(): boolean }>({
      max: 1,
      factory: () => ({ enter: () => checking }),
      beforeRelease: async () => {
        checking = true;
        await sleep(5);
        checking = false;
      },
    });
    const workers = await threads(2, pool);
    const seen = await settled(
      Promise.all(
        workers.map((t) =>
          t.run(async ({ pool }) => {
            const seen: boolean[] = [];
            for (let i = 0; i < 10; i++) seen.push(await pool.use((resource) => resource.enter()));
            return seen;
          }),
        ),
      ),
    );
    expect(seen.flat()).toEqual(Array(20).fill(false));
  });

  test('failing now and then, with healthchecks and limits on: everyone is served, nothing is lost', async () => {
    const make = service();
    let calls = 0;
    const flaky = async () => {
      await sleep(calls % 2);
      if (calls++ % 5 === 0) throw new Error('now and then');
      return calls % 4 !== 0;
    };
    let existing = 0;
    let most = 0;
    const pool = await open<Service>({
      min: 1,
      max: 3,
      maxUses: 4,
      maxLifetime: 50,
      idleTimeout: 20,
      healthcheckInterval: 5,
      factory: () => {
        most = Math.max(most, ++existing);
        return make();
      },
      destructor: () => {
        existing--;
      },
      healthcheck: flaky,
      beforeAcquire: flaky,
      beforeRelease: flaky,
    });
    record(pool);
    const workers = await threads(2, pool);
    await settled(
      Promise.all([
        ...workers.map((t, i) =>
          t.run(async ({ pool }, i) => {
            for (let n = 0; n < 40; n++) {
              if (n % 2 === i) await pool.use((resource) => resource.add(1, 1), { timeout: 60_000 });
              else pool.useSync((resource) => resource.add(1, 1), { timeout: 60_000 });
            }
          }, i),
        ),
        (async () => {
          for (let n = 0; n < 40; n++) expect((await outcome(pool.use((resource) => resource.whoami()))).value).toBeGreaterThan(0);
        })(),
      ]),
    );
    expect(most).toBeLessThanOrEqual(3);
    await until(() => pool.waitingCount() === 0);
    const all = await settled(Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]));
    expect(new Set(all).size).toBe(3);
  });
});

describe('retirement over several threads', () => {
  test('maxUses counts hand-outs on every thread', async () => {
    const pool = await open<Service>({ factory: service(), max: 1, maxUses: 3 });
    const log = record(pool);
    const [a, b] = await threads(2, pool);
    const ids: number[] = [];
    for (let i = 0; i < 9; i++) {
      if (i % 3 === 0) ids.push(await a!.run(({ pool }) => pool.use((resource) => resource.whoami())));
      else if (i % 3 === 1) ids.push(await b!.run(({ pool }) => pool.useSync((resource) => resource.whoami())));
      else ids.push(await pool.use((resource) => resource.whoami()));
    }
    expect(ids).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3]);
    await until(() => log.reasons().length === 3);
    expect(log.reasons()).toEqual(['max-uses', 'max-uses', 'max-uses']);
  });

  test('maxUses of 1: every hand-out gets its own, even in a tight loop', async () => {
    const pool = await open<Service>({ factory: service(), max: 2, maxUses: 1 });
    const workers = await threads(2, pool);
    const ids = await settled(
      Promise.all(
        workers.map((t) =>
          t.run(({ pool }) => {
            const ids: number[] = [];
            for (let i = 0; i < 30; i++) ids.push(pool.useSync((resource) => resource.whoami()));
            return ids;
          }),
        ),
      ),
    );
    expect(new Set(ids.flat()).size).toBe(60);
  });

  test('maxLifetime retires on return from a worker, even if somebody waits', async () => {
    const pool = await open<Service>({ factory: service(), max: 1, maxLifetime: 40 });
    const log = record(pool);
    const [a, b] = await threads(2, pool);
    await a!.hold();
    const waiting = b!.run(({ pool }) => pool.useSync((resource) => resource.whoami()));
    await until(() => pool.waitingCount() === 1);
    await sleep(60);
    await a!.giveBack();
    expect(await settled(waiting)).toBe(2);
    expect(log.reasons()[0]).toBe('max-lifetime');
  });

  test('maxLifetime retires also what never rests: a thread in a tight loop', async () => {
    const pool = await open<Service>({ factory: service(), max: 1, maxLifetime: 40 });
    const t = await thread(pool);
    const ids = await settled(
      t.run(({ pool }) => {
        const ids = new Set<number>();
        const end = performance.now() + 15_000;
        while (ids.size < 4 && performance.now() < end) {
          const resource = pool.acquireSync();
          ids.add(resource.whoami());
          pool.release(resource);
        }
        return [...ids];
      }),
    );
    expect(ids.length).toBe(4);
  });

  test('idleTimeout does not take what a worker has', async () => {
    const pool = await open<Service>({ factory: service(), max: 2, idleTimeout: 20 });
    const log = record(pool);
    const t = await thread(pool);
    await t.hold();
    // Another, which is idle from later on, has gone.
    pool.release(await pool.acquire());
    await until(() => log.destroyed.length === 1);
    expect(log.destroyed[0]!.resource.id).toBe(2);
    expect(await t.run(({ held: [remote] }) => remote!.whoami())).toBe(1);
    await t.giveBack();
    await until(() => pool.count() === 0);
  });

  test('the healthcheck never sees what a worker has', async () => {
    const seen: number[] = [];
    const pool = await open<Service>({
      factory: service(),
      min: 2,
      max: 2,
      healthcheckInterval: 5,
      healthcheck: ({ id }) => void seen.push(id),
    });
    const t = await thread(pool);
    const mine = await settled(
      t.run(async ({ pool, held }) => {
        held.push(await pool.acquire());
        return held[0]!.whoami();
      }),
    );
    const before = seen.filter((id) => id === mine).length;
    await until(() => seen.filter((id) => id !== mine).length > before + 5);
    expect(seen.filter((id) => id === mine)).toHaveLength(before);
  });
});
