import { describe, expect, test } from 'vitest';
import { noTimeouts } from '../support/no-timeouts.ts';
import { borrow, expectConsistent, open, record } from '../support/pools.ts';
import { service } from '../support/service.ts';
import { thread, threads } from '../support/thread.ts';
import { ownTime } from '../support/time.ts';
import { pendingUntil, rejection, settled, sleep, spinUntil, until } from '../support/wait.ts';

describe('the circuit breaker on a worker', () => {
  test('has the same state on every thread', async () => {
    const pool = await open({ factory: service() });
    const log = record(pool);
    const [a, b] = await threads(2, pool);
    const states = async () => [pool.getState(), ...(await Promise.all([a!, b!].map((t) => t.run(({ pool }) => pool.getState()))))];
    expect(await states()).toEqual(['active', 'active', 'active']);
    expect(
      await a!.run(({ pool }) => {
        pool.deactivate();
        return pool.getState();
      }),
    ).toBe('inactive');
    expect(await states()).toEqual(['inactive', 'inactive', 'inactive']);
    expect(
      await b!.run(({ pool }) => {
        pool.recover();
        return pool.getState();
      }),
    ).toBe('recovering');
    expect(await states()).toEqual(['recovering', 'recovering', 'recovering']);
    expect(
      await a!.run(({ pool }) => {
        pool.activate();
        return pool.getState();
      }),
    ).toBe('active');
    expect(await states()).toEqual(['active', 'active', 'active']);
    await until(() => log.states.length === 3);
    expect(log.states).toEqual(['active -> inactive', 'inactive -> recovering', 'recovering -> active']);
  });

  test('deactivate rejects everyone in line, on every thread, sleepers included', async () => {
    const pool = await open({ factory: service(), max: 1 });
    await pool.acquire();
    const [a, b, c] = await threads(3, pool);
    const waiting = [rejection(pool.acquire()), rejection(a!.hold()), rejection(b!.run(({ pool }) => void pool.acquireSync()))];
    await until(() => pool.waitingCount() === 3);
    await c!.run(({ pool }) => pool.deactivate());
    for (const error of await Promise.all(waiting))
      expect(error).toMatchObject({ name: 'ServiceUnavailableError', code: 'ERR_POOL_UNAVAILABLE' });
    expect(pool.waitingCount()).toBe(0);
    expect(pool.stats().rejected).toBe(3);
  });

  test('deactivate on the owner rejects the waiters on workers, also when the owner is busy right afterwards', async () => {
    const pool = await open({ factory: service(), max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    const waiting = t.run(async ({ pool, attempt, flags }) => {
      const { error } = await attempt(() => void pool.acquireSync());
      Atomics.store(flags, 1, 1);
      return error;
    });
    await until(() => pool.waitingCount() === 1);
    pool.deactivate();
    expect(spinUntil(t.flags, 1), 'told while the owner was busy').toBe(true);
    expect(await settled(waiting)).toMatchObject({ code: 'ERR_POOL_UNAVAILABLE' });
  });

  test('activate serves everyone again', async () => {
    const pool = await open({ factory: service(), max: 2 });
    const [a, b] = await threads(2, pool);
    pool.deactivate();
    await rejection(a!.hold());
    await b!.run(({ pool }) => pool.activate());
    await settled(Promise.all([a!.hold(), b!.hold()]));
  });

  test('RECOVERING lets recoveryProbes through over all threads together', async () => {
    const pool = await open({ factory: service(), max: 5, recoveryProbes: 2, circuitBreaker: { reportSuccess() {}, reportFailure() {} } });
    const [a, b] = await threads(2, pool);
    pool.recover();
    await settled(a!.hold());
    await settled(b!.hold());
    const third = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    await pendingUntil(
      a!.run(() => {}),
      third,
    );
    expect(await a!.run(({ pool }) => pool.tryAcquireSync() === null)).toBe(true);
    await a!.giveBack();
    await settled(third);
  });

  test('RECOVERING never has more than recoveryProbes out, whoever asks', async () => {
    let out = 0;
    let most = 0;
    const pool = await open({
      factory: () => ({
        enter() {
          most = Math.max(most, ++out);
        },
        leave() {
          out--;
        },
      }),
      max: 5,
      min: 5,
      recoveryProbes: 2,
      circuitBreaker: { reportSuccess() {}, reportFailure() {} },
    });
    const workers = await threads(2, pool);
    pool.recover();
    await settled(
      Promise.all(
        workers.map((t) =>
          t.run(async ({ pool }) => {
            await Promise.all(
              Array.from({ length: 4 }, () =>
                pool.use(async (resource) => {
                  await resource.enter();
                  await resource.leave();
                }),
              ),
            );
            for (let i = 0; i < 10; i++) {
              pool.useSync((resource) => {
                resource.enter();
                resource.leave();
              });
            }
          }),
        ),
      ),
    );
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(2);
  });

  test('RECOVERING without a strategy: clean returns from a worker activate', async () => {
    const pool = await open({ factory: service(), recoveryProbes: 2 });
    const t = await thread(pool);
    pool.deactivate();
    pool.recover();
    await t.run(async ({ pool }) => {
      await pool.use(() => {});
      await pool.use(() => {});
    });
    await until(() => pool.getState() === 'active');
  });

  test('RECOVERING without a strategy: one destroy on a worker deactivates', async () => {
    const pool = await open({ factory: service() });
    const t = await thread(pool);
    pool.recover();
    await t.run(({ pool }) => pool.use((resource) => pool.destroy(resource)));
    await until(() => pool.getState() === 'inactive');
  });

  test('a probe whose thread dies does not block the recovery', async () => {
    const pool = await open({ factory: service(), max: 3, circuitBreaker: { reportSuccess() {}, reportFailure() {} } });
    const t = await thread(pool);
    pool.recover();
    await settled(t.hold());
    const waiting = pool.acquire();
    await pendingUntil(
      t.run(() => {}),
      waiting,
    );
    await t.terminate();
    await settled(waiting);
  });

  test('a failing factory reaches the strategy once for each attempt', async () => {
    let failures = 0;
    const pool = await open<object>({
      max: 1,
      factory: () => Promise.reject(new Error('down')),
      circuitBreaker: { reportSuccess() {}, reportFailure: () => void failures++ },
    });
    const t = await thread(pool);
    for (let i = 0; i < 3; i++) await rejection(t.hold());
    await until(() => failures === 3);
    expect(pool.stats()).toMatchObject({ factoryFailures: 3, rejected: 3 });
  });
});

describe('stats on a worker', () => {
  test('agree with those of the owner when nothing moves', async () => {
    const pool = await open({ factory: service(), name: 'db', min: 1, max: 3 });
    const [a, b] = await threads(2, pool);
    await a!.hold();
    await b!.run(({ pool }) => pool.use(() => {}));
    await b!.run(({ pool }) => pool.use((resource) => pool.destroy(resource)));
    await until(() => pool.stats().destroyed === 1 && pool.stats().released === 2);
    await until(async () => JSON.stringify(await a!.run(({ pool }) => pool.stats())) === JSON.stringify(pool.stats()));
    expect(await a!.run(({ pool }) => pool.stats())).toMatchObject({ name: 'db', acquired: 3, released: 2, created: 2, destroyed: 1 });
  });

  test('are consistent at every instant, from every thread', async () => {
    const make = service();
    const pool = await open({
      max: 3,
      factory: async () => {
        await sleep(1);
        return make();
      },
      beforeAcquire: async () => {
        await sleep(0);
      },
      healthcheck: () => true,
      healthcheckInterval: 3,
    });
    const [observer, ...workers] = await threads(3, pool);
    const watching = observer!.run(({ pool, flags }) => {
      const wrong: unknown[] = [];
      let looks = 0;
      // Often enough, however late a busy machine lets this thread begin.
      while (looks <= 100 || Atomics.load(flags, 0) === 0) {
        const stats = pool.stats();
        looks++;
        if (stats.idle + stats.active !== stats.count || stats.count > stats.max || stats.count < 0) wrong.push(stats);
        if (looks % 100 === 0) Atomics.wait(flags, 1, 0, 1);
      }
      return { wrong, looks };
    });
    const mine = (async () => {
      for (let i = 0; i < 50; i++) {
        const resource = await pool.acquire();
        expectConsistent(pool.stats());
        i % 5 ? pool.release(resource) : pool.destroy(resource);
        expectConsistent(pool.stats());
      }
    })();
    await settled(
      Promise.all([
        mine,
        ...workers.map((t) =>
          t.run(async ({ pool }) => {
            for (let i = 0; i < 60; i++) {
              const resource = await pool.acquire();
              if (i % 7 === 0) pool.destroy(resource);
              else pool.release(resource);
            }
          }),
        ),
      ]),
    );
    observer!.raise(0);
    const { wrong, looks } = await watching;
    expect(wrong).toEqual([]);
    expect(looks).toBeGreaterThan(100);
  });

  test('know waits in line on every thread', async () => {
    const pool = await open({ factory: service(), min: 1, max: 1 });
    const [a, b] = await threads(2, pool);
    const held = await pool.acquire();
    const before = performance.now();
    const waiting = [
      a!.run(({ pool }) => pool.use(() => {})),
      b!.run(({ pool, flags }) => {
        const { wait } = Atomics;
        // It waits from before it goes to sleep.
        const asleep = (...args: Parameters<typeof wait>) => {
          Atomics.store(flags, 1, 1);
          return wait(...args);
        };
        Object.assign(Atomics, { wait: asleep });
        pool.useSync(() => {});
      }),
    ];
    // The wait of each is timed by itself, from a moment later than that in which it is counted.
    await until(() => pool.waitingCount() === 2 && Atomics.load(b!.flags, 1) === 1);
    await a!.run(() => {});
    await sleep(120);
    pool.release(held);
    await settled(Promise.all(waiting));
    const atMost = performance.now() - before;
    await until(() => pool.stats().waitTime.count === 2);
    const { p50, max } = pool.stats().waitTime;
    expect(p50).toBeGreaterThan(100);
    expect(max).toBeLessThan(atMost * 1.125 + 1);
  });

  test('acquired minus released is what is out, over all threads', async () => {
    const pool = await open({ factory: service(), max: 6 });
    const workers = await threads(2, pool);
    await Promise.all(workers.map((t) => t.hold(2)));
    await borrow(pool, 1);
    await workers[0]!.giveBack();
    await until(() => pool.stats().released === 1);
    const { acquired, released, active } = pool.stats();
    expect([acquired, released, active]).toEqual([5, 1, 4]);
  });

  test('count what a worker was refused, and its timeouts, but not its aborts', async () => {
    const make = service();
    let broken = false;
    const pool = await open({
      max: 1,
      maxWaiting: 1,
      factory: () => {
        if (broken) throw new Error('down');
        return make();
      },
    });
    const mine = await pool.acquire();
    const t = await thread(pool);
    const counts = () => {
      const { rejected, timedOut, factoryFailures } = pool.stats();
      return { rejected, timedOut, factoryFailures };
    };
    await t.run(({ pool, outcome }) => outcome(pool.acquire({ timeout: 5 })));
    await t.run(({ pool, attempt }) => attempt(() => void pool.acquireSync({ timeout: 5 })));
    await t.run(({ pool, outcome }) => outcome(pool.acquire({ signal: AbortSignal.timeout(5) })));
    expect(counts()).toEqual({ rejected: 0, timedOut: 2, factoryFailures: 0 });
    const waiting = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    await t.run(({ pool, outcome }) => outcome(pool.acquire()));
    await t.run(({ pool, attempt }) => attempt(() => void pool.acquireSync()));
    expect(counts()).toEqual({ rejected: 2, timedOut: 2, factoryFailures: 0 });
    pool.release(mine);
    const thing = await settled(waiting);
    pool.deactivate();
    await t.run(({ pool, outcome }) => outcome(pool.acquire()));
    await t.run(({ pool, attempt }) => attempt(() => void pool.acquireSync()));
    pool.activate();
    expect(counts()).toEqual({ rejected: 4, timedOut: 2, factoryFailures: 0 });
    broken = true;
    pool.destroy(thing);
    await t.run(({ pool, outcome }) => outcome(pool.acquire()));
    expect(counts()).toEqual({ rejected: 5, timedOut: 2, factoryFailures: 1 });
    await pool.close();
    await t.run(({ pool, outcome }) => outcome(pool.acquire()));
    expect(counts()).toEqual({ rejected: 6, timedOut: 2, factoryFailures: 1 });
  });

  test('keep the counters of threads that are gone', async () => {
    const pool = await open({ factory: service(), max: 2 });
    const log = record(pool);
    for (let i = 0; i < 3; i++) {
      const t = await thread(pool);
      await t.run(({ pool }) => pool.use(() => {}));
      i % 2 ? await t.terminate() : await t.run(({ pool }) => pool.detach());
      await until(() => log.detached.length === i + 1);
    }
    expect(pool.stats()).toMatchObject({ acquired: 3, released: 3 });
  });
});

describe("'leak' on a worker", () => {
  test('names the thread', async () => {
    const pool = await open({ factory: service(), leakDetectionThreshold: 40 });
    const log = record(pool);
    const t = await thread(pool);
    await t.hold();
    await until(() => log.leaks.length > 0);
    expect(log.leaks[0]!.threadId).toBe(t.id);
    expect(log.leaks[0]!.heldFor).toBeGreaterThanOrEqual(39);
  });

  test('has the stack of the acquire', async () => {
    // So that the owner does not stop waiting for it.
    noTimeouts();
    const pool = await open({ factory: service(), leakDetectionThreshold: 40 });
    const log = record(pool);
    const t = await thread(pool);
    await t.run(async ({ pool }) => {
      const theFunctionThatForgets = () => pool.acquireSync();
      theFunctionThatForgets();
    });
    await until(() => log.leaks.length > 0);
    expect(log.leaks[0]!.stack).toContain('theFunctionThatForgets');
  });

  test('is noticed also when the thread is blocked', async () => {
    const pool = await open({ factory: service(), leakDetectionThreshold: 40 });
    const log = record(pool);
    const t = await thread(pool);
    const blocked = t.run(({ pool, block }) => {
      const resource = pool.acquireSync();
      block(0);
      pool.release(resource);
    });
    await until(() => log.leaks.length > 0);
    expect(log.leaks[0]!.threadId).toBe(t.id);
    t.raise(0);
    await blocked;
  });

  test('keeps quiet about what comes back in time', async () => {
    const time = ownTime();
    const pool = await open({ factory: service(), leakDetectionThreshold: 500 });
    const log = record(pool);
    const t = await thread(pool);
    for (let i = 0; i < 5; i++) await t.run(({ pool }) => pool.use((resource) => resource.whoami()));
    await time.pass(60_000);
    expect(log.leaks).toEqual([]);
  });
});
