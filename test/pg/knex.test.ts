/** Knex over the shared pool, as it is. */
import { test } from 'vitest';
import { expectRolledBack, expectTheSame } from '../support/oracle.ts';
import { WHERE } from '../support/postgres.ts';
import { expectNesting } from './nested.ts';
import * as programs from './programs/knex.js';

test('programs on Knex see what they see over a pg.Pool: on three workers at once over two connections, and on the owner', async () => {
  await expectTheSame(programs, new URL('./programs/knex.js', import.meta.url), { max: 2, workers: 3 });
});

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
  await expectNesting(where, async (pool, load, table) => {
    const { default: knexOf } = await load('knex');
    const knex = knexOf({ client: 'pg', connectionPool: pool });
    return (a) => knex.transaction((trx: any) => trx(table).insert({ a }));
  });
});
