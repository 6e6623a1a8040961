import { describe, expect, test } from 'vitest';
import { deaths } from '../support/deaths.ts';
import { borrow, expectWhole, open, record } from '../support/pools.ts';
import { type Service, service, services } from '../support/service.ts';
import { thread, threads } from '../support/thread.ts';
import { BOUND, rejection, settled, sleep, turns, until } from '../support/wait.ts';

/** How often. In their number lies the chance of a rare moment; what must hold at each of them is explored in test/interleave/death. */
const [KILLS, SLEEPERS, WAITERS] = process.env.CENOTE_LONG === '1' ? [300, 25, 15] : [72, 8, 6];

/** Everything must be back within this time. */
/** An owner hears of a death within about a second; a machine that is busy with other things takes longer. */
const BACK = BOUND;

describe.each(deaths)('a thread that ends by %s', (_, kill) => {
  test('while it holds resources: they come back', async () => {
    const pool = await open<Service>({ factory: service(), max: 3 });
    const log = record(pool);
    const t = await thread(pool);
    await t.hold(2);
    await t.run(({ pool, syncHeld }) => void syncHeld.push(pool.acquireSync()));
    kill(t);
    await until(() => pool.activeCount() === 0, BACK);
    await until(() => log.detached.length === 1, BACK);
    expect(log.detached).toEqual([{ threadId: t.id, reclaimed: 3 }]);
    expect(pool.stats().reclaimed).toBe(3);
    await expectWhole(pool);
  });

  test('while it waits: its place in line is freed', async () => {
    const pool = await open<Service>({ factory: service(), max: 1 });
    const log = record(pool);
    const mine = await pool.acquire();
    const t = await thread(pool);
    t.hold().catch(() => {});
    t.run(({ pool }) => pool.use(() => {})).catch(() => {});
    await until(() => pool.waitingCount() === 2);
    const behind = pool.acquire();
    await until(() => pool.waitingCount() === 3);
    kill(t);
    await until(() => pool.waitingCount() === 1, BACK);
    pool.release(mine);
    pool.release(await settled(behind, BACK));
    await until(() => log.detached.length === 1, BACK);
    expect(log.detached[0]).toEqual({ threadId: t.id, reclaimed: 0 });
  });

  test('while others wait for what it holds: they are served', async () => {
    const pool = await open<Service>({ factory: service(), max: 1 });
    const [t, other] = await threads(2, pool);
    await t!.hold();
    const waiting = [pool.use((resource) => resource.whoami()), other!.run(({ pool }) => pool.useSync((resource) => resource.whoami()))];
    await until(() => pool.waitingCount() === 2);
    kill(t!);
    expect(await settled(Promise.all(waiting), BACK)).toEqual([2, 2]);
  });

  test('inside a call: the resource comes back', async () => {
    const { factory, made } = services();
    const pool = await open<Service>({ factory, max: 1 });
    const t = await thread(pool);
    t.run(({ pool }) => pool.use((resource) => resource.slow(100))).catch(() => {});
    await until(() => made[0]?.running === 1);
    kill(t);
    pool.release(await settled(pool.acquire(), BACK));
  });

  test('inside a call that never settles: the resource comes back', async () => {
    const { factory, made } = services();
    const pool = await open<Service>({ factory, max: 1 });
    const t = await thread(pool);
    t.run(({ pool }) => pool.use((resource) => resource.hang())).catch(() => {});
    await until(() => made[0]?.running === 1);
    kill(t);
    expect((await settled(pool.acquire(), BACK)).id).toBe(2);
  });

  test('does not disturb the other threads', async () => {
    const pool = await open<Service>({ factory: service(), max: 4 });
    const [t, other] = await threads(2, pool);
    await Promise.all([t!.hold(), other!.hold()]);
    kill(t!);
    await until(() => pool.activeCount() === 1, BACK);
    expect(await other!.run(({ held: [remote] }) => remote!.add(1, 2))).toBe(3);
    expect(await other!.run(({ pool }) => pool.useSync((resource) => resource.add(3, 4)))).toBe(7);
    await other!.giveBack();
    await expectWhole(pool);
  });
});

describe('a thread that is terminated', () => {
  test('while it holds something: that counts as given back, and whoever gets its record counts from nothing', async () => {
    const pool = await open({ factory: service(), max: 2, maxThreads: 1 });
    const t = await thread(pool);
    await t.hold();
    await t.terminate();
    await until(() => pool.stats().reclaimed === 1);
    expect(pool.stats()).toMatchObject({ acquired: 1, released: 1 });
    const next = await thread(pool);
    await next.hold();
    expect(pool.stats()).toMatchObject({ acquired: 2, released: 1 });
  });

  test('while it sleeps in acquireSync: its place in line is freed', async () => {
    const pool = await open<Service>({ factory: service(), max: 1 });
    const mine = await pool.acquire();
    const t = await thread(pool);
    t.run(({ pool }) => void pool.acquireSync()).catch(() => {});
    await until(() => pool.waitingCount() === 1);
    await t.terminate();
    await until(() => pool.waitingCount() === 0, BACK);
    pool.release(mine);
    await expectWhole(pool);
  });

  test('just when it is granted in its sleep: the grant goes to the next', async () => {
    for (let i = 0; i < SLEEPERS; i++) {
      const pool = await open<Service>({ factory: service(), max: 1 });
      const mine = await pool.acquire();
      const t = await thread(pool);
      t.run(({ pool }) => void pool.acquireSync()).catch(() => {});
      await until(() => pool.waitingCount() === 1);
      const next = pool.acquire();
      await until(() => pool.waitingCount() === 2);
      if (i % 2) {
        pool.release(mine);
        await t.terminate();
      } else {
        const ended = t.terminate();
        pool.release(mine);
        await ended;
      }
      await settled(next, BACK);
      await pool.close();
    }
  });

  test('just when it is granted asynchronously: the grant goes to the next', async () => {
    for (let i = 0; i < WAITERS; i++) {
      const pool = await open<Service>({ factory: service(), max: 1 });
      const mine = await pool.acquire();
      const [t, other] = await threads(2, pool);
      t!.hold().catch(() => {});
      await until(() => pool.waitingCount() === 1);
      const next = other!.run(({ pool }) => pool.useSync((resource) => resource.whoami()));
      await until(() => pool.waitingCount() === 2);
      const ended = t!.terminate();
      pool.release(mine);
      await ended;
      expect([1, 2]).toContain(await settled(next, BACK));
      await pool.close();
    }
  });

  test('inside a synchronous call: the resource comes back', async () => {
    const { factory, made } = services();
    const pool = await open<Service>({ factory, max: 1 });
    const t = await thread(pool);
    t.run(({ pool }) => pool.useSync((resource) => resource.slow(100))).catch(() => {});
    await until(() => made[0]?.running === 1);
    await t.terminate();
    pool.release(await settled(pool.acquire(), BACK));
  });

  test('inside a synchronous call that never settles: the resource comes back', async () => {
    const { factory, made } = services();
    const pool = await open<Service>({ factory, max: 1 });
    const t = await thread(pool);
    t.run(({ pool }) => pool.useSync((resource) => resource.hang())).catch(() => {});
    await until(() => made[0]?.running === 1);
    await t.terminate();
    expect((await settled(pool.acquire(), BACK)).id).toBe(2);
  });

  test('while it is blocked by something else: what it holds comes back', async () => {
    const pool = await open<Service>({ factory: service(), max: 2 });
    const t = await thread(pool);
    t.run(({ pool, block, tell }) => {
      pool.acquireSync();
      tell('blocked');
      block(0);
    }).catch(() => {});
    await until(() => t.told.length === 1);
    await t.terminate();
    await until(() => pool.activeCount() === 0, BACK);
  });

  test('after a release with calls in flight: the resource comes back', async () => {
    const pool = await open<Service>({ factory: service(), max: 1 });
    const t = await thread(pool);
    await t.hold();
    await t.run(({ pool, held, pending }) => {
      const remote = held.pop()!;
      pending.call = remote.slow(100);
      pool.release(remote);
    });
    await t.terminate();
    pool.release(await settled(pool.acquire(), BACK));
    await expectWhole(pool);
  });

  test('while a slow factory works for it: what arrives serves the next, or is idle', async () => {
    const make = service();
    let calls = 0;
    const pool = await open<Service>({
      max: 1,
      factory: async () => {
        calls++;
        await sleep(80);
        return make();
      },
    });
    const t = await thread(pool);
    t.hold().catch(() => {});
    await until(() => calls === 1);
    await t.terminate();
    await until(() => pool.waitingCount() === 0, BACK);
    expect((await settled(pool.acquire(), BACK)).id).toBeGreaterThan(0);
  });

  test('while a hook runs for it: the resource is not lost', async () => {
    let asked = 0;
    const pool = await open<Service>({
      factory: service(),
      min: 1,
      max: 1,
      beforeAcquire: async () => {
        asked++;
        await sleep(60);
      },
    });
    const t = await thread(pool);
    t.hold().catch(() => {});
    await until(() => asked === 1);
    await t.terminate();
    pool.release(await settled(pool.acquire(), BACK));
    await expectWhole(pool);
  });

  test('in an acquire storm: nothing is lost', async () => {
    const pool = await open<Service>({ factory: service(), max: 3 });
    const log = record(pool);
    const others = await threads(1, pool);
    const work = others[0]!.run(async ({ pool, flags }) => {
      let served = 0;
      // Once at least, however late a busy machine lets this thread begin.
      while (served === 0 || Atomics.load(flags, 0) === 0) {
        await pool.use((resource) => resource.add(served, 1), { timeout: 60_000 });
        served++;
      }
      return served;
    });
    for (let i = 0; i < 8; i++) {
      const t = await thread(pool);
      t.run(async ({ pool, flags }) => {
        await Promise.all(
          Array.from({ length: 6 }, async () => {
            for (;;) {
              const resource = await pool.acquire();
              void resource.add(1, 2).catch(() => {});
              Atomics.add(flags, 1, 1);
              pool.release(resource);
            }
          }),
        );
      }).catch(() => {});
      await until(() => Atomics.load(t.flags, 1) > 5 + i);
      await t.terminate();
    }
    others[0]!.raise(0);
    expect(await settled(work, BACK)).toBeGreaterThan(0);
    await until(() => pool.activeCount() === 0 && pool.waitingCount() === 0, BACK);
    await until(() => log.detached.length === 8, BACK);
    await expectWhole(pool);
  });

  test('together with all the others: everything comes back', async () => {
    const pool = await open<Service>({ factory: service(), max: 3 });
    const log = record(pool);
    for (let round = 0; round < 4; round++) {
      const all = await threads(4, pool);
      for (const [i, t] of all.entries()) {
        t.run(
          async ({ pool, flags }, synchronous) => {
            for (;;) {
              if (synchronous) pool.useSync(() => Atomics.add(flags, 1, 1));
              else await pool.use(() => Atomics.add(flags, 1, 1));
            }
          },
          i % 2 === 0,
        ).catch(() => {});
      }
      await until(() => all.every((t) => Atomics.load(t.flags, 1) > 3 * round));
      await Promise.all(all.map((t) => t.terminate()));
      await until(() => log.detached.length === 4 * (round + 1), BACK);
      await until(() => pool.activeCount() === 0 && pool.waitingCount() === 0, BACK);
      await expectWhole(pool);
    }
  });

  test('takes the threads that it started along: what they hold comes back, too', async () => {
    const pool = await open<Service>({ factory: service(), max: 2 });
    const log = record(pool);
    const t = await thread(pool);
    await t.hold();
    t.run(({ nested, handle }) =>
      nested(handle, async ({ pool, flags }) => {
        await pool.acquire();
        Atomics.store(flags, 1, 1);
        await new Promise(() => {});
      }),
    ).catch(() => {});
    await until(() => Atomics.load(t.flags, 1) === 1);
    expect(pool.activeCount()).toBe(2);
    await t.terminate();
    await until(() => log.detached.length === 2 && pool.activeCount() === 0, BACK);
    await expectWhole(pool);
  });

  test('while it attaches leaves nothing behind', async () => {
    const pool = await open<Service>({ factory: service(), maxThreads: 3 });
    const before = pool.stats().threads;
    for (let i = 0; i < 6; i++) {
      const t = await thread();
      t.run(async ({ attachPool, tell }, handle) => {
        tell('about to');
        await attachPool(handle);
        tell('done');
      }, pool.handle).catch(() => {});
      await until(() => t.told.length > 0);
      if (i % 2) await sleep(i % 3);
      await t.terminate();
    }
    await until(() => pool.stats().threads === before, BACK);
    await threads(3, pool);
  });
});

test('a thread that runs out of memory gives everything back', async () => {
  const pool = await open<Service>({ factory: service(), max: 2 });
  const log = record(pool);
  const t = await thread(pool, { resourceLimits: { maxOldGenerationSizeMb: 24 } });
  await t.hold(2);
  void t.exited;
  t.run(() => {
    const hoard: unknown[] = [];
    for (;;) hoard.push(new Array(1000).fill(hoard.length));
  }).catch(() => {});
  await settled(t.exited);
  expect(t.fatal()).toMatchObject({ code: 'ERR_WORKER_OUT_OF_MEMORY' });
  await until(() => log.detached.length === 1, BACK);
  expect(log.detached).toEqual([{ threadId: t.id, reclaimed: 2 }]);
  await until(() => pool.activeCount() === 0, BACK);
  await expectWhole(pool);
});

describe('what becomes of an orphan', () => {
  test("by default, and with 'destroy': it is destroyed, with the reason 'orphaned'", async () => {
    for (const options of [{}, { orphans: 'destroy' as const }]) {
      const gone: Service[] = [];
      const pool = await open<Service>({ factory: service(), max: 1, destructor: (resource) => void gone.push(resource), ...options });
      const log = record(pool);
      const t = await thread(pool);
      await t.hold();
      await t.terminate();
      await until(() => pool.count() === 0, BACK);
      expect(gone.map(({ id }) => id)).toEqual([1]);
      expect(log.reasons()).toEqual(['orphaned']);
      expect((await settled(pool.acquire())).id).toBe(2);
    }
  });

  test("with 'release': it is idle again", async () => {
    const pool = await open<Service>({ factory: service(), max: 1, orphans: 'release' });
    const log = record(pool);
    const t = await thread(pool);
    await t.hold();
    await t.terminate();
    await until(() => pool.idleCount() === 1, BACK);
    expect(log.destroyed).toEqual([]);
    expect(log.detached).toEqual([{ threadId: t.id, reclaimed: 1 }]);
    expect((await settled(pool.acquire())).id).toBe(1);
  });

  test("with 'release': it waits for the calls in flight", async () => {
    const { factory, made } = services();
    const pool = await open<Service>({ factory, max: 1, orphans: 'release' });
    const t = await thread(pool);
    t.run(({ pool }) => pool.use((resource) => resource.slow(150))).catch(() => {});
    await until(() => made[0]?.running === 1);
    await t.terminate();
    const resource = await settled(pool.acquire(), BACK);
    expect(resource.running).toBe(0);
  });

  test('min is made again', async () => {
    const pool = await open<Service>({ factory: service(), min: 2, max: 2 });
    const t = await thread(pool);
    await t.hold(2);
    await t.terminate();
    await until(() => pool.idleCount() === 2, BACK);
    expect(pool.stats()).toMatchObject({ created: 4, destroyed: 2, reclaimed: 2 });
  });

  test('a shared value, too', async () => {
    let port = 8000;
    const pool = await open({ factory: () => ({ port: ++port }), max: 1, share: (resource) => resource.port });
    const t = await thread(pool);
    await t.run(async ({ pool }) => void (await pool.acquire()));
    await t.terminate();
    expect((await settled(pool.acquire(), BACK)).port).toBe(8002);
  });
});

test('a thread that has given everything back is not charged with orphans', async () => {
  const pool = await open<Service>({ factory: service(), max: 2 });
  const log = record(pool);
  const t = await thread(pool);
  await t.hold(2);
  await t.giveBack();
  await t.giveBack();
  await t.terminate();
  await until(() => log.detached.length === 1, BACK);
  expect(log.detached).toEqual([{ threadId: t.id, reclaimed: 0 }]);
  await turns();
  expect(pool.idleCount()).toBe(2);
});

test('a thread that ends by itself while it holds something loses it, too', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const log = record(pool);
  const t = await thread(pool);
  await t.hold();
  t.finish();
  await settled(t.exited, BACK);
  await until(() => log.detached.length === 1, BACK);
  expect(log.detached).toEqual([{ threadId: t.id, reclaimed: 1 }]);
  await settled(pool.acquire(), BACK);
});

test('killing a thread many times under load loses no slot and no waiter', async () => {
  const pool = await open<Service>({ factory: service(), max: 3, maxThreads: 16 });
  const log = record(pool);
  const survivor = await thread(pool);
  const work = survivor.run(async ({ pool, flags }) => {
    let served = 0;
    while (Atomics.load(flags, 0) === 0) {
      if (served % 3) await pool.use((resource) => resource.add(1, 1), { timeout: 60_000 });
      else pool.useSync((resource) => resource.add(1, 1), { timeout: 60_000 });
      served++;
    }
    return served;
  });
  let mine = 0;
  let over = false;
  const owner = (async () => {
    while (!over) {
      await pool.use(() => sleep(1), { timeout: 60_000 });
      mine++;
    }
  })();
  let started = 0;
  const killer = async () => {
    while (started < KILLS) {
      const number = started++;
      const t = await thread(pool);
      t.run(async ({ pool, flags }, number) => {
        for (;;) {
          Atomics.add(flags, 1, 1);
          if (number % 3 === 0) {
            const resource = pool.acquireSync();
            if (number % 2) resource.add(1, 2);
            pool.release(resource);
          } else {
            const [one, two] = await Promise.all([pool.acquire(), pool.acquire()]);
            void one.add(1, 2).catch(() => {});
            pool.release(one);
            if (number % 4) await two.add(1, 2);
            pool.release(two);
          }
        }
      }, number).catch(() => {});
      await until(() => Atomics.load(t.flags, 1) > number % 8);
      await settled(t.terminate());
    }
  };
  await Promise.all([killer(), killer(), killer()]);
  over = true;
  survivor.raise(0);
  await settled(owner);
  expect(await settled(work)).toBeGreaterThan(0);
  expect(mine).toBeGreaterThan(0);
  await until(() => log.detached.length === KILLS, BACK);
  await until(() => pool.activeCount() === 0 && pool.waitingCount() === 0, BACK);
  expect(pool.stats().threads).toBeLessThanOrEqual(2);
  const all = await settled(borrow(pool, 3), BACK);
  expect(new Set(all).size).toBe(3);
  for (const each of all) pool.release(each);
  await rejection(pool.acquire({ signal: AbortSignal.abort() }));
  await expectWhole(pool);
});

test('what a thread gave up as broken is not kept as an orphan if the thread dies before its calls have ended', async () => {
  const pool = await open<Service>({ factory: service(), max: 1, orphans: 'release' });
  const log = record(pool);
  const t = await thread(pool);
  await t.run(async ({ pool }) => {
    const remote = await pool.acquire();
    void remote.slow(300).catch(() => {});
    await remote.whoami();
    pool.destroy(remote);
  });
  await t.terminate();
  await until(() => log.destroyed.length === 1);
  expect(log.reasons()).toEqual(['destroyed']);
  expect(pool.count()).toBe(0);
});
