/** ORMs that make their own pool get in by pgClient: what they do is what they do over pg's own clients, on every thread, with `max` in force. */

import { pgClient } from 'cenote/pg';
import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { ask, connections, join, open, postgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import { ORMS } from './programs/orms.js';

type Orm = (given: { load: (name: string) => Promise<unknown>; Client: unknown; at: object; schema: string }) => Promise<unknown>;
const orms = ORMS as unknown as Record<string, Orm>;
const load = (name: string): Promise<unknown> => import(name);

let schemas = 0;
async function newSchema(): Promise<string> {
  const schema = `orm_${++schemas}`;
  await ask(`create schema ${schema}`);
  return schema;
}

/** Where pg's own clients connect. */
async function settings(): Promise<object> {
  const url = new URL((await postgres()).url);
  return {
    host: url.searchParams.get('host') ?? url.hostname,
    port: Number(url.port),
    user: url.username,
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
  };
}

/** The transcript, whatever the schema was called. */
const said = (transcript: unknown, schema: string): unknown => JSON.parse(JSON.stringify(transcript).replaceAll(schema, 'schema'));

/** What each does over clients of pg. */
const transcripts = new Map<string, Promise<unknown>>();
function expectedOf(name: string): Promise<unknown> {
  let expected = transcripts.get(name);
  if (expected === undefined) {
    expected = newSchema().then(async (schema) =>
      said(await orms[name]({ load, Client: pg.Client, at: await settings(), schema }), schema),
    );
    transcripts.set(name, expected);
  }
  return expected;
}

describe.each(Object.keys(orms))('%s', (name) => {
  let expected: unknown;
  beforeAll(async () => {
    expected = await expectedOf(name);
    expect(JSON.stringify(expected).length).toBeGreaterThan(10);
  });

  test('over two connections for all threads', async () => {
    const pool = await open({ max: 2 });
    const threads = await Promise.all([join(pool), join(pool)]);
    let most = 0;
    const watching = setInterval(() => void connections(pool.pool.name).then((n) => (most = Math.max(most, n))), 20);
    const on = async (thread: (typeof threads)[number]) => {
      const schema = await newSchema();
      const transcript = await thread.pg(
        async (_, scope, module, orm, into) => {
          const { ORMS: all } = (await scope.load(module)) as { ORMS: Record<string, Orm> };
          const worker = (await scope.load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
          return all[orm]({ load: scope.load, Client: worker.pgClient(scope.handle), at: {}, schema: into });
        },
        new URL('./programs/orms.js', import.meta.url).href,
        name,
        schema,
      );
      return said(transcript, schema);
    };
    try {
      const schema = await newSchema();
      const onOwner = orms[name]({ load, Client: pgClient(pool), at: {}, schema }).then((transcript) => said(transcript, schema));
      const seen = await Promise.all([...threads.map(on), onOwner]);
      for (const transcript of seen) expect(transcript).toEqual(expected);
    } finally {
      clearInterval(watching);
    }
    expect(most).toBeLessThanOrEqual(2);
    await until(() => pool.pool.activeCount() === 0);
  });
});

test('all of them at once, with a pool of the thread that ends meanwhile, in four threads: four connections', async () => {
  const names = Object.keys(orms);
  const expected = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await expectedOf(name)])));
  const pool = await open({ max: 4 });
  const made = new Set<unknown>();
  const look = async (): Promise<void> => {
    for (const { pid } of await ask('select pid from pg_stat_activity where application_name = $1', [pool.pool.name])) made.add(pid);
  };
  const watching = setInterval(() => void look(), 20);
  const on = async (thread: Awaited<ReturnType<typeof join>>) => {
    const schemas = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await newSchema()])));
    const seen = await thread.pg(
      async (own, scope, module, into) => {
        const { ORMS: all } = (await scope.load(module)) as { ORMS: Record<string, Orm> };
        const worker = (await scope.load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
        const Client = worker.pgClient(scope.handle);
        const running = Object.entries(into).map(async ([name, schema]) => [
          name,
          await all[name]({ load: scope.load, Client, at: {}, schema: schema as string }),
        ]);
        await own.query('select 1');
        await own.end();
        return Object.fromEntries(await Promise.all(running));
      },
      new URL('./programs/orms.js', import.meta.url).href,
      schemas,
    );
    return Object.fromEntries(names.map((name) => [name, said(seen[name], schemas[name])]));
  };
  try {
    const threads = await Promise.all([1, 2, 3, 4].map(() => join(pool)));
    for (const seen of await Promise.all(threads.map(on))) expect(seen).toEqual(expected);
  } finally {
    clearInterval(watching);
  }
  // They all stay, and those that were made last may not have been seen yet.
  await look();
  expect(made.size).toBe(4);
  await until(() => pool.pool.activeCount() === 0);
});

describe('a client of pgClient', () => {
  const clients = async (max: number) => {
    const pool = await open({ max });
    const Client = pgClient(pool);
    return { pool, Client };
  };

  test('lends its connection while it needs none, and keeps it in a transaction', async () => {
    const { pool, Client } = await clients(1);
    const [a, b] = [new Client(), new Client()];
    await Promise.all([a.connect(), b.connect()]);
    expect((await a.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
    expect((await b.query('select 2 as n')).rows).toEqual([{ n: 2 }]);
    await a.query('begin');
    const other = b.query('select pg_current_xact_id_if_assigned() as inside');
    await a.query('select pg_current_xact_id()');
    await a.query('commit');
    expect((await other).rows).toEqual([{ inside: null }]);
    await Promise.all([a.end(), b.end()]);
    await until(() => pool.pool.activeCount() === 0);
  });

  test('has its profile in force, whatever others set, and pins nothing by it', async () => {
    const { pool, Client } = await clients(1);
    const [a, b] = [new Client(), new Client()];
    await Promise.all([a.connect(), b.connect()]);
    await a.query('select version()');
    await a.query(`set search_path to a; set my.own = 'a'`);
    await b.query(`select set_config('my.own', $1, false)`, ['b']);
    const see = async (client: Pick<pg.Client, 'query'>) =>
      (await client.query(`select current_setting('search_path') as path, current_setting('my.own', true) as own`)).rows[0];
    for (let round = 0; round < 3; round++) {
      expect(await see(a)).toEqual({ path: 'a', own: 'a' });
      expect(await see(b)).toEqual({ path: '"$user", public', own: 'b' });
      expect((await see(pool as unknown as pg.Client)).own ?? '').toBe('');
    }
    // From its first other statement on it is state like any other, and pins.
    await a.query(`set my.own = 'later'`);
    const waits = see(b);
    expect(await see(a)).toEqual({ path: 'a', own: 'later' });
    await a.end();
    expect(await waits).toEqual({ path: '"$user", public', own: 'b' });
    await b.end();
  });

  test('hears notifications when they happen', async () => {
    const { pool, Client } = await clients(2);
    const client = new Client();
    await client.connect();
    const heard: unknown[] = [];
    client.on('notification', ({ payload }) => heard.push(payload));
    await client.query('listen something');
    await pool.query(`notify something, 'hello'`);
    await until(() => heard.length > 0);
    expect(heard).toEqual(['hello']);
    await client.end();
    await until(() => pool.pool.activeCount() === 0);
  });

  test('ignores where it is to connect, and says so once a thread', async () => {
    const worker = await join(await open({ max: 1 }));
    const database = new URL((await postgres()).url).pathname.slice(1);
    const seen = await worker.pg(async (_, { load, handle }, database) => {
      const { pgClient: clientsOf } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const codes: unknown[] = [];
      process.on('warning', (warning) => codes.push((warning as { code?: string }).code));
      const Client = clientsOf(handle as never);
      // What ORMs say by themselves, and what is so anyway.
      const quiet = new Client({ host: '127.0.0.1', port: 5432, user: 'postgres', password: 'no', database });
      await quiet.connect();
      await quiet.end();
      await new Promise((resolve) => setImmediate(resolve));
      codes.push('quiet so far');
      const client = new Client({ host: 'nowhere.invalid', password: 'no' });
      const other = new Client({ host: 'nowhere.invalid' });
      await Promise.all([client.connect(), other.connect()]);
      await other.end();
      const { rows } = await client.query('select 1 as a');
      await client.end();
      const message = (error: Error): string => error.message;
      const refused = [await client.query('select 1').catch(message), await new Client().query('select 1').catch(message)];
      return [rows, codes, refused];
    }, database);
    const refused = ['Client was closed and is not queryable', expect.stringContaining('await connect() before the first query')];
    expect(seen).toEqual([[{ a: 1 }], ['quiet so far', 'CENOTE_PG_CLIENT_SETTINGS'], refused]);
  });
});
