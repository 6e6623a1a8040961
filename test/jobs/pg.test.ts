// Jobs on PostgreSQL: what they leave open is rolled back, what they leave running is cancelled.
import { describe, expect, test } from 'vitest';
import { ask, open as openPool } from '../support/postgres.ts';
import { rejection, until } from '../support/wait.ts';
import { open, run } from './support.ts';

async function withPg(max = 2) {
  const db = await openPool({ max });
  await db.query('create table if not exists jobs_test (n int)');
  const leaks: unknown[] = [];
  db.pool.on('leak', ({ job }: { job?: unknown }) => leaks.push(job));
  const runner = open({ pools: { db }, grace: 1_000_000 });
  await run(runner, (context) => context.pools.db.query('select 1').then(() => 1));
  const states = async () =>
    (await ask(`select state, query from pg_stat_activity where application_name = $1`, [db.pool.name])) as {
      state: string;
      query: string;
    }[];
  const isIdle = async () => (await states()).every(({ state }) => state === 'idle');
  return { db, runner, leaks, states, isIdle };
}

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
    expect(db.pool.stats()).toMatchObject({ active: 0, destroyed: 0 });
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
