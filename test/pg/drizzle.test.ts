/** Drizzle’s driver for node-postgres over the shared pool, as it is. */
import { test } from 'vitest';
import { expectRolledBack, expectTheSame } from '../support/oracle.ts';
import { WHERE } from '../support/postgres.ts';
import { expectNesting } from './nested.ts';
import * as programs from './programs/drizzle.js';

test('programs on Drizzle see what they see over a pg.Pool: on three workers at once over two connections, and on the owner', async () => {
  await expectTheSame(programs, new URL('./programs/drizzle.js', import.meta.url), { max: 2, workers: 3 });
});

test('a transaction of a worker that is killed is rolled back', async () => {
  await expectRolledBack(async (pool, load, table, told) => {
    const { drizzle } = await load('drizzle-orm/node-postgres');
    const { sql } = await load('drizzle-orm');
    await drizzle({ client: pool }).transaction(async (tx: any) => {
      await tx.transaction((deeper: any) => deeper.execute(sql.raw(`insert into ${table} values (1)`)));
      told();
      await new Promise(() => {});
    });
  });
});

test.each(WHERE)('its transactions run in a scope, and are refused in pool.transaction, whose end they would be: on %s', async (where) => {
  await expectNesting(where, async (pool, load, table) => {
    const { drizzle } = await load('drizzle-orm/node-postgres');
    const { sql } = await load('drizzle-orm');
    const db = drizzle({ client: pool });
    return (a) => db.transaction((tx: any) => tx.execute(sql.raw(`insert into ${table} values (${a})`)));
  });
});
