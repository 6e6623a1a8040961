/** Listeners for 'connect' that await: what they ask configures the connection, whenever it comes, and harms nothing. */
import { expect, test } from 'vitest';
import { join, open } from '../support/postgres.ts';
import { gate, sleep, until } from '../support/wait.ts';

const setting = (name: string): string => `select coalesce(current_setting('my.${name}', true), '') as seen`;

test('what a listener asks one after the other is in force for the first borrower, and after a reset', async () => {
  const pool = await open({ max: 1 });
  pool.on('connect', async (client) => {
    for (const name of ['a', 'b', 'c']) await client.query(`set my.${name} = '${name}'`);
  });
  const all = `select current_setting('my.a', true) || current_setting('my.b', true) || current_setting('my.c', true) as seen`;
  expect((await pool.query(all)).rows).toEqual([{ seen: 'abc' }]);
  const worker = await join(pool);
  expect(
    await worker.pg(async (p, _, text) => {
      await p.scope(() => p.query(`set my.b = 'spoilt'`));
      return p.querySync(text).rows;
    }, all),
  ).toEqual([{ seen: 'abc' }]);
});

test('what it asks when a borrower has a transaction open waits for its end, and is not undone with it', async () => {
  const pool = await open({ max: 1 });
  const begun = gate();
  const told: unknown[] = [];
  pool.on('connect', async (client) => {
    await begun.promise;
    told.push('asks');
    await client.query(`set my.late = 'late'`);
    told.push('answered');
  });
  await pool
    .transaction(async (tx) => {
      await tx.query(`set my.own = 'own'`);
      begun.open();
      await until(() => told.length === 1);
      told.push((await tx.query(setting('late'))).rows[0].seen);
      throw new Error('undo');
    })
    .catch(() => {});
  await until(() => told.length === 3);
  expect(told).toEqual(['asks', '', 'answered']);
  expect((await pool.query(setting('late'))).rows).toEqual([{ seen: 'late' }]);
  // The next has nothing of the borrower's, and what the listener has set, again.
  await pool.scope(() => pool.query(`set my.own = 'own'`));
  expect((await pool.query(setting('late'))).rows).toEqual([{ seen: 'late' }]);
  expect((await pool.query(setting('own'))).rows).toEqual([{ seen: '' }]);
});

test('a transaction that it leaves open under a borrower is none', async () => {
  const pool = await open({ max: 1 });
  const first = gate();
  const failed = gate<Error>();
  pool.on('error', (error) => failed.open(error));
  pool.on('connect', async (client) => {
    await first.promise;
    await client.query('begin');
  });
  const client = await pool.connect();
  first.open();
  expect((await failed.promise).message).toMatch(/onConnect/);
  await client.query('select 1');
  expect(client.getTransactionStatus()).toBe('I');
  client.release();
});

test('a listener that is rejected ends no process: it is told as an error, or warned of', async () => {
  const unhandled: unknown[] = [];
  const warned: Error[] = [];
  const count = (error: unknown): number => unhandled.push(error);
  const warn = (error: Error): number => warned.push(error);
  process.on('unhandledRejection', count);
  process.on('warning', warn);
  try {
    for (const listens of [true, false]) {
      const pool = await open({ max: 1 });
      const told: Error[] = [];
      if (listens) pool.on('error', (error) => told.push(error));
      for (const event of ['connect', 'acquire', 'release', 'remove'])
        pool.on(event, async () => {
          await sleep(1);
          throw new Error(`of ${event}`);
        });
      (await pool.connect()).release(true);
      const seen = listens ? told : warned;
      await until(() => seen.filter(({ message }) => message.startsWith('of ')).length === 4);
    }
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', count);
    process.off('warning', warn);
  }
});
