// What a job waits for in a pool ends when the job is cancelled; what it leaves behind is taken back.
import { createPool } from 'cenote';
import { describe, expect, onTestFinished, test } from 'vitest';
import { rejection, until } from '../support/wait.ts';
import { newFlag, open, run } from './support.ts';

interface Resource {
  slow(ms: number): Promise<string>;
  quick(): string;
}

async function withPool(options: { max?: number; concurrentTasksPerWorker?: number; maxThreads?: number } = {}) {
  let under = 0;
  const pool = await createPool<Resource>({
    factory: () => ({
      slow: async (ms) => {
        under++;
        await new Promise((resolve) => setTimeout(resolve, ms).unref());
        return 'slow';
      },
      quick: () => 'quick',
    }),
    max: options.max ?? 1,
  });
  const leaks: unknown[] = [];
  pool.on('leak', ({ job, heldFor }) => leaks.push([job, heldFor >= 0]));
  onTestFinished(() => pool.close());
  const { concurrentTasksPerWorker = 1, maxThreads = 2 } = options;
  // The grace is longer than a test waits: nothing here may be the end of a thread.
  const runner = open({ pools: { db: pool }, grace: 1_000_000, concurrentTasksPerWorker, maxThreads });
  await run(runner, (context) => context.pools.db.use((resource: any) => resource.quick()));
  return { pool, runner, leaks, callsUnderWay: () => under };
}

const WAITS = {
  acquire: (context: any) => context.pools.db.acquire(),
  lease: (context: any) => context.pools.db.lease(),
  use: (context: any) => context.pools.db.use((resource: any) => resource.quick()),
  call: (context: any) => context.pools.db.call('quick', []),
  acquireSync: (context: any) => context.pools.db.acquireSync(),
  useSync: (context: any) => context.pools.db.useSync((resource: any) => resource.quick()),
};

const BORROWS = {
  use: (context: any) => context.pools.db.use((resource: any) => resource.quick()),
  lease: async (context: any) => {
    const lease = await context.pools.db.lease();
    lease.release();
    return 'quick';
  },
};

test.each(Object.keys(BORROWS) as (keyof typeof BORROWS)[])(
  'what a job gives back as it ends, and its neighbour has by then by %s, is not taken from the neighbour',
  async (how) => {
    const { pool, runner, leaks } = await withPool({ maxThreads: 1, concurrentTasksPerWorker: 2 });
    const flag = newFlag();
    const first = run(
      runner,
      async (context, ends: Int32Array) => {
        const resource = await context.pools.db.acquire();
        while (Atomics.load(ends, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        context.pools.db.release(resource);
      },
      [flag],
    );
    await until(() => pool.activeCount() === 1);
    const second = run(runner, BORROWS[how] as never);
    await until(() => pool.waitingCount() === 1);
    Atomics.store(flag, 0, 1);
    await first;
    expect(await second).toBe('quick');
    expect(leaks).toEqual([]);
  },
);

describe('a job that is cancelled while it waits in line', () => {
  test.each(Object.keys(WAITS) as (keyof typeof WAITS)[])('by %s ends at once with the reason', async (how) => {
    const { pool, runner } = await withPool();
    const lease = await pool.lease();
    const abort = new AbortController();
    const waiting = run(runner, WAITS[how] as never, [], { signal: abort.signal });
    await until(() => pool.waitingCount() === 1);
    const why = new Error('no more');
    abort.abort(why);
    expect(await rejection(waiting)).toBe(why);
    await until(() => pool.waitingCount() === 0);
    lease.release();
    await until(() => pool.idleCount() === 1);
    expect(await run(runner, WAITS.use as never)).toBe('quick');
    expect(runner.stats()).toMatchObject({ killedThreads: 0, cancelled: 1 });
  });

  test('takes nothing more, even if something is idle', async () => {
    const { pool, runner } = await withPool();
    const abort = new AbortController();
    const tries = run(
      runner,
      async (context) => {
        const db = context.pools.db;
        db.release(await db.acquire());
        while (!context.cancelled);
        const seen = [];
        for (const wait of [
          () => db.acquireSync(),
          () => db.tryAcquireSync(),
          () => db.useSync(() => 1),
          () => db.acquire(),
          () => db.tryAcquire(),
        ])
          try {
            seen.push(await wait());
          } catch (error: any) {
            seen.push(error.message);
          }
        return [seen, await context.protect(() => db.use((resource: any) => resource.quick()))];
      },
      [],
      { signal: abort.signal },
    );
    await until(() => pool.stats().acquired === 2);
    abort.abort(new Error('over'));
    expect(await tries).toEqual([Array(5).fill('over'), 'quick']);
    expect(pool.stats()).toMatchObject({ active: 0, idle: 1 });
  });
});

const CALLS = {
  'a blocking call': (context: any) => context.pools.db.useSync((resource: any) => resource.slow(60_000)),
  'a call': (context: any) => context.pools.db.use((resource: any) => resource.slow(60_000)),
  'a one-shot call': (context: any) => context.pools.db.call('slow', [60_000]),
};

test.each(Object.keys(CALLS) as (keyof typeof CALLS)[])('%s under way ends with the reason, and its resource is given up', async (how) => {
  const { pool, runner, callsUnderWay } = await withPool();
  const abort = new AbortController();
  const calling = run(runner, CALLS[how] as never, [], { signal: abort.signal });
  await until(() => callsUnderWay() === 1);
  const why = new Error('no more');
  abort.abort(why);
  expect(await rejection(calling)).toBe(why);
  expect(await run(runner, WAITS.use as never)).toBe('quick');
  expect(pool.stats()).toMatchObject({ created: 2, destroyed: 1, active: 0 });
  expect(runner.stats().killedThreads).toBe(0);
});

test('what a job has borrowed and not given back is given back, and told as a leak with its name or number', async () => {
  const { pool, runner, leaks } = await withPool({ max: 4 });
  await run(runner, async (context) => void (await context.pools.db.acquire()), [], { name: 'forgetful' });
  await until(() => pool.activeCount() === 0);
  await run(runner, (context) => void context.pools.db.acquireSync());
  await until(() => pool.activeCount() === 0);
  await rejection(
    run(runner, async (context) => {
      await context.pools.db.lease();
      throw new Error('on the way');
    }),
  );
  await until(() => leaks.length === 3);
  expect(leaks).toEqual([
    ['forgetful', true],
    [3, true],
    [4, true],
  ]);
  await until(() => pool.activeCount() === 0);
  expect(pool.stats()).toMatchObject({ created: 1, destroyed: 0 });
});

test('a job that has heard of its cancel may clean up by calls that block, in what it still holds', async () => {
  const { pool, runner, leaks, callsUnderWay } = await withPool({ max: 2 });
  const abort = new AbortController();
  const cleaned = run(
    runner,
    async (context: any) => {
      const { db } = context.pools;
      const kept = db.acquireSync();
      const lost = db.acquireSync();
      try {
        lost.slow(1_000_000);
        return 'not cancelled';
      } catch {
        const said = [kept.slow(20), kept.quick()];
        db.release(kept);
        return said;
      }
    },
    [],
    { signal: abort.signal },
  );
  await until(() => callsUnderWay() === 1);
  abort.abort(new Error('changed my mind'));
  expect(await cleaned).toEqual(['slow', 'quick']);
  await until(() => pool.activeCount() === 0);
  expect(leaks).toEqual([]);
});

test('what it has left waiting takes nothing after it has ended, and harms nobody', async () => {
  const { pool, runner, leaks } = await withPool();
  const lease = await pool.lease();
  expect(
    await run(runner, (context) => {
      void context.pools.db.acquire();
      void context.pools.db.call('quick', []);
      void context.pools.db.use(() => {
        throw new Error('never');
      });
      return 'left';
    }),
  ).toBe('left');
  await until(() => pool.waitingCount() === 0);
  lease.release();
  expect(await run(runner, WAITS.use as never)).toBe('quick');
  expect(leaks).toEqual([]);
  expect(runner.stats()).toMatchObject({ lost: 0, threads: 1 });
});

test('where several jobs share a thread, each one’s waits and leases are its own', async () => {
  const { pool, runner, leaks } = await withPool({ max: 2, concurrentTasksPerWorker: 3 });
  const abort = new AbortController();
  const keeps = run(
    runner,
    async (context) => {
      const resource = await context.pools.db.acquire();
      await pause(60_000).catch(() => {});
      context.pools.db.release(resource);
      return 'kept';
    },
    [],
    { signal: abort.signal },
  );
  await until(() => pool.activeCount() === 1);
  await run(runner, (context) => context.pools.db.acquire().then(() => 1), [], { name: 'forgets' });
  await until(() => leaks.length === 1);
  expect(leaks).toEqual([['forgets', true]]);
  // The leak is told before it is given back.
  await until(() => pool.activeCount() === 1);
  abort.abort();
  expect(await keeps).toBe('kept');
  await until(() => pool.activeCount() === 0);
  expect(leaks.length).toBe(1);
});

test('a job whose thread is ended leaves nothing: its promise rejects when what it held has been reclaimed', async () => {
  const { pool, runner } = await withPool({ max: 2 });
  const abort = new AbortController();
  const deaf = run(
    runner,
    (context) => {
      context.pools.db.acquireSync();
      context.pools.db.acquireSync();
      for (;;);
    },
    [],
    { signal: abort.signal, grace: 0 },
  );
  await until(() => pool.stats().acquired === 3);
  abort.abort(new Error('ended'));
  expect(await rejection(deaf)).toMatchObject({ message: 'ended' });
  expect(pool.stats()).toMatchObject({ active: 0, reclaimed: 2 });
});
