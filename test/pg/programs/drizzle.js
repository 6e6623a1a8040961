/** Programs on Drizzle's driver for node-postgres, as its own documentation would have them written. */
import { count, eq, gt, inArray, relations, sql, TransactionRollbackError } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import {
  bigint,
  boolean,
  customType,
  date,
  integer,
  interval,
  jsonb,
  numeric,
  pgSchema,
  serial,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';
import { outcome } from './described.js';

const bytea = customType({ dataType: () => 'bytea' });
const celsius = customType({ dataType: () => 'integer', toDriver: ({ degrees }) => degrees, fromDriver: (degrees) => ({ degrees }) });

export async function open(pool, name) {
  const schema = pgSchema(name);
  const users = schema.table('users', {
    id: serial().primaryKey(),
    name: text().notNull().unique(),
    big: bigint({ mode: 'bigint' }),
    small: bigint({ mode: 'number' }),
    amount: numeric({ precision: 12, scale: 2 }),
    more: jsonb(),
    at: timestamp({ withTimezone: true }),
    local: timestamp({ mode: 'string' }),
    day: date({ mode: 'date' }),
    dayText: date(),
    bytes: bytea(),
    temperature: celsius(),
    tags: text().array(),
    wait: interval(),
    key: uuid(),
    active: boolean().default(true),
  });
  const posts = schema.table('posts', { id: serial().primaryKey(), author: integer().references(() => users.id), title: text().notNull() });
  const usersRelations = relations(users, ({ many }) => ({ posts: many(posts) }));
  const postsRelations = relations(posts, ({ one }) => ({ author: one(users, { fields: [posts.author], references: [users.id] }) }));
  await pool.query(`
    create table ${name}.users (id serial primary key, name text not null unique, big bigint, small bigint, amount numeric(12, 2), more jsonb, at timestamptz, local timestamp,
      day date, "dayText" date, bytes bytea, temperature int, tags text[], wait interval, key uuid, active boolean default true);
    create table ${name}.posts (id serial primary key, author int references ${name}.users, title text not null)`);
  const db = drizzle({ client: pool, schema: { users, posts, usersRelations, postsRelations } });
  return { db, users, posts };
}

const names = async ({ users }, db) => (await db.select({ name: users.name }).from(users).orderBy(users.name)).map(({ name }) => name);
class Expected extends Error {}

export const programs = {
  'the pool is known for one': ({ db }, { pool }) => [
    db.$client === pool,
    Object.getPrototypeOf(db.$client).constructor.name.includes('Pool'),
  ],
  'inserts, returning': async ({ db, users, posts }) => [
    await db
      .insert(users)
      .values([
        {
          name: 'Ada',
          big: 2n ** 60n,
          small: 7,
          amount: '12.30',
          more: { a: [1, { b: null }], c: 'ä"' },
          at: new Date(1_700_000_000_123),
          local: '2024-01-02 03:04:05.678',
          day: new Date('2024-02-29'),
          dayText: '2024-02-29',
          bytes: Buffer.from([0, 1, 255]),
          temperature: { degrees: -3 },
          tags: ['x', 'y "z"'],
          wait: '1 day 02:03:04',
          key: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
        },
        { name: 'Bo' },
      ])
      .returning(),
    await db.insert(users).values({ name: 'Cy' }),
    await db
      .insert(users)
      .values({ name: 'Cy' })
      .onConflictDoUpdate({ target: users.name, set: { small: 3 } })
      .returning({ name: users.name, small: users.small }),
    await db.insert(users).values({ name: 'Cy' }).onConflictDoNothing().returning(),
    await db
      .insert(posts)
      .values([
        { author: 1, title: 'one' },
        { author: 1, title: 'two' },
        { author: 2, title: 'three' },
      ])
      .returning(),
  ],
  selects: async ({ db, users, posts }) => [
    await db.select().from(users).orderBy(users.id),
    await db.select({ n: count(), big: sql`max(${users.big})`.mapWith(BigInt) }).from(users),
    await db
      .select({ name: users.name, title: posts.title })
      .from(users)
      .leftJoin(posts, eq(posts.author, users.id))
      .where(inArray(users.name, ['Ada', 'Cy']))
      .orderBy(users.id, posts.id),
    await db.select().from(users).innerJoin(posts, eq(posts.author, users.id)).where(gt(users.small, 5)).orderBy(posts.id),
    await db.selectDistinct({ author: posts.author }).from(posts).orderBy(posts.author),
    await db.$count(users),
  ],
  relations: ({ db }) =>
    Promise.all([
      db.query.users.findMany({
        with: { posts: { columns: { title: true }, orderBy: (post, { asc }) => asc(post.id) } },
        orderBy: (user, { asc }) => asc(user.id),
      }),
      db.query.posts.findFirst({ with: { author: true }, orderBy: (post, { desc }) => desc(post.id) }),
      db.query.users.findFirst({ where: (user, { eq: is }) => is(user.name, 'nobody') }),
    ]),
  'updates and deletes': async ({ db, users, posts }) => [
    await db
      .update(users)
      .set({ small: sql`${users.small} + 1`, more: null })
      .where(eq(users.name, 'Ada'))
      .returning({ small: users.small, more: users.more }),
    await db.update(users).set({ active: false }).where(eq(users.name, 'Bo')),
    await db.delete(posts).where(eq(posts.title, 'three')).returning(),
    await db.delete(posts).where(eq(posts.title, 'three')),
  ],
  'prepared statements with names': async ({ db, users }) => {
    const byName = db
      .select({ id: users.id, name: users.name })
      .from(users)
      .where(eq(users.name, sql.placeholder('name')))
      .prepare('by_name');
    const relational = db.query.users
      .findFirst({ columns: { name: true }, where: (user, { eq: is }) => is(user.id, sql.placeholder('id')) })
      .prepare('by_id');
    const rounds = await Promise.all(Array.from({ length: 12 }, (_, i) => byName.execute({ name: ['Ada', 'Bo', 'nobody'][i % 3] })));
    return [
      rounds,
      await relational.execute({ id: 1 }),
      await db.transaction(async (tx) =>
        tx
          .select()
          .from(users)
          .where(eq(users.name, sql.placeholder('name')))
          .prepare('in_tx')
          .execute({ name: 'Bo' }),
      ),
    ];
  },
  'what is sent as it is': async ({ db }) => [
    await db
      .execute(
        sql`select ${1}::int as a, ${'x'}::text as b, now() is not null as c, ${new Date(0).toISOString()}::timestamptz as d, '1 day'::interval as e, ${[1, 2]}::int[] is null as f`,
      )
      .catch(({ cause }) => cause.code),
    await db.execute(
      sql.raw(`select '2024-01-01'::date as a, '{2024-01-01}'::date[] as b, 5::int8 as c, '\\x01'::bytea as d, '{"x":1}'::json as e`),
    ),
  ],
  errors: async ({ db, users, posts }) => [
    await outcome(() => db.insert(users).values({ name: 'Ada' })),
    await outcome(() => db.insert(posts).values({ author: 999_999, title: 'x' })),
    await outcome(() => db.insert(users).values({ name: null })),
    await outcome(() => db.execute(sql`select 1 / 0`)),
    await outcome(() => db.execute(sql`select nowhere`)),
  ],
  'a transaction': async (all) => {
    const { db, users } = all;
    const value = await db.transaction(async (tx) => {
      await tx.insert(users).values({ name: 'Di' });
      return names(all, tx);
    });
    return [value, await names(all, db)];
  },
  'rollback()': async (all) => {
    const { db, users } = all;
    const end = await outcome(() =>
      db.transaction(async (tx) => {
        await tx.insert(users).values({ name: 'Eve' });
        tx.rollback();
      }),
    );
    return [end.error instanceof TransactionRollbackError, end.error.message, await names(all, db)];
  },
  'a transaction that throws': async (all) => {
    const { db, users } = all;
    const end = await outcome(() =>
      db.transaction(async (tx) => {
        await tx.insert(users).values({ name: 'Eve' });
        throw new Expected('no');
      }),
    );
    return [end, await names(all, db)];
  },
  'a transaction in which a statement fails': async (all) => {
    const { db, users } = all;
    const end = await outcome(() =>
      db.transaction(async (tx) => {
        await tx.insert(users).values({ name: 'Eve' });
        await tx.insert(users).values({ name: 'Ada' });
      }),
    );
    return [end, await names(all, db)];
  },
  'transactions in transactions': async (all) => {
    const { db, users } = all;
    const seen = await db.transaction(async (tx) => {
      await tx.insert(users).values({ name: 'Flo' });
      const inner = await outcome(() =>
        tx.transaction(async (deeper) => {
          await deeper.insert(users).values({ name: 'Gus' });
          await deeper.transaction(async (deepest) => {
            await deepest.insert(users).values({ name: 'Hal' });
          });
          await deeper.execute(sql`select 1 / 0`);
        }),
      );
      const rolledBack = await outcome(() => tx.transaction(async (deeper) => deeper.rollback()));
      await tx.transaction((deeper) => deeper.insert(users).values({ name: 'Ina' }));
      return [inner, rolledBack.error instanceof TransactionRollbackError, await names(all, tx)];
    });
    return [seen, await names(all, db)];
  },
  'how a transaction is': async (all) => {
    const { db, users } = all;
    const show = async (tx) =>
      (await tx.execute(sql`select current_setting('transaction_isolation') as i, current_setting('transaction_read_only') as r`)).rows;
    return [
      await db.transaction(show, { isolationLevel: 'serializable', accessMode: 'read only', deferrable: true }),
      await db.transaction(show, { isolationLevel: 'repeatable read' }),
      await db.transaction((tx) => outcome(() => tx.insert(users).values({ name: 'Joe' })), { accessMode: 'read only' }),
      await show(db),
    ];
  },
  'several at once': ({ db }) =>
    Promise.all(Array.from({ length: 20 }, (_, i) => db.execute(sql`select ${i}::int as i`).then(({ rows }) => rows[0].i))),
  'several transactions at once': async ({ db, users }) => {
    await Promise.all(
      Array.from({ length: 10 }, () =>
        db.transaction(async (tx) => {
          const [{ small }] = await tx.select({ small: users.small }).from(users).where(eq(users.name, 'Ada')).for('update');
          await tx
            .update(users)
            .set({ small: small + 1 })
            .where(eq(users.name, 'Ada'));
        }),
      ),
    );
    return db.select({ small: users.small }).from(users).where(eq(users.name, 'Ada'));
  },
};
