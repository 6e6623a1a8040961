// Jobs on PostgreSQL: what they leave open is rolled back, what they leave running is cancelled.
import type { RunnerOptions } from 'cenote/jobs';
import { describe, expect, test } from 'vitest';
import { Descriptors } from '../../src/pg/driver/descriptors.ts';
import { ask, join, open as openPool } from '../support/postgres.ts';
import { goesOnMeanwhile } from '../support/sleeping-owner.ts';
import { rejection, until } from '../support/wait.ts';
import { newFlag, open, run } from './support.ts';

/** What is meant for sockets of the threads' own. */
const own = test.skipIf(Descriptors.find().why !== undefined);

async function withPg(max = 2, lend?: 'auto' | 'relayed' | 'remote', options?: Partial<RunnerOptions<any>>) {
  const db = await openPool({ max, ...(lend && { lend: lend as 'auto' }) });
  await db.query('create table if not exists jobs_test (n int)');
  const leaks: unknown[] = [];
  db.pool.on('leak', ({ job }: { job?: unknown }) => leaks.push(job));
  const runner = open({ pools: { db }, grace: 1_000_000, ...options });
  await run(runner, (context) => context.pools.db.query('select 1').then(() => 1));
  const states = async () =>
    (await ask(`select state, query from pg_stat_activity where application_name = $1`, [db.pool.name])) as {
      state: string;
      query: string;
    }[];
  const isIdle = async () => (await states()).every(({ state }) => state === 'idle');
  return { db, runner, leaks, states, isIdle };
}

/** The server is at a statement with this in it. */
const isActive = (states: () => Promise<{ state: string; query: string }[]>, text: string) =>
  until(async () => (await states()).some(({ query, state }) => query.includes(text) && state === 'active'));

describe('a job that ends', () => {
  test('in a transaction of its own: the connection is told as a leak, rolled back at once, and of use to others', async () => {
    const { db, runner, leaks, isIdle } = await withPg();
    await run(
      runner,
      async (context) => {
        const client = await context.pools.db.connect();
        await client.query('begin');
        await client.query('insert into jobs_test values (1)');
      },
      [],
      { name: 'forgetful' },
    );
    await until(() => leaks.length > 0);
    expect(leaks).toEqual(['forgetful']);
    await until(isIdle);
    expect((await db.query('select count(*)::int as n from jobs_test')).rows[0].n).toBe(0);
    // The server is idle between two steps of the owner's cleaning, too.
    await until(() => db.pool.activeCount() === 0);
    expect(db.pool.stats()).toMatchObject({ destroyed: 0 });
  });

  test('with a statement running that nothing awaits: it is cancelled on the server', async () => {
    const { runner, states, isIdle } = await withPg();
    await run(runner, (context) => {
      void context.pools.db.query('select pg_sleep(600)').catch(() => {});
      return new Promise((resolve) => setTimeout(resolve, 100));
    });
    await until(async () => !(await states()).some(({ query, state }) => query.includes('600') && state === 'active'));
    await until(isIdle);
    expect(await run(runner, async (context) => (await context.pools.db.query('select 2 as n')).rows[0].n)).toBe(2);
  });
});

const STATEMENTS = {
  'pool.query': (context: any) => context.pools.db.query('select pg_sleep(600)'),
  querySync: (context: any) => context.pools.db.querySync('select pg_sleep(600)'),
  transaction: (context: any) =>
    context.pools.db.transaction(async (tx: any) => {
      await tx.query('insert into jobs_test values (2)');
      await tx.query('select pg_sleep(600)');
    }),
  transactionSync: (context: any) =>
    context.pools.db.transactionSync((tx: any) => {
      tx.query('insert into jobs_test values (3)');
      tx.query('select pg_sleep(600)');
    }),
  'client.query': async (context: any) => {
    const client = await context.pools.db.connect();
    try {
      await client.query('begin');
      await client.query('select pg_sleep(600)');
    } finally {
      client.release();
    }
  },
};

test.each(Object.keys(STATEMENTS) as (keyof typeof STATEMENTS)[])(
  'a job that is cancelled in %s ends at once with the reason, and the server has nothing left of it',
  async (how) => {
    const { db, runner, states, isIdle } = await withPg();
    const abort = new AbortController();
    const asks = run(runner, STATEMENTS[how] as never, [], { signal: abort.signal });
    await until(async () => (await states()).some(({ query, state }) => query.includes('600') && state === 'active'));
    const why = new Error('no more');
    abort.abort(why);
    expect(await rejection(asks)).toBe(why);
    await until(isIdle);
    await until(() => db.pool.activeCount() === 0);
    expect((await db.query('select count(*)::int as n from jobs_test')).rows[0].n).toBe(0);
    expect(await run(runner, async (context) => (await context.pools.db.query('select 2 as n')).rows[0].n)).toBe(2);
    expect(runner.stats()).toMatchObject({ killedThreads: 0, lost: 0 });
  },
);

test('a cancelled job may clean up in what it holds, and a protected section commits', async () => {
  const { db, runner } = await withPg();
  const abort = new AbortController();
  const careful = run(
    runner,
    async (context) => {
      const client = await context.pools.db.connect();
      try {
        await client.query('begin');
        await client.query('insert into jobs_test values (4)');
        context.progress(1);
        while (!context.cancelled) await new Promise((resolve) => setTimeout(resolve, 1));
        return await context.protect(async () => {
          await client.query('commit');
          return 'committed';
        });
      } finally {
        client.release();
      }
    },
    [],
    { signal: abort.signal },
  );
  // Not when the server has inserted: the thread may not have heard of it, and a statement under way would end with the reason.
  await new Promise((resolve) => runner.on('progress', resolve));
  abort.abort();
  expect(await careful).toBe('committed');
  expect((await db.query('delete from jobs_test')).rowCount).toBe(1);
});

describe('on the connection’s own socket', () => {
  own('what a job leaves open is undone at once, though another thread was the last that the owner has heard of', async () => {
    const { db, runner, leaks, isIdle } = await withPg(1, 'auto', { maxThreads: 1 });
    const other = await join(db);
    await other.pg((p) => p.query('select 1'));
    await run(
      runner,
      async ({ pools: { db } }: any) => {
        const client = await db.connect();
        await client.query('begin');
        await client.query('insert into jobs_test values (8)');
      },
      [],
      { name: 'forgetful' },
    );
    await until(() => leaks.length > 0);
    await until(isIdle);
    expect((await db.query('select count(*)::int as n from jobs_test')).rows[0].n).toBe(0);
    await until(() => db.pool.activeCount() === 0);
    expect(db.pool.stats()).toMatchObject({ destroyed: 0 });
  });

  own('jobs go on while the thread of the runner and the pool computes', async () => {
    const { db, runner } = await withPg(1, 'auto', { maxThreads: 1 });
    // Once a second the owner takes back what is parked; if it just has, the thread asks it.
    await until(async () => {
      // The thread has the connection's socket by now.
      expect(await run(runner, ({ pools: { db } }: any) => db.query('select 1').then(() => db.lending.over))).toBe('socket');
      return goesOnMeanwhile((flag) =>
        run(
          runner,
          async ({ pools: { db } }: any, buffer: SharedArrayBuffer) => {
            const flag = new Int32Array(buffer);
            Atomics.store(flag, 0, 1);
            for (let n = 0; n < 10; n++) await db.transaction((tx: any) => tx.query('select $1::int', [n]));
            await Promise.all([db.query('select 1'), db.query('select 2')]);
            Atomics.store(flag, 0, 2);
            Atomics.notify(flag, 0);
          },
          [flag.buffer],
        ),
      );
    });
    // A query's asker may have its answer before the thread has given the connection back.
    await until(() => db.pool.activeCount() === 0);
    expect(db.pool.stats()).toMatchObject({ destroyed: 0 });
  });

  own('of the jobs of one thread only the one that is cancelled ends, and its statement on the server', async () => {
    const { db, runner, states, isIdle } = await withPg(2, 'auto', { maxThreads: 1, concurrentTasksPerWorker: 4 });
    const [sleeper, loser] = [new AbortController(), new AbortController()];
    const sleeps = run(runner, ({ pools: { db } }: any) => db.query('select pg_sleep(600)'), [], { signal: sleeper.signal });
    const lost = run(
      runner,
      ({ pools: { db } }: any) =>
        db.transaction(async (tx: any) => {
          await tx.query('insert into jobs_test values (9)');
          await tx.query('select pg_sleep(601)');
        }),
      [],
      { signal: loser.signal },
    );
    const active = async (text: string) => (await states()).some(({ query, state }) => query.includes(text) && state === 'active');
    await until(async () => (await active('600')) && (await active('601')));
    // No connection is idle: these share the thread's place in the line.
    const leaver = new AbortController();
    const leaves = run(runner, ({ pools: { db } }: any) => db.query('select 3 as n'), [], { signal: leaver.signal });
    const counts = run(runner, async ({ pools: { db } }: any) => {
      let sum = 0;
      for (let n = 0; n < 20; n++) sum += (await db.query('select $1::int as n', [n])).rows[0].n;
      return sum;
    });
    await until(() => db.pool.waitingCount() === 2);
    const whys = ['a', 'b', 'c'].map((text) => new Error(text));
    leaver.abort(whys[0]);
    expect(await rejection(leaves)).toBe(whys[0]);
    await until(() => db.pool.waitingCount() === 1);
    expect([await active('600'), await active('601')]).toEqual([true, true]);
    loser.abort(whys[1]);
    expect(await rejection(lost)).toBe(whys[1]);
    expect(await counts).toBe(190);
    expect(await active('600')).toBe(true);
    sleeper.abort(whys[2]);
    expect(await rejection(sleeps)).toBe(whys[2]);
    await until(isIdle);
    await until(() => db.pool.activeCount() === 0);
    expect((await db.query('select count(*)::int as n from jobs_test')).rows[0].n).toBe(0);
    // Only the connection with the transaction has gone.
    expect(db.pool.stats()).toMatchObject({ destroyed: 1, waiting: 0 });
    expect(runner.stats()).toMatchObject({ killedThreads: 0, lost: 0 });
  });

  own('what one job asks is served in one borrow, and never with what another asks', async () => {
    const { db, runner } = await withPg(1, 'auto', { maxThreads: 1, concurrentTasksPerWorker: 2 });
    const served = async (...counts: number[]): Promise<number> => {
      const held = await db.connect();
      const before = db.pool.stats().acquired;
      const jobs = counts.map((count) =>
        run(
          runner,
          ({ pools: { db } }: any, n: number) => Promise.all(Array.from({ length: n }, () => db.query('select 1'))).then(() => n),
          [count],
        ),
      );
      await until(() => db.pool.waitingCount() === counts.reduce((sum, count) => sum + count, 0));
      held.release();
      expect(await Promise.all(jobs)).toEqual(counts);
      return db.pool.stats().acquired - before;
    };
    // What stands behind a statement that takes long stands in line again, and on a busy machine each may take long.
    const fewest = async (enough: number, ...counts: number[]): Promise<number> => {
      let least = Number.POSITIVE_INFINITY;
      for (let attempt = 0; attempt < 100 && least > enough; attempt++) least = Math.min(least, await served(...counts));
      return least;
    };
    expect(await fewest(1, 4)).toBe(1);
    expect(await fewest(2, 2, 2)).toBe(2);
    for (let attempt = 0; attempt < 10; attempt++) expect(await served(2, 2)).toBeGreaterThanOrEqual(2);
  });

  own('a job that waits for the socket, or asks what only the owner does, ends with the reason', async () => {
    const { db, runner } = await withPg(1, 'auto', { maxThreads: 1, concurrentTasksPerWorker: 2 });
    const abort = new AbortController();
    const asks = run(
      runner,
      async ({ pools: { db } }: any) => {
        const client = await db.connect();
        try {
          // The second one is said by the owner, behind the first.
          await Promise.all([client.query('select pg_sleep(600)'), client.query({ name: 'named', text: 'select 1' })]);
        } finally {
          client.release();
        }
      },
      [],
      { signal: abort.signal },
    );
    await until(
      async () =>
        (
          await ask("select 1 from pg_stat_activity where query like '%pg_sleep(600)%' and state = 'active' and application_name = $1", [
            db.pool.name,
          ])
        ).length > 0,
    );
    const why = new Error('no more');
    abort.abort(why);
    expect(await rejection(asks)).toBe(why);
    expect(await run(runner, async ({ pools: { db } }: any) => (await db.query('select 2 as n')).rows[0].n)).toBe(2);
    await until(() => db.pool.activeCount() === 0);
    expect(db.pool.stats()).toMatchObject({ waiting: 0 });
  });

  own.each([
    ['on its own socket', 'select pg_sleep(600)'],
    ['by the owner, behind one on its own socket', { name: 'named', text: 'select pg_sleep(600)' }],
  ])('a job that is cancelled in a statement %s and goes on all the same keeps neither statement nor connection', async (_, statement) => {
    const { db, runner, states } = await withPg(1, 'auto', { maxThreads: 1 });
    const flag = newFlag();
    const abort = new AbortController();
    const stubborn = run(
      runner,
      async ({ pools: { db } }: any, last: unknown, buffer: SharedArrayBuffer) => {
        const flag = new Int32Array(buffer);
        const client = await db.connect();
        void client.query('select 1');
        const told = await client.query(last).catch((error: Error) => error.message);
        while (Atomics.load(flag, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        client.release();
        return told;
      },
      [statement, flag.buffer],
      { signal: abort.signal },
    );
    const sleeps = async () => (await states()).some(({ query, state }) => query.includes('600') && state === 'active');
    await until(sleeps);
    abort.abort(new Error('no more'));
    // The job has not ended.
    await until(async () => !(await sleeps()));
    await until(() => db.pool.activeCount() === 0);
    expect(runner.stats().running).toBe(1);
    Atomics.store(flag, 0, 1);
    expect(await stubborn).toBe('no more');
  });

  own('a job that blocks behind a statement of its own is cancelled all the same', async () => {
    const { db, runner, states, isIdle } = await withPg(1, 'auto', { maxThreads: 1 });
    const flag = newFlag();
    const abort = new AbortController();
    const blocks = run(
      runner,
      async ({ pools: { db } }: any, buffer: SharedArrayBuffer) => {
        const flag = new Int32Array(buffer);
        void db.query('select pg_sleep(600)').catch(() => {});
        while (Atomics.load(flag, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        // From here to its end it is at its event loop no more.
        Atomics.store(flag, 0, 2);
        db.querySync('select 1');
      },
      [flag.buffer],
      { signal: abort.signal },
    );
    await until(async () => (await states()).some(({ query, state }) => query.includes('600') && state === 'active'));
    Atomics.store(flag, 0, 1);
    await until(() => Atomics.load(flag, 0) === 2);
    const why = new Error('no more');
    abort.abort(why);
    expect(await rejection(blocks)).toBe(why);
    await until(isIdle);
    await until(() => db.pool.activeCount() === 0);
    expect(db.pool.stats()).toMatchObject({ waiting: 0 });
  });

  own(
    'a statement that a job has protected and not awaited costs the connection when the job ends, and is no error of the pool',
    async () => {
      const { db, runner, leaks, states } = await withPg(1, 'auto', { maxThreads: 1 });
      const errors: unknown[] = [];
      db.on('error', (error: unknown) => errors.push(error));
      await run(
        runner,
        async (context: any) => {
          const client = await context.pools.db.connect();
          void context.protect(() => client.query('select pg_sleep(600)')).catch(() => {});
          await new Promise((resolve) => setTimeout(resolve, 50));
        },
        [],
        { name: 'hasty' },
      );
      await until(() => leaks.length > 0);
      await until(async () => !(await states()).some(({ query, state }) => query.includes('600') && state === 'active'));
      await until(() => db.pool.activeCount() === 0);
      expect((await db.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
      expect([leaks, errors, db.pool.stats().destroyed]).toEqual([['hasty'], [], 1]);
    },
  );
});

describe.each(['auto', 'relayed', 'remote'] as const)(
  'lent %s: a pool that the program makes of pgClient, for all jobs of a thread',
  (lend) => {
    /** In a job: asks the thread's pool, which has one client. Sets the flag when it has asked. */
    const asks = async ({ pools: { db } }: any, text: string, flag: Int32Array): Promise<unknown> => {
      const [{ pgClient }, { default: pg }] = [await load('cenote/pg/worker'), await load('pg')];
      const { theirs } = ((globalThis as any).theirs ??= { theirs: new pg.Pool({ Client: pgClient(db), max: 1 }) });
      const asked = theirs.query(text);
      Atomics.store(flag, 0, theirs.waitingCount + 1);
      return (await asked).rows[0].n;
    };
    const setup = async () => {
      const it = await withPg(2, lend, { maxThreads: 1, concurrentTasksPerWorker: 2 });
      const ask = (text: string, flag = newFlag(), options: object = {}) => run(it.runner, asks as never, [text, flag], options);
      await ask('select 1 as n');
      return { ...it, ask };
    };
    test('hands its client from a job that is cancelled to one that is not', async () => {
      const { ask, states, runner } = await setup();
      const abort = new AbortController();
      const cancelled = ask('select pg_sleep(600), 1 as n', newFlag(), { signal: abort.signal });
      await isActive(states, '600');
      const flag = newFlag();
      const next = ask('select 2 as n', flag);
      await until(() => Atomics.load(flag, 0) === 2);
      const why = new Error('changed my mind');
      abort.abort(why);
      expect(await rejection(cancelled)).toBe(why);
      expect(await next).toBe(2);
      expect(runner.stats()).toMatchObject({ killedThreads: 0, lost: 0 });
    });

    test('hands its client from a job that has ended to one that has not', async () => {
      const { ask: asking, states } = await setup();
      await ask('select pg_advisory_lock(4711)');
      const ends = asking('select pg_advisory_xact_lock(4711), 1 as n');
      await isActive(states, '4711');
      const flag = newFlag();
      const next = asking('select 2 as n', flag);
      await until(() => Atomics.load(flag, 0) === 2);
      await ask('select pg_advisory_unlock(4711)');
      expect([await ends, await next]).toEqual([1, 2]);
    });

    test('has a client of use when a job was cancelled in a transaction and has rolled it back', async () => {
      const { runner, ask, states, isIdle } = await setup();
      const abort = new AbortController();
      const cancelled = run(
        runner,
        async () => {
          const client = await (globalThis as any).theirs.theirs.connect();
          try {
            await client.query('begin');
            await client.query('insert into jobs_test values (1)');
            await client.query('select pg_sleep(601)');
          } catch (error) {
            await client.query('rollback').catch(() => {});
            throw error;
          } finally {
            client.release();
          }
        },
        [],
        { signal: abort.signal },
      );
      await isActive(states, '601');
      const why = new Error('changed my mind');
      abort.abort(why);
      expect(await rejection(cancelled)).toBe(why);
      expect([await ask('select 2 as n'), await ask('select count(*)::int as n from jobs_test')]).toEqual([2, 0]);
      await until(isIdle);
    });

    test.each(['rolls nothing back', 'ends'])('has a client of use when a job that was in a transaction %s', async (how) => {
      const { runner, ask, states, isIdle } = await setup();
      const abort = new AbortController();
      const leaves = run(
        runner,
        async (_, ends) => {
          const client = await (globalThis as any).theirs.theirs.connect();
          try {
            await client.query('begin');
            await client.query('insert into jobs_test values (1)');
            if (!ends) await client.query('select pg_sleep(602)');
          } finally {
            client.release();
          }
        },
        [how === 'ends'],
        { signal: abort.signal },
      );
      if (how !== 'ends') {
        await isActive(states, '602');
        abort.abort(new Error('changed my mind'));
      }
      await leaves.catch(() => {});
      expect([await ask('select 2 as n'), await ask('select count(*)::int as n from jobs_test')]).toEqual([2, 0]);
      await until(isIdle);
    });

    test('tells a client that listens when its connection is taken back from the job that has made it listen', async () => {
      const { runner, db } = await setup();
      const listens = async () => {
        const client = await (globalThis as any).theirs.theirs.connect();
        (globalThis as any).told = [];
        for (const event of ['error', 'end', 'notification'])
          client.on(event, (about: any) => (globalThis as any).told.push([event, about?.message ?? about?.payload]));
        await client.query('listen something');
      };
      await run(runner, listens);
      await until(() => db.pool.activeCount() === 0);
      const told = await run(runner, async () => {
        while ((globalThis as any).told.length < 2) await pause(1);
        return (globalThis as any).told;
      });
      expect(told).toEqual([
        ['error', 'the pool has taken this connection back from its borrower'],
        ['end', undefined],
      ]);
    });
  },
);

test.each(['querySync', 'acquireSync', 'check'] as const)(
  'a job that hears of its cancel by %s may clean up in what it holds, in the same tick',
  async (how) => {
    const { runner, db, states, isIdle } = await withPg(2);
    const flag = newFlag();
    const abort = new AbortController();
    const cancelled = run(
      runner,
      async (context: any, by, began: Int32Array) => {
        const { db } = context.pools;
        const client = await db.connect();
        await client.query('begin');
        await client.query('insert into jobs_test values (1)');
        // The other one, so that this job waits for one in vain.
        const other = by === 'acquireSync' ? await db.connect() : undefined;
        Atomics.store(began, 0, 1);
        try {
          if (by === 'querySync') db.querySync('select pg_sleep(603)');
          else if (by === 'acquireSync') db.querySync('select 1');
          else for (;;) context.check();
        } catch (error) {
          return [(await client.query('rollback')).command, (error as Error).message];
        } finally {
          client.release();
          other?.release();
        }
      },
      [how, flag],
      { signal: abort.signal },
    );
    await until(() => Atomics.load(flag, 0) === 1);
    // Before that it would be told of the cancel as it asks for a connection.
    if (how === 'querySync') await isActive(states, '603');
    abort.abort(new Error('changed my mind'));
    expect(await cancelled).toEqual(['ROLLBACK', 'changed my mind']);
    await until(isIdle);
    await until(() => db.pool.activeCount() === 0);
    expect(runner.stats()).toMatchObject({ killedThreads: 0 });
  },
);
