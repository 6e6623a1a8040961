/** Knex over the shared pool, as it is. */
import { expect, test } from 'vitest';
import { expectRolledBack, expectTheSame } from '../support/oracle.ts';
import { ask, on, open, WHERE } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import * as programs from './programs/knex.js';

test('programs on Knex see what they see over a pg.Pool: on three workers at once over two connections, and on the owner', async () => {
  await expectTheSame(programs, new URL('./programs/knex.js', import.meta.url), { max: 2, workers: 3 });
}, 120_000);

test('a transaction of a worker that is killed is rolled back', async () => {
  await expectRolledBack(async (pool, load, table, told) => {
    const { default: knexOf } = await load('knex');
    const knex = knexOf({ client: 'pg', connectionPool: pool });
    await knex.transaction(async (trx: any) => {
      await trx(table).insert({ a: 1 });
      told();
      await new Promise(() => {});
    });
  });
});

test.each(WHERE)('its transactions run in a scope, and are refused in pool.transaction, whose end they would be: on %s', async (where) => {
  const table = `nested_${where.length}`;
  await ask(`create table ${table} (a int)`);
  const pool = await open({ max: 1 });
  const run = await on(where, pool);
  const seen = await run(async (shared, { load }, of) => {
    const { default: knexOf } = (await load('knex')) as any;
    const knex = knexOf({ client: 'pg', connectionPool: shared });
    const add = (a: number) => knex.transaction((trx: any) => trx(of).insert({ a }));
    await shared.scope(async () => {
      await add(1);
      await add(2);
    });
    const messages: string[] = [];
    const note = (error: Error & { cause?: Error }) => void messages.push(error.cause?.message ?? error.message);
    await shared
      .transaction(async (tx) => {
        await tx.query(`insert into ${of} values (3)`);
        await add(4).catch(note);
        throw new Error('no');
      })
      .catch(note);
    return messages;
  }, table);
  expect(seen).toEqual([expect.stringContaining('BEGIN inside of pool.transaction()'), 'no']);
  expect(await ask(`select a from ${table} order by a`)).toEqual([{ a: 1 }, { a: 2 }]);
  await until(() => pool.pool.activeCount() === 0);
});
