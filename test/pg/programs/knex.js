/** Programs on Knex over a pool that is given to it, as its own documentation would have them written. */
import { pipeline } from 'node:stream/promises';
import knexOf from 'knex';
import { outcome } from './described.js';

export async function open(pool, schema) {
  const knex = knexOf({ client: 'pg', connectionPool: pool });
  knex.mine = schema;
  await knex.schema.withSchema(schema).createTable('account', (table) => {
    table.increments('id');
    table.string('name').notNullable().unique();
    table.decimal('amount', 12, 2).defaultTo(0);
    table.jsonb('more');
    table.binary('bytes');
    table.timestamp('at');
    table.specificType('tags', 'text[]');
  });
  await knex.schema.withSchema(schema).createTable('entry', (table) => {
    table.bigIncrements('id');
    table.integer('account').references('id').inTable(`${schema}.account`);
    table.boolean('done').defaultTo(false);
  });
  return knex;
}

/** The pool is not Knex's: it goes on. */
export async function close(knex) {
  const { connectionPool: pool } = knex.client.config;
  await knex.destroy();
  const { rows } = await pool.query('select 1 as a');
  if (rows[0].a !== 1) throw new Error('the pool has gone');
}

const account = (knex) => knex('account').withSchema(knex.mine);
const entries = (knex, db) => db.withSchema(knex.mine).from('entry');
const all = (knex, db = knex) => db.withSchema(knex.mine).from('account').orderBy('name').pluck('name');
class Expected extends Error {}

export const programs = {
  'inserts, returning': async (knex) => [
    await account(knex)
      .insert({ name: 'Ada', amount: '10.50', more: { a: [1, null] }, bytes: Buffer.from([1, 255]), at: new Date(0), tags: ['x', 'y'] })
      .returning('*'),
    await account(knex)
      .insert([{ name: 'Bo' }, { name: 'Cy', amount: 3 }])
      .returning(['id', 'name']),
    await account(knex).insert({ name: 'Cy' }).onConflict('name').merge({ amount: 9 }).returning('amount'),
    await account(knex).insert({ name: 'Cy' }).onConflict('name').ignore(),
    await account(knex).insert({ name: 'Di' }, 'id'),
  ],
  selects: async (knex) => [
    await account(knex).select().orderBy('id'),
    await account(knex).first('name', 'amount').where({ name: 'Ada' }),
    await account(knex).first().where({ name: 'nobody' }),
    await account(knex).count('* as n').sum({ total: 'amount' }),
    await account(knex).whereIn('name', ['Ada', 'Bo']).andWhere('amount', '>=', 0).pluck('name'),
    await account(knex).whereJsonPath('more', '$.a[0]', '=', 1).select('name'),
    await knex.withSchema(knex.mine).from('account').leftJoin('entry', 'entry.account', 'account.id').columnInfo(),
    await account(knex).select(knex.raw('upper(name) as up')).whereRaw('amount > ?', [5]),
  ],
  raw: async (knex) => [
    await knex.raw('select ?::int as a, ? as b, ?? as c from (select 1 as x) t', [1, 'two', 'x']),
    await knex.raw('select :a::int as a, :b as b', { a: 5, b: 'six' }),
    await knex.raw('select ?::text[] as a, ?::jsonb as b, ?::timestamptz as c, ?::bytea as d', [
      ['x', null],
      JSON.stringify({ y: 1 }),
      new Date(5),
      Buffer.from([7]),
    ]),
    await knex.raw('select 1 as a; select 2 as b'),
  ],
  'updates and deletes': async (knex) => [
    await account(knex).where({ name: 'Ada' }).update({ amount: 11 }),
    await account(knex).where({ name: 'Ada' }).increment('amount', 2).returning('amount'),
    await account(knex).where({ name: 'Di' }).del(),
    await account(knex).where({ name: 'Di' }).del('*'),
  ],
  'a callback instead of a promise': (knex) =>
    new Promise((resolve) => {
      account(knex)
        .select('name')
        .orderBy('name')
        .asCallback((error, rows) => resolve([error, rows]));
    }),
  'events of a query': async (knex) => {
    const heard = [];
    knex.on('query-response', (rows, { method }) => heard.push([method, rows.length]));
    knex.on('query-error', ({ code }, { method }) => heard.push([method, code]));
    await account(knex).select('name');
    await outcome(() => account(knex).select('nowhere'));
    knex.removeAllListeners('query-response');
    knex.removeAllListeners('query-error');
    return heard;
  },
  errors: async (knex) => [
    await outcome(() => account(knex).insert({ name: 'Ada' })),
    await outcome(() => account(knex).insert({ name: null })),
    await outcome(() => account(knex).select('nowhere')),
    await outcome(() => knex.raw('select 1 / ?::int', [0])),
  ],
  'a transaction': async (knex) => {
    const value = await knex.transaction(async (trx) => {
      const [{ id }] = await trx.withSchema(knex.mine).into('account').insert({ name: 'Eve' }).returning('id');
      await trx.withSchema(knex.mine).into('entry').insert({ account: id });
      return typeof id;
    });
    return [value, await all(knex)];
  },
  'a transaction that throws': async (knex) => [
    await outcome(() =>
      knex.transaction(async (trx) => {
        await trx.withSchema(knex.mine).into('account').insert({ name: 'Flo' });
        throw new Expected('no');
      }),
    ),
    await all(knex),
  ],
  'a transaction in which a statement fails': async (knex) => [
    await outcome(() =>
      knex.transaction(async (trx) => {
        await trx.withSchema(knex.mine).into('account').insert({ name: 'Flo' });
        await trx.withSchema(knex.mine).into('account').insert({ name: 'Ada' });
      }),
    ),
    await all(knex),
  ],
  'a transaction in a transaction': async (knex) => {
    const seen = await knex.transaction(async (trx) => {
      await trx.withSchema(knex.mine).into('account').insert({ name: 'Gus' });
      const inner = await outcome(() =>
        trx.transaction(async (nested) => {
          await nested.withSchema(knex.mine).into('account').insert({ name: 'Hal' });
          await nested.raw('select 1 / 0');
        }),
      );
      await trx.transaction((nested) => nested.withSchema(knex.mine).into('account').insert({ name: 'Ina' }));
      return [inner, await all(knex, trx)];
    });
    return [seen, await all(knex)];
  },
  'a transaction without a function': async (knex) => {
    const trx = await knex.transaction();
    await trx.withSchema(knex.mine).into('account').insert({ name: 'Joe' });
    const inside = await all(knex, trx);
    await trx.rollback();
    const other = await knex.transaction({ isolationLevel: 'serializable', readOnly: true });
    const { rows } = await other.raw('show transaction_isolation');
    const refused = await outcome(() => other.withSchema(knex.mine).into('account').insert({ name: 'Joe' }));
    await other.rollback().catch(() => {});
    return [inside, trx.isCompleted(), rows, refused, await all(knex)];
  },
  'a transaction provider': async (knex) => {
    const provider = knex.transactionProvider();
    const trx = await provider();
    const same = (await provider()) === trx;
    await trx.withSchema(knex.mine).into('account').insert({ name: 'Kim' });
    await trx.commit();
    return [same, await all(knex)];
  },
  transacting: async (knex) => {
    await knex.transaction((trx) => account(knex).transacting(trx).where({ name: 'Kim' }).update({ amount: 1 }).forUpdate());
    return account(knex).where({ name: 'Kim' }).select('amount');
  },
  'a batch': async (knex) => {
    const rows = Array.from({ length: 250 }, (_, i) => ({ account: null, done: i % 3 === 0 }));
    const ids = await knex.batchInsert(`${knex.mine}.entry`, rows, 40).returning('id');
    const failed = await outcome(() => knex.batchInsert(`${knex.mine}.account`, [{ name: 'Lea' }, { name: 'Ada' }], 1));
    return [
      ids.length,
      failed,
      await knex.withSchema(knex.mine).from('entry').count('* as n').groupBy('done').orderBy('n'),
      await all(knex),
    ];
  },
  // In a transaction: outside of one, Knex 3.3 releases a connection of a given pool twice, which ends the process with a pg.Pool, too.
  'a stream': (knex) =>
    knex.transaction(async (trx) => {
      const seen = [];
      for await (const row of entries(knex, trx).select('done').orderBy('id').stream({ batchSize: 30 })) seen.push(row);
      return [seen, await all(knex, trx)];
    }),
  'a stream through a pipe': (knex) =>
    knex.transaction(async (trx) => {
      let rows = 0;
      await pipeline(entries(knex, trx).select('id').stream({ highWaterMark: 5 }), async (source) => {
        for await (const _ of source) rows++;
      });
      return rows;
    }),
  'a stream that is left early': async (knex) => {
    const seen = [];
    await knex.transaction(async (trx) => {
      for await (const row of entries(knex, trx).select('done').orderBy('id').stream({ batchSize: 3 })) if (seen.push(row) === 10) break;
      seen.push(await all(knex, trx));
    });
    return [seen, await all(knex)];
  },
  'a stream that fails': async (knex) => [
    await outcome(() =>
      knex.transaction(async (trx) => {
        for await (const _ of entries(knex, trx).select(knex.raw('1 / (5 - id)')).stream({ batchSize: 2 }));
      }),
    ),
    await all(knex),
  ],
  'several at once': (knex) =>
    Promise.all(Array.from({ length: 20 }, (_, i) => knex.raw('select ?::int as i', [i]).then(({ rows }) => rows[0].i))),
  'several transactions at once': async (knex) => {
    await Promise.all(
      Array.from({ length: 10 }, () =>
        knex.transaction(async (trx) => {
          const { amount } = await trx.withSchema(knex.mine).from('account').first('amount').where({ name: 'Bo' }).forUpdate();
          await trx
            .withSchema(knex.mine)
            .from('account')
            .where({ name: 'Bo' })
            .update({ amount: Number(amount) + 1 });
        }),
      ),
    );
    return account(knex).where({ name: 'Bo' }).select('amount');
  },
  'a timeout': async (knex) => [
    await outcome(() => knex.raw('select pg_sleep(2)').timeout(40)).then(({ error }) => [error?.name, error?.message]),
    await all(knex),
  ],
  'a schema that is looked at': async (knex) => [
    await knex.schema.withSchema(knex.mine).hasTable('account'),
    await knex.schema.withSchema(knex.mine).hasColumn('entry', 'nowhere'),
  ],
};
