/** Drizzle’s driver for node-postgres over the shared pool, as it is. */
import { expect, test } from 'vitest';
import { expectRolledBack, expectTheSame } from '../support/oracle.ts';
import { ask, on, open, WHERE } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import * as programs from './programs/drizzle.js';

test('programs on Drizzle see what they see over a pg.Pool: on three workers at once over two connections, and on the owner', async () => {
  await expectTheSame(programs, new URL('./programs/drizzle.js', import.meta.url), { max: 2, workers: 3 });
}, 120_000);

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
  const table = `nested_${where.length}`;
  await ask(`create table ${table} (a int)`);
  const pool = await open({ max: 1 });
  const run = await on(where, pool);
  const seen = await run(async (shared, { load }, of) => {
    const { drizzle } = (await load('drizzle-orm/node-postgres')) as any;
    const { sql } = (await load('drizzle-orm')) as any;
    const db = drizzle({ client: shared });
    const add = (a: number) => db.transaction((tx: any) => tx.execute(sql.raw(`insert into ${of} values (${a})`)));
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
