/** Programs that were written for a pg.Pool see the same over a shared one, whatever they call. */
import { DatabaseError } from 'cenote/pg';
import pg from 'pg';
import { expect, test } from 'vitest';
import { expectTheSame } from '../support/oracle.ts';
import { ask, on, open, postgres, WHERE } from '../support/postgres.ts';
import { rejection } from '../support/wait.ts';
import * as plain from './programs/plain.js';

// A program holds a connection and wants another one: with one more than there are threads, that is never a deadlock.
test('calls of every kind, values of every kind, errors of every kind: on three workers at once, and on the owner', async () => {
  await expectTheSame(plain, new URL('./programs/plain.js', import.meta.url), { max: 5, workers: 3 });
});

test('on the owner an error of the server is an instance of pg’s class, and of ours', async () => {
  const pool = await open();
  const error = await rejection(pool.query('select nowhere'));
  expect([error instanceof pg.DatabaseError, error instanceof DatabaseError, error instanceof Error]).toEqual([true, true, true]);
  expect(new Error('x')).not.toBeInstanceOf(DatabaseError);
});

test.each(WHERE)('a Query object with a name can be submitted again, and the name be used by others: on %s', async (where) => {
  const run = await on(where, await open({ max: 1 }));
  const seen = await run(async (pool, { load }) => {
    const { default: driver } = (await load('pg')) as typeof import('pg') & { default: typeof import('pg') };
    const client = await pool.connect();
    const said: unknown[] = [];
    const submit = (text: string, values: unknown[]) =>
      new Promise<void>((resolve) => {
        const query = new driver.Query({ name: 'mine', text, values }) as never as import('cenote/pg').Submission & { callback: unknown };
        query.callback = (error: Error | null, result: { rows: unknown[] }) => {
          said.push(error?.message ?? result.rows);
          resolve();
        };
        client.query(query);
      });
    await submit('select $1::int as a', [1]);
    await submit('select $1::int as a', [2]);
    await submit('select $1::text as b', ['x']);
    said.push((await client.query({ name: 'mine', text: 'select $1::int as c', values: [3] })).rows);
    await submit('select $1::int as d', [4]);
    client.release();
    said.push((await pool.query({ name: 'mine', text: 'select 5 as e' })).rows);
    return said;
  });
  expect(seen).toEqual([[{ a: 1 }], [{ a: 2 }], [{ b: 'x' }], [{ c: 3 }], [{ d: 4 }], [{ e: 5 }]]);
});

test('what differs on purpose: an error does not cost the connection, and a transaction that was left open is not for the next to commit', async () => {
  await ask('create table left_open (pool text)');
  const shared = await open({ max: 1 });
  const plain = new pg.Pool({ connectionString: (await postgres()).url, max: 1 });
  const kept: Record<string, boolean> = {};
  for (const [name, pool] of Object.entries({ plain, shared: shared as unknown as pg.Pool })) {
    const pid = async () => (await pool.query('select pg_backend_pid() as pid')).rows[0].pid;
    const before = await pid();
    await rejection(pool.query('select nowhere'));
    kept[name] = (await pid()) === before;
    const client = await pool.connect();
    await client.query('begin');
    await client.query('insert into left_open values ($1)', [name]);
    client.release();
    await pool.query('commit');
  }
  await plain.end();
  expect(kept).toEqual({ plain: false, shared: true });
  expect(await ask('select * from left_open')).toEqual([{ pool: 'plain' }]);
});
