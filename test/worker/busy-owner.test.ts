import { describe, expect, onTestFinished, test } from 'vitest';
import { open } from '../support/pools.ts';
import { type Service, service, services } from '../support/service.ts';
import { thread, threads } from '../support/thread.ts';
import { settled, sleep, spinUntil, turns, until } from '../support/wait.ts';

describe('while the owner is busy', () => {
  test('resources pass from worker to worker', async () => {
    const pool = await open<Service>({ factory: service(), min: 1, max: 1 });
    const [a, b] = await threads(2, pool);
    const first = a!.run(({ pool, block }) => {
      const resource = pool.acquireSync();
      block(0);
      pool.release(resource);
    });
    await until(() => pool.activeCount() === 1);
    const second = b!.run(({ pool, flags }) => {
      const resource = pool.acquireSync();
      Atomics.store(flags, 1, 1);
      pool.release(resource);
    });
    await until(() => pool.waitingCount() === 1);
    a!.raise(0);
    expect(spinUntil(b!.flags, 1), 'handed over while the owner was busy').toBe(true);
    await settled(Promise.all([first, second]));
  });

  test('resources pass from worker to worker asynchronously, too', async () => {
    const pool = await open<Service>({ factory: service(), min: 1, max: 1 });
    const [a, b] = await threads(2, pool);
    const first = a!.run(async ({ pool, flags, sleep }) => {
      const resource = await pool.acquire();
      Atomics.store(flags, 2, 1);
      while (Atomics.load(flags, 0) === 0) await sleep(1);
      pool.release(resource);
    });
    await until(() => Atomics.load(a!.flags, 2) === 1);
    const second = b!.run(async ({ pool, flags }) => {
      const resource = await pool.acquire();
      Atomics.store(flags, 1, 1);
      pool.release(resource);
    });
    await until(() => pool.waitingCount() === 1);
    a!.raise(0);
    expect(spinUntil(b!.flags, 1), 'handed over while the owner was busy').toBe(true);
    await settled(Promise.all([first, second]));
  });

  test('a worker takes what is idle, gives it back, and reads stats, counts and the state', async () => {
    const pool = await open<Service>({ factory: service(), min: 2, max: 2 });
    const t = await thread(pool);
    const done = t.run(async ({ pool, flags }) => {
      while (Atomics.load(flags, 0) === 0);
      const one = pool.tryAcquireSync()!;
      const two = await pool.acquire();
      const seen = [pool.stats().active, pool.idleCount(), pool.getState(), pool.isClosed()];
      pool.release(one);
      pool.release(two);
      seen.push(pool.stats().idle);
      Atomics.store(flags, 1, 1);
      return seen;
    });
    t.raise(0);
    expect(spinUntil(t.flags, 1), 'done while the owner was busy').toBe(true);
    expect(await done).toEqual([2, 0, 'active', false, 2]);
  });

  test('timeouts on a worker come in time', async () => {
    const pool = await open<Service>({ factory: service(), max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    const done = t.run(async ({ pool, flags, attempt }) => {
      while (Atomics.load(flags, 0) === 0);
      const codes = [
        (await attempt(() => void pool.acquireSync({ timeout: 30 }))).error?.code,
        (await attempt(() => pool.acquire({ timeout: 30 }))).error?.code,
      ];
      Atomics.store(flags, 1, 1);
      return codes;
    });
    t.raise(0);
    expect(spinUntil(t.flags, 1), 'done while the owner was busy').toBe(true);
    expect(await done).toEqual(['ERR_POOL_ACQUIRE_TIMEOUT', 'ERR_POOL_ACQUIRE_TIMEOUT']);
  });

  test('so do timeout and signal of a call that the owner borrows for, and what they have ended never runs', async () => {
    const { factory, made } = services();
    const pool = await open<Service>({ factory, min: 1, max: 1, acquireTimeout: 40 });
    const t = await thread(pool);
    const done = t.run(async ({ pool, flags, outcome }) => {
      while (Atomics.load(flags, 0) === 0);
      const controller = new AbortController();
      setTimeout(() => controller.abort('enough'), 30);
      const calls = [
        pool.call('push', ['own'], { timeout: 30 }),
        pool.call('push', ['pool']),
        pool.call('push', ['signal'], { timeout: 0, signal: controller.signal }),
      ];
      const seen = await Promise.all(calls.map((call) => outcome(call)));
      const late = pool.call('push', ['late'], { timeout: 0 });
      Atomics.store(flags, 1, 1);
      await late;
      return [
        ...seen.map(({ error }) => error?.code ?? error?.thrown),
        pool.stats().timedOut,
        await pool.call('entries', [], { timeout: 0 }),
      ];
    });
    t.raise(0);
    expect(spinUntil(t.flags, 1), 'settled while the owner was busy').toBe(true);
    const timedOut = 'ERR_POOL_ACQUIRE_TIMEOUT';
    expect(await settled(done)).toEqual([timedOut, timedOut, 'enough', 2, ['late']]);
    expect(made[0]!.log).toEqual(['late']);
    await until(() => pool.idleCount() === 1 && pool.waitingCount() === 0);
  });

  test('a call that runs already is waited for, though its time passes while the owner is busy', async () => {
    const pool = await open<Service>({ factory: service(), min: 1, max: 1 });
    const t = await thread(pool);
    const done = t.run(async ({ pool, flags, load, sleep }) => {
      const { default: timers } = (await load('node:timers')) as { default: typeof import('node:timers') };
      const { syncBuiltinESMExports } = (await load('node:module')) as typeof import('node:module');
      const { setTimeout } = timers;
      const replace = (by: object): void => {
        Object.assign(timers, by);
        syncBuiltinESMExports();
      };
      // Its time is over when this thread says so.
      const timeOut: (() => void)[] = [];
      replace({ setTimeout: (after: () => void) => void timeOut.push(after) });
      const slept = pool.call('slow', [50, 'slept'], { timeout: 100 });
      replace({ setTimeout });
      const controller = new AbortController();
      const aborted = pool.call('slow', [50, 'aborted'], { timeout: 0, signal: controller.signal }).catch(() => 'not begun');
      while (Atomics.load(flags, 0) === 0) await sleep(1);
      for (const over of timeOut) over();
      controller.abort();
      Atomics.store(flags, 1, 1);
      return [timeOut.length, ...(await Promise.all([slept, aborted]))];
    });
    await until(() => pool.activeCount() === 1);
    t.raise(0);
    expect(spinUntil(t.flags, 1), 'their time passed while the owner was busy').toBe(true);
    expect(await settled(done)).toEqual([1, 'slept', 'not begun']);
    await until(() => pool.idleCount() === 1);
  });

  test('attachPool waits until it is free again', async () => {
    const pool = await open<Service>({ factory: service() });
    const t = await thread<Service>();
    const id = t.run(async ({ attachPool, flags }, handle) => {
      Atomics.store(flags, 1, 1);
      return (await attachPool(handle)).use((resource) => resource.whoami());
    }, pool.handle);
    expect(spinUntil(t.flags, 1)).toBe(true);
    const end = performance.now() + 1500;
    while (performance.now() < end);
    expect(await settled(id)).toBe(1);
  });

  test('a worker that dies just then is found when it is free again', async () => {
    const pool = await open<Service>({ factory: service(), max: 2 });
    const t = await thread(pool);
    void t.exited;
    t.run(async ({ pool, flags }) => {
      await pool.acquire();
      pool.acquireSync();
      Atomics.store(flags, 1, 1);
      process.exit(0);
    }).catch(() => {});
    await until(() => Atomics.load(t.flags, 1) === 1);
    const end = performance.now() + 300;
    while (performance.now() < end);
    await until(() => pool.activeCount() === 0);
  });
});

/** What a thread asks of the processor while it waits: looks at a word, and times that it goes to sleep. In these two of its flags. */
const LOOKS = 8;
const SLEEPS = 9;
/** Counts from now on. Runs on a thread as well: it sees no variable of the test. */
const count = ({ flags }: { flags: Int32Array }, looks: number, sleeps: number): void => {
  const { add } = Atomics;
  for (const name of ['load', 'wait', 'waitAsync'] as const) {
    const real = Atomics[name] as (...args: unknown[]) => unknown;
    const counter = name === 'load' ? looks : sleeps;
    Object.assign(Atomics, {
      [name]: (...args: unknown[]) => {
        add(flags, counter, 1);
        return real(...args);
      },
    });
  }
};
/** The same on the owner, until the end of the test. */
const countHere = (): { flags: Int32Array } => {
  const { load, wait, waitAsync } = Atomics;
  onTestFinished(() => {
    Object.assign(Atomics, { load, wait, waitAsync });
  });
  const here = { flags: new Int32Array(new SharedArrayBuffer(64)) };
  count(here, LOOKS, SLEEPS);
  return here;
};
const sum = (threads: { flags: Int32Array }[], counter: number): number => threads.reduce((sum, { flags }) => sum + flags[counter]!, 0);

test('those who wait do not burn the processor, and do not wake again and again', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const mine = await pool.acquire();
  const workers = await threads(3, pool);
  await Promise.all(workers.map((t) => t.run(count, LOOKS, SLEEPS)));
  const waiting = workers.map((t, i) =>
    t.run(
      ({ pool }, i) => (i ? pool.useSync(() => {}) : Promise.all(Array.from({ length: 20 }, () => pool.use(() => {}))).then(() => {})),
      i,
    ),
  );
  const all = [...workers, countHere()];
  const own = pool.use(() => {});
  await until(() => pool.waitingCount() === 23);
  // Two of them sleep in line; the others have listened since they attached.
  await until(() => workers.slice(1).every(({ flags }) => flags[SLEEPS]! > 0));
  // The first has rung for the last time, and the owner has heard it.
  await workers[0]!.run(() => {});
  await turns();
  const began = performance.now();
  const [looks, sleeps] = [sum(all, LOOKS), sum(all, SLEEPS)];
  await sleep(1000);
  const [looked, slept] = [sum(all, LOOKS) - looks, sum(all, SLEEPS) - sleeps];
  const took = performance.now() - began;
  // A sleeper looks up every 750 ms.
  expect(slept, `sleeps in ${took} ms`).toBeLessThanOrEqual(2 * (took / 750 + 1));
  expect(looked, `looks in ${took} ms`).toBeLessThan(100 * (took / 750 + 1));
  pool.release(mine);
  await settled(Promise.all([...waiting, own]));
});

test('a line of many synchronous waiters moves without burning the processor', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const workers = await threads(3, pool);
  await Promise.all(workers.map((t) => t.run(count, LOOKS, SLEEPS)));
  const began = performance.now();
  await settled(
    Promise.all(
      workers.map((t) =>
        t.run(({ pool, flags }) => {
          for (let i = 0; i < 10; i++) {
            pool.useSync(() => {
              Atomics.wait(flags, 5, 0, 20);
            });
          }
        }),
      ),
    ),
  );
  const took = performance.now() - began;
  expect(took).toBeGreaterThan(550);
  // Each borrows ten times, sleeps as it holds, and is woken once as it waits; and looks up every 750 ms.
  expect(sum(workers, SLEEPS), `sleeps in ${took} ms`).toBeLessThan(3 * (30 + took / 750));
  // Spinning for the 20 ms of a hold would be some hundred thousand looks, thirty times.
  expect(sum(workers, LOOKS), `looks in ${took} ms`).toBeLessThan(30 * 1000);
});
