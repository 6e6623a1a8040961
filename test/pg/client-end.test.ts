/** The ends of a client and of its connection, as programs for pg expect them. */
import { pgClient } from 'cenote/pg';
import { expect, test } from 'vitest';
import { join, killAll, newName, on, open, WHERE } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

test.each(WHERE)('a client that is ended may be released, once: on %s', async (where) => {
  const pool = await open({ max: 1 });
  const run = await on(where, pool);
  const seen = await run(async (p) => {
    const client = await p.connect();
    await client.query('select 1');
    await (client as never as { end(): Promise<void> }).end();
    client.release();
    let again: unknown;
    try {
      client.release();
    } catch (error) {
      again = (error as Error).message;
    }
    return [again, (await p.query('select 2 as n')).rows[0].n];
  });
  expect(seen).toEqual(['Release called on client which has already been released to the pool.', 2]);
  await until(() => pool.pool.stats().destroyed === 1);
});

test.each(WHERE)('a query under way when its client is ended hears that the connection is: on %s', async (where) => {
  const run = await on(where, await open({ max: 1 }));
  const message = await run(async (p) => {
    const client = await p.connect();
    await client.query('select 1');
    const query = client.query('select pg_sleep(600)').catch((error: Error) => error.message);
    client.release(true);
    return query;
  });
  expect(message).toMatch(
    /^Connection terminated|^the borrower asked for the connection to be destroyed|the resource was destroyed while this call ran/,
  );
});

test.each(['auto', 'relayed', 'remote'] as const)(
  'transactionSync that finds its connection lost begins on another: lend %s',
  async (lend) => {
    const name = newName();
    const pool = await open({ name, max: 2, lend });
    const thread = await join(pool);
    for (let round = 0; round < 3; round++) {
      await thread.pg((p) => p.query('select 1'));
      await killAll(name);
      expect(await thread.pg((p) => p.transactionSync((tx) => tx.query('select 3 as n').rows[0].n))).toBe(3);
    }
  },
);

test.each(['auto', 'relayed', 'remote'] as const)(
  'a pool of clients lends none on which session state was lost, idle or not: lend %s',
  async (lend) => {
    const name = newName();
    const pool = await open({ name, max: 1, lend });
    const thread = await join(pool);
    const flags = new Int32Array(new SharedArrayBuffer(8));
    const asked = thread.pg(async (_, { handle, load }, shared) => {
      const { pgClient } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const { default: pg } = (await load('pg')) as { default: typeof import('pg') };
      const own = new pg.Pool({ Client: pgClient(handle as never) as never, max: 1 });
      const told: unknown[] = [];
      own.on('error', () => told.push('idle'));
      const step = async (): Promise<void> => {
        const last = Atomics.add(shared, 0, 1);
        while (Atomics.load(shared, 1) <= last) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      const fate = (asked: Promise<{ rows: { n: number }[] }>): Promise<unknown> =>
        asked.then(
          ({ rows }) => rows[0]?.n,
          (error: Error) => error.name,
        );
      // What comes behind another statement is no part of its profile.
      await own.query('select 0');
      await own.query(`set my.own = 'x'`);
      await step();
      while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      told.push(await fate(own.query('select 1 as n')));
      const client = await own.connect();
      client.on('error', () => told.push('lent'));
      await client.query(`set my.own = 'y'`);
      await step();
      told.push(typeof (await fate(client.query('select 2 as n'))), typeof (await fate(client.query('select 3 as n'))));
      client.release();
      told.push(await fate(own.query('select 4 as n')), await fate(own.query(`set my.own = 'z'`)), own.totalCount);
      await own.end();
      return told.filter((each) => each !== 'lent');
    }, flags);
    for (const step of [1, 2]) {
      await until(() => Atomics.load(flags, 0) === step);
      await killAll(name);
      Atomics.store(flags, 1, step);
    }
    expect(await asked).toEqual(['idle', 1, 'string', 'string', 4, undefined, 1]);
  },
);

test('a client that has lost nothing but its connection goes on, and so does one that has rolled back', async () => {
  const name = newName();
  const pool = await open({ name, max: 1 });
  const client = new (pgClient(pool))();
  await client.connect();
  const queryable = (): boolean => (client as never as { _queryable: boolean })._queryable;
  await client.query('select 1');
  await killAll(name);
  expect([(await client.query('select 2 as n')).rows[0].n, queryable()]).toEqual([2, true]);
  await client.query('begin');
  await killAll(name);
  await client.query('select 3').catch(() => {});
  expect(queryable()).toBe(false);
  await client.query('rollback').catch(() => {});
  expect([(await client.query('select 4 as n')).rows[0].n, queryable()]).toEqual([4, true]);
  await client.end();
});
