/** Kysely over the shared pool, as it is. */
import { Kysely, PostgresDialect } from 'kysely';
import Cursor from 'pg-cursor';
import { describe, expect, test } from 'vitest';
import { expectRolledBack, expectTheSame } from '../support/oracle.ts';
import { ask, join, on, open, WHERE } from '../support/postgres.ts';
import * as programs from './programs/kysely.js';

test('programs on Kysely see what they see over a pg.Pool: on three workers at once over two connections, and on the owner', async () => {
  await expectTheSame(programs, new URL('./programs/kysely.js', import.meta.url), { max: 2, workers: 3 });
});

test('a transaction of a worker that is killed is rolled back, between two statements', async () => {
  await expectRolledBack(async (pool, load, table, told) => {
    const { Kysely, PostgresDialect } = await load('kysely');
    const db = new Kysely({ dialect: new PostgresDialect({ pool }) });
    await db.transaction().execute(async (trx: any) => {
      await trx.insertInto(table).values({ a: 1 }).execute();
      told();
      await new Promise(() => {});
    });
  });
});

test('a transaction of a worker that is killed is rolled back, under a statement', async () => {
  await expectRolledBack(async (pool, load, table, told) => {
    const { Kysely, PostgresDialect, sql } = await load('kysely');
    const db = new Kysely({ dialect: new PostgresDialect({ pool }) });
    const trx = await db.startTransaction().execute();
    await trx.insertInto(table).values({ a: 1 }).execute();
    told();
    await sql`select pg_sleep(600)`.execute(trx);
  });
});

test('a stream of a worker that is killed is closed', async () => {
  await expectRolledBack(async (pool, load, table, told) => {
    const { Kysely, PostgresDialect, sql } = await load('kysely');
    const { default: cursor } = await load('pg-cursor');
    const db = new Kysely({ dialect: new PostgresDialect({ pool, cursor }) });
    await db.transaction().execute(async (trx: any) => {
      await trx.insertInto(table).values({ a: 1 }).execute();
      for await (const _ of trx.selectFrom(sql`generate_series(1, 1000)`.as('i')).select('i').stream(2)) {
        told();
        await new Promise(() => {});
      }
    });
  });
});

describe.each(WHERE)('on %s', (where) => {
  test('onCreateConnection runs for each borrow, and what it sets is there', async () => {
    const run = await on(where, await open({ max: 1 }));
    const seen = await run(async (pool, { load }) => {
      const kysely = (await load('kysely')) as typeof import('kysely');
      let created = 0;
      const db = new kysely.Kysely<any>({
        dialect: new kysely.PostgresDialect({
          pool,
          onCreateConnection: async (connection) => {
            created++;
            await connection.executeQuery(kysely.CompiledQuery.raw(`set application_name = 'mine'`));
          },
        }),
      });
      const names = [];
      for (let i = 0; i < 3; i++)
        names.push((await kysely.sql<{ name: string }>`select current_setting('application_name') as name`.execute(db)).rows[0].name);
      const { rows } = await pool.query(`select current_setting('application_name') = 'mine' as left`);
      return [created, names, rows[0].left];
    });
    expect(seen).toEqual([3, ['mine', 'mine', 'mine'], false]);
  });

  test('a scope is one connection for everything: a builder’s transaction, and what knows nothing of it', async () => {
    const table = `scoped_${where.length}`;
    await ask(`create table ${table} (a int)`);
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const seen = await run(async (shared, { load }, of) => {
      const kysely = (await load('kysely')) as typeof import('kysely');
      const db = new kysely.Kysely<any>({ dialect: new kysely.PostgresDialect({ pool: shared }) });
      const inside = await shared.scope(async () => {
        for (const a of [1, 2]) await db.transaction().execute((trx) => trx.insertInto(of).values({ a }).execute());
        const failed = await db
          .transaction()
          .execute(async (trx) => {
            await trx.insertInto(of).values({ a: 3 }).execute();
            // Without the scope this would wait for the only connection.
            const { rows } = await shared.query(`select count(*)::int as n from ${of}`);
            throw new Error(`${rows[0].n} within`);
          })
          .catch((error) => error.message);
        return [failed, (await shared.query(`select count(*)::int as n from ${of}`)).rows[0].n];
      });
      return inside;
    }, table);
    expect(seen).toEqual(['3 within', 2]);
  });

  test('a builder’s transaction within pool.transaction is refused: its COMMIT would end that one', async () => {
    const table = `ended_${where.length}`;
    await ask(`create table ${table} (a int)`);
    const run = await on(where, await open({ max: 1 }));
    const seen = await run(async (shared, { load }, of) => {
      const kysely = (await load('kysely')) as typeof import('kysely');
      const db = new kysely.Kysely<any>({ dialect: new kysely.PostgresDialect({ pool: shared }) });
      const messages: string[] = [];
      const note = (error: Error) => void messages.push(error.message);
      await shared
        .transaction(async (tx) => {
          await db.insertInto(of).values({ a: 1 }).execute();
          await db
            .transaction()
            .execute((trx) => trx.insertInto(of).values({ a: 2 }).execute())
            .catch(note);
          for (const text of [' begin', 'START  TRANSACTION isolation level serializable']) await tx.query(text).catch(note);
          // Nothing has reached the server: the transaction is as it was.
          await shared.transaction(() => db.insertInto(of).values({ a: 3 }).execute());
          messages.push(tx.getTransactionStatus());
          throw new Error('too late');
        })
        .catch(note);
      // One that the body has ended itself may be followed by another.
      await shared.transaction(async (tx) => {
        await tx.query('commit');
        await tx.query('begin');
        await tx.query(`insert into ${of} values (4)`);
      });
      return messages;
    }, table);
    const refused = expect.stringContaining('BEGIN inside of pool.transaction()');
    expect(seen).toEqual([refused, refused, refused, 'T', 'too late']);
    expect(await ask(`select a from ${table} order by a`)).toEqual([{ a: 4 }]);
  });
});

test('so it is without promises', async () => {
  const worker = await join(await open());
  const message = await worker.pg((pool) => {
    try {
      return pool.transactionSync((tx) => tx.query('begin').command);
    } catch (error) {
      return (error as Error).message;
    }
  });
  expect(message).toContain('BEGIN inside of pool.transaction()');
});

test('it is what Kysely asks for by its types', async () => {
  const pool = await open();
  const db = new Kysely<{ pg_class: { relname: string } }>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });
  expect(await db.selectFrom('pg_class').select('relname').where('relname', '=', 'pg_class').execute()).toEqual([{ relname: 'pg_class' }]);
});
