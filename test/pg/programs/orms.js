/**
 * What ORMs do that make their own pool: each with the Client that it is given, which is pg's own or one of pgClient. Runs on any thread.
 * `load` gives a module by its name. `at`: settings of a connection, which pgClient needs none of. Gives a transcript.
 */

const MANY = [1, 2, 3, 4, 5, 6];
const note = (error) => [
  error.name,
  String(error.message).split('\n')[0],
  error.code ?? error.parent?.code ?? error.cause?.code ?? error.cause?.originalCode,
];

export const ORMS = {
  async 'pg.Pool'({ load, Client, at, schema }) {
    const pg = (await load('pg')).default;
    const pool = new pg.Pool({ ...at, Client, max: 2 });
    pool.on('connect', (client) => client.query(`set search_path to ${schema}`));
    try {
      const seen = [];
      await pool.query('create table t (id int primary key, name text)');
      await Promise.all(MANY.map((id) => pool.query('insert into t values ($1, $2)', [id, `n${id}`])));
      const client = await pool.connect();
      seen.push(client instanceof pg.Client, client.getTransactionStatus());
      await client.query('begin');
      await client.query('delete from t');
      seen.push(client.getTransactionStatus(), (await client.query('select count(*)::int from t')).rows);
      await client.query('rollback');
      client.release();
      seen.push((await pool.query({ text: 'select * from t order by id', rowMode: 'array' })).rows);
      seen.push(await pool.query('insert into t values (1, null)').catch((error) => [error instanceof pg.DatabaseError, ...note(error)]));
      return seen;
    } finally {
      await pool.end();
    }
  },

  async typeorm({ load, Client, at, schema }) {
    const { DataSource, EntitySchema } = (await load('typeorm')).default ?? (await load('typeorm'));
    const User = new EntitySchema({
      name: 'User',
      tableName: 'users',
      columns: { id: { type: 'int', primary: true }, name: { type: 'text', unique: true } },
    });
    const source = new DataSource({
      type: 'postgres',
      ...(at.host && { ...at, username: at.user }),
      schema,
      entities: [User],
      synchronize: true,
      extra: { Client, max: 2 },
    });
    await source.initialize();
    try {
      const users = source.getRepository(User);
      await Promise.all(MANY.map((id) => users.save({ id, name: `n${id}` })));
      const seen = [await users.find({ order: { id: 'asc' } }), await users.countBy({ name: 'n3' })];
      seen.push(
        await source
          .transaction(async (manager) => {
            await manager.delete(User, { id: 1 });
            seen.push(await manager.count(User));
            throw new Error('back');
          })
          .catch(note),
      );
      seen.push(await users.count(), await users.insert({ id: 9, name: 'n1' }).catch(note));
      return seen;
    } finally {
      await source.destroy();
    }
  },

  async sequelize({ load, Client, at, schema }) {
    const { Sequelize, DataTypes } = (await load('sequelize')).default ?? (await load('sequelize'));
    const pg = (await load('pg')).default;
    const sequelize = new Sequelize(at.database ?? '', at.user ?? '', at.password ?? '', {
      dialect: 'postgres',
      ...(at.host && { host: at.host, port: at.port }),
      dialectModule: { ...pg, types: pg.types, Client },
      logging: false,
      pool: { max: 3 },
    });
    try {
      const User = sequelize.define(
        'user',
        { name: { type: DataTypes.TEXT, unique: true }, big: DataTypes.BIGINT },
        { schema, timestamps: false },
      );
      await User.sync();
      await Promise.all(MANY.map((id) => User.create({ id, name: `n${id}`, big: id })));
      const seen = [await User.findAll({ order: ['id'], raw: true })];
      seen.push(
        await sequelize
          .transaction(async (transaction) => {
            await User.destroy({ where: { id: 1 }, transaction });
            seen.push(await User.count({ transaction }));
            throw new Error('back');
          })
          .catch(note),
      );
      seen.push(await User.count(), await User.create({ name: 'n1' }).catch(note));
      return seen;
    } finally {
      await sequelize.close();
    }
  },

  async knex({ load, Client, at, schema }) {
    const { default: knex } = await load('knex');
    const pg = (await load('pg')).default;
    const { default: Dialect } = await load('knex/lib/dialects/postgres/index.js');
    class Shared extends Dialect {
      _driver() {
        return { ...pg, Client };
      }
    }
    const db = knex({ client: Shared, connection: { ...at }, searchPath: [schema], pool: { min: 0, max: 2 } });
    try {
      await db.schema.createTable('t', (table) => {
        table.integer('id').primary();
        table.text('name');
      });
      await Promise.all(MANY.map((id) => db('t').insert({ id, name: `n${id}` })));
      const seen = [await db('t').select().orderBy('id')];
      seen.push(
        await db
          .transaction(async (trx) => {
            await trx('t').where({ id: 1 }).del();
            seen.push(await trx('t').count());
            throw new Error('back');
          })
          .catch(note),
      );
      seen.push(await db('t').count(), await db('t').insert({ id: 1 }).catch(note));
      return seen;
    } finally {
      await db.destroy();
    }
  },

  async mikro({ load, Client, at, schema }) {
    const { MikroORM, EntitySchema } = await load('@mikro-orm/postgresql');
    const User = new EntitySchema({
      name: 'User',
      tableName: 'users',
      properties: { id: { type: 'integer', primary: true, autoincrement: false }, name: { type: 'text', unique: true } },
    });
    const orm = await MikroORM.init({
      entities: [User],
      schema,
      dbName: at.database ?? 'postgres',
      ...(at.host && { host: at.host, port: at.port, user: at.user, password: at.password }),
      driverOptions: { Client },
      pool: { max: 2 },
      discovery: { warnWhenNoEntities: false },
      debug: false,
    });
    try {
      await orm.schema.create();
      const em = orm.em.fork();
      for (const id of MANY) em.persist(em.create(User, { id, name: `n${id}` }));
      await em.flush();
      const fork = () => orm.em.fork();
      const seen = [await fork().find(User, {}, { orderBy: { id: 'asc' } }), await fork().count(User, { name: 'n3' })];
      seen.push(
        await fork()
          .transactional(async (inside) => {
            await inside.nativeDelete(User, { id: 1 });
            seen.push(await inside.count(User));
            throw new Error('back');
          })
          .catch(note),
      );
      seen.push(await fork().count(User), await fork().insert(User, { id: 9, name: 'n1' }).catch(note));
      return seen;
    } finally {
      await orm.close(true);
    }
  },

  async prisma({ load, Client, at, schema }) {
    const { PrismaPg } = await load('@prisma/adapter-pg');
    const adapter = await new PrismaPg({ ...at, Client, max: 2 }, { schema }).connect();
    try {
      const say = (on, sql, args = []) => on.queryRaw({ sql, args, argTypes: args.map(() => ({ scalarType: 'int', arity: 'scalar' })) });
      await adapter.executeScript(`create table ${schema}.t (id int primary key)`);
      await Promise.all(MANY.map((id) => say(adapter, `insert into ${schema}.t values ($1)`, [id])));
      const seen = [await say(adapter, `select id, id::text as name from ${schema}.t order by id`)];
      const tx = await adapter.startTransaction();
      await tx.executeRaw({ sql: 'begin', args: [], argTypes: [] }).catch(() => {});
      await say(tx, `delete from ${schema}.t`);
      seen.push((await say(tx, `select count(*)::int as n from ${schema}.t`)).rows);
      await tx.executeRaw({ sql: 'rollback', args: [], argTypes: [] });
      await tx.rollback();
      seen.push((await say(adapter, `select count(*)::int as n from ${schema}.t`)).rows);
      seen.push(await say(adapter, `insert into ${schema}.t values (1)`).catch(note));
      return seen;
    } finally {
      await adapter.dispose();
    }
  },

  async 'pg-promise'({ load, Client, at, schema }) {
    const { default: promise } = await load('pg-promise');
    const db = promise({ noWarnings: true, schema })({ ...at, Client, max: 2 });
    try {
      await db.none('create table t (id int primary key, name text)');
      await Promise.all(MANY.map((id) => db.none('insert into t values ($1, $2)', [id, `n${id}`])));
      const seen = [await db.any('select * from t order by id')];
      seen.push(
        await db
          .tx(async (tx) => {
            await tx.none('delete from t');
            seen.push(await tx.one('select count(*)::int as n from t'));
            throw new Error('back');
          })
          .catch(note),
      );
      seen.push(await db.one('select count(*)::int as n from t'), await db.none('insert into t values (1)').catch(note));
      return seen;
    } finally {
      await db.$pool.end();
    }
  },

  async 'pg-boss'({ load, Client, at, schema }) {
    const { default: PgBoss } = await load('pg-boss');
    const boss = new PgBoss({ ...at, Client, schema: `${schema}_boss`, max: 2, supervise: false, schedule: false });
    boss.on('error', () => {});
    await boss.start();
    try {
      await boss.createQueue('jobs');
      for (const id of MANY) await boss.send('jobs', { id });
      const jobs = await boss.fetch('jobs', { batchSize: 4 });
      await boss.complete(
        'jobs',
        jobs.map(({ id }) => id),
      );
      return [jobs.map(({ data }) => data.id).sort(), await boss.getQueueSize('jobs')];
    } finally {
      await boss.stop({ graceful: false });
    }
  },
};
