/** Programs on Kysely, as its own documentation would have them written. */
import { Kysely, PostgresDialect, sql } from 'kysely';
import Cursor from 'pg-cursor';
import { outcome } from './described.js';

export async function open(pool, schema) {
  const db = new Kysely({ dialect: new PostgresDialect({ pool, cursor: Cursor }) }).withSchema(schema);
  await db.schema
    .createTable('person')
    .addColumn('id', 'integer', (column) => column.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('born', 'timestamptz')
    .addColumn('about', 'jsonb')
    .addColumn('photo', 'bytea')
    .addColumn('balance', 'bigint', (column) => column.notNull().defaultTo(0))
    .addColumn('tags', sql`text[]`)
    .execute();
  await db.schema
    .createTable('pet')
    .addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('owner', 'integer', (column) => column.references(`${schema}.person.id`).onDelete('cascade'))
    .addColumn('name', 'text')
    .execute();
  return db;
}

/** On a pg.Pool this ends it. */
export const close = (db) => db.destroy();

const names = (db) => db.selectFrom('person').select('name').orderBy('name').execute();
class Expected extends Error {}

export const programs = {
  'inserts, returning': async (db) => [
    await db
      .insertInto('person')
      .values([
        {
          name: 'Ada',
          born: new Date(0),
          about: JSON.stringify({ likes: ['maths'] }),
          photo: Buffer.from([1, 2]),
          balance: 10n,
          tags: ['a', 'b,c'],
        },
        { name: 'Bo', born: null, about: null, photo: null, balance: 2n ** 60n, tags: [] },
      ])
      .returningAll()
      .execute(),
    await db.insertInto('person').values({ name: 'Cy' }).executeTakeFirst(),
    await db
      .insertInto('person')
      .values({ name: 'Cy' })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ balance: 5 }))
      .returning(['name', 'balance'])
      .execute(),
    await db
      .insertInto('pet')
      .columns(['owner', 'name'])
      .expression((builder) =>
        builder
          .selectFrom('person')
          .select(['id', sql`'Rex'`.as('name')])
          .where('name', '=', 'Ada'),
      )
      .execute(),
  ],
  selects: async (db) => [
    await db.selectFrom('person').selectAll().where('name', 'in', ['Ada', 'Bo']).orderBy('id').execute(),
    await db
      .selectFrom('person')
      .select(({ fn }) => [fn.countAll().as('n'), fn.sum('balance').as('sum')])
      .executeTakeFirstOrThrow(),
    await db.selectFrom('person').innerJoin('pet', 'pet.owner', 'person.id').select(['person.name as owner', 'pet.name']).execute(),
    await db
      .with('rich', (cte) => cte.selectFrom('person').selectAll().where('balance', '>', '5'))
      .selectFrom('rich')
      .select('name')
      .orderBy('name')
      .execute(),
    await db
      .selectFrom('person')
      .select((builder) => ['name', builder.case().when('balance', '>', '5').then('rich').else('poor').end().as('state')])
      .orderBy('name')
      .execute(),
    await db.selectFrom('person').select(sql`about -> 'likes' ->> 0`.as('likes')).orderBy('id').execute(),
    await outcome(() => db.selectFrom('person').selectAll().where('name', '=', 'nobody').executeTakeFirstOrThrow()),
    await sql`select ${1}::int as a, ${'x'}::text as b, ${sql.lit('y')} as c`.execute(db),
  ],
  'updates and deletes': async (db) => [
    await db.updateTable('person').set({ balance: sql`balance + 1` }).where('name', '=', 'Ada').executeTakeFirst(),
    await db
      .updateTable('person')
      .set({ tags: ['z'] })
      .where('name', '=', 'Ada')
      .returning(['tags'])
      .execute(),
    await db.deleteFrom('person').where('name', '=', 'Cy').executeTakeFirst(),
    await db.mergeInto('pet').using('person', 'person.id', 'pet.owner').whenMatched().thenUpdateSet({ name: 'Max' }).executeTakeFirst(),
  ],
  errors: async (db) => [
    await outcome(() => db.insertInto('person').values({ name: 'Ada' }).execute()),
    await outcome(() => db.insertInto('pet').values({ owner: 999_999, name: 'x' }).execute()),
    await outcome(() => db.selectFrom('nowhere').selectAll().execute()),
    await outcome(() => sql`select 1 / 0`.execute(db)),
  ],
  'a transaction': async (db) => {
    const value = await db.transaction().execute(async (trx) => {
      const { id } = await trx.insertInto('person').values({ name: 'Di' }).returning('id').executeTakeFirstOrThrow();
      await trx.insertInto('pet').values({ owner: id, name: 'Tom' }).execute();
      return trx.isTransaction;
    });
    return [value, await names(db)];
  },
  'a transaction that throws': async (db) => {
    const end = await outcome(() =>
      db.transaction().execute(async (trx) => {
        await trx.insertInto('person').values({ name: 'Eve' }).execute();
        throw new Expected('no');
      }),
    );
    return [end, await names(db)];
  },
  'a transaction in which a statement fails': async (db) => {
    const end = await outcome(() =>
      db.transaction().execute(async (trx) => {
        await trx.insertInto('person').values({ name: 'Eve' }).execute();
        await trx.insertInto('person').values({ name: 'Ada' }).execute();
      }),
    );
    return [end, await names(db)];
  },
  'a transaction that goes on after a failed statement': async (db) => {
    const end = await outcome(() =>
      db.transaction().execute(async (trx) => {
        await trx.insertInto('person').values({ name: 'Eve' }).execute();
        const first = await outcome(() => sql`select 1 / 0`.execute(trx));
        const second = await outcome(() => names(trx));
        return [first, second];
      }),
    );
    return [end, await names(db)];
  },
  'levels of isolation and access': async (db) => {
    const seen = [];
    for (const level of ['read uncommitted', 'read committed', 'repeatable read', 'serializable'])
      seen.push(
        await db
          .transaction()
          .setIsolationLevel(level)
          .execute(async (trx) => (await sql`show transaction_isolation`.execute(trx)).rows),
      );
    seen.push(
      await db
        .transaction()
        .setAccessMode('read only')
        .execute((trx) => outcome(() => trx.insertInto('person').values({ name: 'Eve' }).execute())),
    );
    seen.push((await sql`show transaction_isolation`.execute(db)).rows, (await sql`show transaction_read_only`.execute(db)).rows);
    return seen;
  },
  'a controlled transaction with savepoints': async (db) => {
    const trx = await db.startTransaction().execute();
    await trx.insertInto('person').values({ name: 'Flo' }).execute();
    const first = await trx.savepoint('one').execute();
    await first.insertInto('person').values({ name: 'Gus' }).execute();
    const second = await first.savepoint('two').execute();
    const failed = await outcome(() => second.insertInto('person').values({ name: 'Gus' }).execute());
    const back = await second.rollbackToSavepoint('two').execute();
    const inside = await names(back);
    await back.rollbackToSavepoint('one').execute();
    await trx.insertInto('person').values({ name: 'Hal' }).execute();
    const third = await trx.savepoint('three').execute();
    await third.releaseSavepoint('three').execute();
    await trx.commit().execute();
    return [failed, inside, trx.isCommitted, await names(db), await outcome(() => names(trx)).then(({ error }) => error instanceof Error)];
  },
  'a controlled transaction that is rolled back': async (db) => {
    const trx = await db.startTransaction().setIsolationLevel('serializable').execute();
    await trx.insertInto('person').values({ name: 'Ina' }).execute();
    const inside = await names(trx);
    await trx.rollback().execute();
    return [inside.length, trx.isRolledBack, await names(db)];
  },
  'one connection for several queries': (db) =>
    db.connection().execute(async (one) => {
      const { rows: before } = await sql`select pg_backend_pid() as pid`.execute(one);
      await sql`set application_name = 'mine'`.execute(one);
      const { rows: set } = await sql`show application_name`.execute(one);
      await sql`reset application_name`.execute(one);
      const { rows: after } = await sql`select pg_backend_pid() as pid`.execute(one);
      return [set, before[0].pid === after[0].pid];
    }),
  'a stream': async (db) => {
    await db.insertInto('pet').columns(['name']).expression(sql`select 'pet ' || i from generate_series(1, 250) i`).execute();
    const seen = [];
    for await (const row of db.selectFrom('pet').select('name').where('owner', 'is', null).orderBy('id').stream(40)) seen.push(row);
    return seen;
  },
  'a stream that is left early': async (db) => {
    const seen = [];
    for await (const row of db.selectFrom('pet').select('name').where('owner', 'is', null).orderBy('id').stream(7))
      if (seen.push(row) === 10) break;
    return [seen, await names(db)];
  },
  'a stream in a transaction': (db) =>
    db.transaction().execute(async (trx) => {
      const seen = [];
      for await (const row of trx.selectFrom('pet').select('name').where('owner', 'is', null).orderBy('id').limit(5).stream(2))
        seen.push(row);
      return [seen, await trx.updateTable('pet').set({ name: 'first' }).where('name', '=', seen[0].name).executeTakeFirst()];
    }),
  'a stream whose loop throws': async (db) => [
    await outcome(async () => {
      for await (const _ of db.selectFrom('pet').selectAll().stream(7)) throw new Expected('in the loop');
    }),
    await names(db),
  ],
  'a stream that fails': async (db) => [
    await outcome(async () => {
      for await (const _ of db.selectFrom(sql`generate_series(1, 9)`.as('i')).select(sql`1 / (5 - i)`.as('a')).stream(2));
    }),
    await names(db),
  ],
  'several at once': (db) =>
    Promise.all(Array.from({ length: 20 }, (_, i) => sql`select ${i}::int as i`.execute(db).then(({ rows }) => rows[0].i))),
  'several transactions at once': async (db) => {
    await Promise.all(
      Array.from({ length: 10 }, () =>
        db.transaction().execute(async (trx) => {
          const { balance } = await trx
            .selectFrom('person')
            .select('balance')
            .where('name', '=', 'Ada')
            .forUpdate()
            .executeTakeFirstOrThrow();
          await trx
            .updateTable('person')
            .set({ balance: BigInt(balance) + 1n })
            .where('name', '=', 'Ada')
            .execute();
        }),
      ),
    );
    return db.selectFrom('person').select('balance').where('name', '=', 'Ada').execute();
  },
  introspection: async (db, { schema }) => {
    const tables = await db.introspection.getTables();
    return tables
      .filter((table) => table.schema === schema)
      .map(({ name, columns }) => [name, columns.map((column) => [column.name, column.dataType, column.isNullable])]);
  },
  'a value of its own kind': async (db) => db.selectNoFrom(sql`${new Date(1000)}::timestamptz`.as('a')).execute(),
};
