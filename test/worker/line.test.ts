import { describe, expect, test } from 'vitest';
import { borrow, open } from '../support/pools.ts';
import { service } from '../support/service.ts';
import { type Thread, thread, threads } from '../support/thread.ts';
import { outcome, rejection, settled, sleep, until } from '../support/wait.ts';

/** A counter that every thread can draw the next number from. */
const counter = () => new Int32Array(new SharedArrayBuffer(4));

describe('the line', () => {
  test('is one, in the order of joining, over all threads, asynchronous and synchronous', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const held = await pool.acquire();
    const workers = await threads(4, pool);
    const served = counter();
    const places: Promise<number>[] = [];
    let joined = 0;
    const join = async (place: Promise<number>) => {
      places.push(place);
      joined++;
      await until(() => pool.waitingCount() === joined);
    };
    const onOwner = () => pool.use(() => Atomics.add(served, 0, 1));
    const asynchronous = (t: Thread<object>) => t.run(({ pool }, served) => pool.use(() => Atomics.add(served, 0, 1)), served);
    const synchronous = (t: Thread<object>) => t.run(({ pool }, served) => pool.useSync(() => Atomics.add(served, 0, 1)), served);
    await join(asynchronous(workers[0]!));
    await join(onOwner());
    await join(synchronous(workers[1]!));
    await join(asynchronous(workers[2]!));
    await join(asynchronous(workers[0]!));
    await join(onOwner());
    await join(synchronous(workers[3]!));
    await join(asynchronous(workers[2]!));
    pool.release(held);
    expect(await settled(Promise.all(places))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(pool.waitingCount()).toBe(0);
  });

  test('keeps its order when some of it leave', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const held = await pool.acquire();
    const [a, b, c] = await threads(3, pool);
    const served = counter();
    const body = (t: Thread<object>) => t.run(({ pool }, served) => pool.use(() => Atomics.add(served, 0, 1)), served);
    const first = body(a!);
    await until(() => pool.waitingCount() === 1);
    const leaving = b!.run(({ pool, keep, outcome }) =>
      outcome(pool.acquire({ signal: keep('controller', new AbortController()).signal }).then(() => {})),
    );
    await until(() => pool.waitingCount() === 2);
    const second = body(c!);
    await until(() => pool.waitingCount() === 3);
    const third = body(b!);
    await until(() => pool.waitingCount() === 4);
    await b!.run(({ kept }) => kept<AbortController>('controller').abort());
    expect((await settled(leaving)).error).toMatchObject({ name: 'AbortError' });
    expect(pool.waitingCount()).toBe(3);
    pool.release(held);
    expect(await settled(Promise.all([first, second, third]))).toEqual([0, 1, 2]);
  });

  test('serves as many waiters as there are resources, on as many threads', async () => {
    const pool = await open({ factory: service(), max: 3 });
    const held = await borrow(pool, 3);
    const workers = await threads(3, pool);
    const waiting = workers.map((t) => t.hold());
    await until(() => pool.waitingCount() === 3);
    for (const each of held) pool.release(each);
    await settled(Promise.all(waiting));
    expect(pool.stats()).toMatchObject({ active: 3, waiting: 0 });
  });

  test('leaves the surplus to whoever comes', async () => {
    const pool = await open({ factory: service(), max: 3 });
    const held = await borrow(pool, 3);
    const [a, b] = await threads(2, pool);
    const waiting = a!.hold();
    await until(() => pool.waitingCount() === 1);
    for (const each of held) pool.release(each);
    await settled(waiting);
    expect(await b!.run(({ pool }) => pool.tryAcquireSync() !== null && pool.tryAcquireSync() !== null)).toBe(true);
  });
});

describe('a tight acquire and release loop on one thread starves nobody:', () => {
  const loops: Record<string, Parameters<Thread<object>['run']>[0]> = {
    synchronous: ({ pool, flags }) => {
      while (Atomics.load(flags, 0) === 0) {
        const resource = pool.acquireSync();
        pool.release(resource);
        Atomics.add(flags, 1, 1);
      }
    },
    asynchronous: async ({ pool, flags, sleep }) => {
      while (Atomics.load(flags, 0) === 0) {
        const resource = await pool.acquire();
        pool.release(resource);
        if (Atomics.add(flags, 1, 1) % 256 === 0) await sleep(0);
      }
    },
  };

  test.each(Object.entries(loops))('%s', async (_, loop) => {
    const pool = await open({ factory: service(), min: 1, max: 1 });
    const [greedy, other] = await threads(2, pool);
    const running = greedy!.run(loop as never);
    await until(() => Atomics.load(greedy!.flags, 1) > 10);
    const theirs = other!.run(async ({ pool }, rounds) => {
      const passed: number[] = [];
      for (let i = 0; i < 60; i++) {
        const before = Atomics.load(rounds, 1);
        const resource = i % 2 ? await pool.acquire({ timeout: 60_000 }) : pool.acquireSync({ timeout: 60_000 });
        passed.push(Atomics.load(rounds, 1) - before);
        pool.release(resource);
      }
      return passed;
    }, greedy!.flags);
    const mine: number[] = [];
    for (let i = 0; i < 60; i++) {
      const before = Atomics.load(greedy!.flags, 1);
      const resource = await pool.acquire({ timeout: 60_000 });
      mine.push(Atomics.load(greedy!.flags, 1) - before);
      pool.release(resource);
    }
    // How often the loop was served before the other. A thread may lose its core between the look at the count and its place in line, but not
    // half of the time.
    for (const passed of [mine, await settled(theirs)]) expect(passed.sort((a, b) => a - b)[30]).toBeLessThan(100);
    const before = Atomics.load(greedy!.flags, 1);
    await until(() => Atomics.load(greedy!.flags, 1) > before);
    greedy!.raise(0);
    await settled(running);
  });
});

describe('leaving the line on a worker', () => {
  test('timeout: AcquireTimeoutError, neither early nor much too late', async () => {
    const pool = await open({ factory: service(), name: 'db', max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    const { error, took } = await t.run(async ({ pool, outcome }) => {
      const started = performance.now();
      const { error } = await outcome(pool.acquire({ timeout: 60 }));
      return { error, took: performance.now() - started };
    });
    expect(error).toMatchObject({ name: 'AcquireTimeoutError', code: 'ERR_POOL_ACQUIRE_TIMEOUT', pool: 'db' });
    expect(took).toBeGreaterThanOrEqual(58);
    expect(pool.stats()).toMatchObject({ timedOut: 1, waiting: 0, rejected: 0 });
  });

  test('timeout: acquireTimeout is the default, and 0 is for ever', async () => {
    const pool = await open({ factory: service(), max: 1, acquireTimeout: 30 });
    const mine = await pool.acquire();
    const t = await thread(pool);
    const { errors, still } = await t.run(async ({ pool, outcome, pending }) => {
      let still = true;
      const over = () => {
        still = false;
      };
      const patient = pool.acquire({ timeout: 0 });
      patient.then(over, over);
      pending.patient = patient.then((resource) => pool.release(resource));
      // The second begins to wait when the patient one has waited for as long as the pool's own timeout.
      const errors = [(await outcome(pool.acquire())).error, (await outcome(pool.acquire())).error];
      return { errors, still };
    });
    for (const error of errors) expect(error).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
    expect(still).toBe(true);
    pool.release(mine);
    await settled(t.run(async ({ pending }) => void (await pending.patient)));
  });

  test('timeout: the error says who holds what', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    await t.hold();
    const error = (await rejection(t.run(({ pool }) => pool.acquire({ timeout: 20 })))) as Error;
    expect(error.message).toMatch(/h[eo]ld|borrow|active|out\b|in use/i);
  });

  test('abort: the reason arrives, before, while and after', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    const result = await t.run(async ({ pool, held, sleep }) => {
      const reason = { why: 'because' };
      const of = (promise: Promise<unknown>) =>
        promise.then(
          () => 'served',
          (error: unknown) => (error === reason ? 'reason' : error),
        );
      const before = await of(pool.acquire({ signal: AbortSignal.abort(reason) }));
      const late = new AbortController();
      held.push(await pool.acquire({ signal: late.signal }));
      late.abort(reason);
      await sleep(5);
      const after = await held[0]!.add(1, 1);
      const controller = new AbortController();
      const waiting = of(pool.acquire({ signal: controller.signal }));
      await sleep(10);
      const line = pool.waitingCount();
      controller.abort(reason);
      return [before, after, line, await waiting, pool.waitingCount()];
    });
    expect(result).toEqual(['reason', 2, 1, 'reason', 0]);
    expect(pool.stats()).toMatchObject({ timedOut: 0, rejected: 0, active: 1 });
  });

  test('abort: no listener stays on the signal', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    const counts = await t.run(async ({ pool }) => {
      // Counts what stays, for want of an import.
      let count = 0;
      const { signal } = new AbortController();
      const { addEventListener: add, removeEventListener: remove } = signal;
      signal.addEventListener = (...args: unknown[]) => {
        count++;
        return Reflect.apply(add, signal, args);
      };
      signal.removeEventListener = (...args: unknown[]) => {
        count--;
        return Reflect.apply(remove, signal, args);
      };
      const resource = await pool.acquire({ signal });
      const immediate = count;
      await pool.acquire({ signal, timeout: 10 }).catch(() => {});
      const timedOut = count;
      const waiting = pool.acquire({ signal });
      pool.release(resource);
      pool.release(await waiting);
      return [immediate, timedOut, count];
    });
    expect(counts).toEqual([0, 0, 0]);
  });

  test('just when it is granted: the resource is either got or passed on', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const [a, b] = await threads(2, pool);
    const seen = { served: 0, left: 0 };
    for (let i = 0; i < 40; i++) {
      const held = await pool.acquire({ timeout: 60_000 });
      const first = a!.run(async ({ pool, flags }, i) => {
        Atomics.store(flags, 1, 1);
        try {
          pool.release(i % 2 ? pool.acquireSync({ timeout: 10 }) : await pool.acquire({ timeout: 10 }));
          return 'served' as const;
        } catch {
          return 'left' as const;
        }
      }, i);
      await until(() => Atomics.exchange(a!.flags, 1, 0) === 1);
      const joined = performance.now();
      const second = b!.run(({ pool }) => pool.use((resource) => resource.whoami(), { timeout: 60_000 }));
      while (performance.now() - joined < 7.5 + (i % 8) * 0.5);
      pool.release(held);
      seen[await settled(first)]++;
      expect(await settled(second)).toBe(1);
    }
    expect(seen.served + seen.left).toBe(40);
    expect(pool.stats()).toMatchObject({ idle: 1, active: 0, waiting: 0 });
  });
});

test('acquires that come and go on many threads lose nothing', async () => {
  const pool = await open({ factory: service(), max: 2 });
  const workers = await threads(3, pool);
  const work = workers.map((t, seed) =>
    t.run(async ({ pool, sleep }, seed) => {
      let random = seed * 7919 + 1;
      const next = (n: number) => {
        random = (random * 1103515245 + 12345) & 0x7fffffff;
        return (random >>> 8) % n;
      };
      let served = 0;
      const one = async () => {
        for (let i = 0; i < 40; i++) {
          try {
            const kind = next(4);
            if (kind === 0) {
              const controller = new AbortController();
              setTimeout(() => controller.abort(), next(3));
              const resource = await pool.acquire({ signal: controller.signal });
              pool.release(resource);
            } else if (kind === 1) {
              const resource = await pool.acquire({ timeout: 1 + next(3) });
              await sleep(next(2));
              pool.release(resource);
            } else if (kind === 2) {
              const resource = await pool.tryAcquire();
              if (resource) next(5) ? pool.release(resource) : pool.destroy(resource);
            } else {
              const resource = pool.acquireSync({ timeout: 1 + next(4) });
              pool.release(resource);
            }
            served++;
          } catch (error) {
            if ((error as { code?: unknown }).code !== 'ERR_POOL_ACQUIRE_TIMEOUT' && (error as Error).name !== 'AbortError') throw error;
          }
        }
      };
      await Promise.all([one(), one(), one()]);
      return served;
    }, seed),
  );
  const mine = (async () => {
    for (let i = 0; i < 60; i++) {
      const { value } = await outcome(pool.acquire({ timeout: 1 + (i % 4) }));
      if (value) {
        await sleep(i % 2);
        pool.release(value);
      }
    }
  })();
  await settled(Promise.all([...work, mine]));
  await until(() => pool.activeCount() === 0 && pool.waitingCount() === 0);
  const both = await settled(borrow(pool, 2));
  expect(new Set(both).size).toBe(2);
});
