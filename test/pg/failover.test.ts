/** A server that is not what it was: its connections go to no other borrower. One that is read-only because that was asked for stays. */
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { join as path } from 'node:path';
import { consecutiveFailures } from 'cenote';
import type { PgOwnerPool, PgPoolOptions } from 'cenote/pg';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../examples/demo/postgres.ts';
import { ask, on, open, postgres, WHERE } from '../support/postgres.ts';

/** Writes, and says what came of it. Runs on a thread. */
const write = (p: { query(text: string): Promise<unknown> }) =>
  p.query('insert into written values (1)').then(
    () => 'written',
    (error: { code: string }) => error.code,
  );

const pidOf = async (pool: PgOwnerPool): Promise<number> => (await pool.query('select pg_backend_pid() as pid')).rows[0].pid;

describe('a server that is a standby now', () => {
  let old: PostgresServer | undefined;

  beforeAll(async () => {
    old = await startPostgres();
    await old.down();
    writeFileSync(path(old.folder, 'data', 'standby.signal'), '');
    await old.up();
  }, 120_000);

  afterAll(() => old?.stop());

  test('a pool writes to the new primary after as many failures as it had connections to the old one', async () => {
    const { url: next } = await postgres();
    let primary = old!.url;
    const pool = await open({ max: 2, connection: () => primary });
    // Both are there, however long the second takes to be made.
    for (const client of await Promise.all([pool.connect(), pool.connect()])) client.release();
    expect(pool.totalCount).toBe(2);
    primary = next;
    const outcomes: string[] = [];
    for (let i = 0; i < 5; i++)
      outcomes.push(
        await pool.query('create table if not exists moved (a int); insert into moved values (1)').then(
          () => 'written',
          ({ code }) => code,
        ),
      );
    expect(outcomes).toEqual(['25006', '25006', 'written', 'written', 'written']);
  });

  test('that it refuses BEGIN READ WRITE counts as well; a transaction that was to be read-only does not', async () => {
    const pool = await open({ max: 1, connection: old!.url });
    const first = await pidOf(pool);
    await expect(pool.transaction(async () => {}, { readOnly: false })).rejects.toMatchObject({ code: '0A000' });
    const second = await pidOf(pool);
    expect(second).not.toBe(first);
    const writing = pool.transaction((tx) => tx.query('create table never (a int)'), { readOnly: true });
    await expect(writing).rejects.toMatchObject({ code: '25006' });
    expect(await pidOf(pool)).toBe(second);
  });
});

describe.each(WHERE)('on %s', (where) => {
  /** Pids of the connection before and after the body, on a pool of one. */
  async function change(
    body: (...args: any[]) => unknown,
    options: Partial<PgPoolOptions> = {},
    ...args: unknown[]
  ): Promise<[boolean, unknown]> {
    const pool = await open({ max: 1, ...options });
    const run = await on(where, pool);
    const before = await pidOf(pool);
    const seen = await run(body as never, ...(args as never[]));
    return [(await pidOf(pool)) !== before, seen];
  }

  test('read-only by the will of an administrator costs the connection, in a transaction, a scope, a cursor or a plain query', async () => {
    await ask('drop table if exists written; create table written (a int)');
    const name = `admin_${where.length}`;
    await ask(
      `drop role if exists ${name}; create role ${name} login superuser password 'p'; alter role ${name} set default_transaction_read_only = on`,
    );
    const url = new URL((await postgres()).url);
    const as = {
      settings: {
        user: name,
        password: 'p',
        connectionString: undefined,
        host: url.searchParams.get('host')!,
        database: url.pathname.slice(1),
      },
    };
    const codeOf = `const codeOf = (promise) => promise.then(() => 'written', (error) => error.code);`;
    const insert = `insert into written values (1)`;
    const ways = [
      `return codeOf(p.query('${insert}'));`,
      `return codeOf(p.transaction((tx) => tx.query('${insert}')));`,
      `return codeOf(p.scope(async () => { await p.query('begin'); const code = await codeOf(p.query('${insert}')); await p.query('rollback'); await p.query('select 1'); throw { code }; }));`,
      `const client = await p.connect(); try { return await codeOf(client.query({ name: 'i', text: '${insert}' })); } finally { client.release(); }`,
      `const client = await p.connect(); await client.query('begin'); try { return await codeOf(client.query('${insert}')); } finally { client.release(); }`,
      `return codeOf((async () => { for await (const row of p.iterate('${insert} returning a')) throw row; })());`,
      `const { default: Cursor } = await scope.load('pg-cursor'); const client = await p.connect();
       try { return await codeOf(client.query(new Cursor('${insert} returning a')).read(1)); } finally { client.release(); }`,
    ];
    for (const way of ways) {
      const body = new Function('p', 'scope', `return (async () => { ${codeOf} ${way} })();`);
      expect(await change(body as never, as as never), way).toEqual([true, '25006']);
    }
  });

  test('read-only as asked for, for a transaction, for the session or by onConnect, costs nothing', async () => {
    await ask('drop table if exists written; create table written (a int)');
    const options = { settings: { options: '-c default_transaction_read_only=on' } };
    const onConnect: PgPoolOptions['onConnect'] = async (client) => void (await client.query('set default_transaction_read_only = on'));
    const insert = write;
    expect(await change(insert, { onConnect })).toEqual([false, '25006']);
    expect(await change(insert, options as never)).toEqual([false, '25006']);
    const ways = [
      `return codeOf(p.transaction((tx) => tx.query(insert), { readOnly: true }));`,
      `return codeOf(p.transaction(async (tx) => { await tx.query('set transaction read only'); await tx.query(insert); }));`,
      `return codeOf(p.query('begin read only; insert into written values (1)'));`,
      `return codeOf(p.query('start transaction isolation level serializable read only; insert into written values (1); commit'));`,
      `const client = await p.connect(); await client.query('set session characteristics as transaction read only');
       try { return await codeOf(client.query(insert)); } finally { client.release(); }`,
      `const client = await p.connect(); await client.query('set default_transaction_read_only = on'); await client.query('begin');
       try { return await codeOf(client.query(insert)); } finally { client.release(); }`,
    ];
    for (const way of ways) {
      const body = new Function(
        'p',
        `const insert = 'insert into written values (1)'; const codeOf = (promise) => promise.then(() => 'written', (error) => error.code);
         return (async () => { ${way} })();`,
      );
      expect(await change(body as never, { statementCacheSize: 10 }), way).toEqual([false, '25006']);
    }
  });

  test.each([
    ['25006', true],
    ['08P01', false],
    ['08001', false],
    ['53300', false],
    ['40001', false],
    ['57014', false],
    ['23505', false],
  ])('%s, raised by a function, costs the connection: %s', async (code, isCostly) => {
    const text = `do $$ begin raise exception using errcode = '${code}'; end $$`;
    const [hasChanged, seen] = await change((p, _, raising) => p.query(raising).catch((error: any) => error.code), {}, text);
    expect([hasChanged, seen]).toEqual([isCostly, code]);
  });

  test('a borrower in a scope goes on with its connection until it gives it back', async () => {
    const text = `do $$ begin raise exception using errcode = '25006'; end $$`;
    const [hasChanged, seen] = await change(
      async (p, _, raising) => {
        const client = await p.connect();
        const codes: unknown[] = [await client.query(raising).catch((error: any) => error.code)];
        codes.push((await client.query('select 1 as a')).rows[0].a);
        client.release();
        return codes;
      },
      {},
      text,
    );
    expect([hasChanged, seen]).toEqual([true, ['25006', 1]]);
  });
});

/** A pooler: what it is asked with `says X` in it is answered with error X, and its connection stays. */
async function pooler(): Promise<pg.ClientConfig> {
  const url = new URL((await postgres()).url);
  const message = (type: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const server = createServer((near) => {
    const far = dial(`${url.searchParams.get('host')}/.s.PGSQL.5432`);
    far.pipe(near);
    near.on('data', (data) => {
      const code = /says (\w{5})/.exec(data.toString('latin1'))?.[1];
      if (code === undefined) return void far.write(data);
      const fields = Buffer.from(`SERROR\0C${code}\0Msays the pooler\0\0`);
      near.write(Buffer.concat([message('E', fields), message('Z', Buffer.from('I'))]));
    });
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return {
    connectionString: undefined,
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    user: 'postgres',
    password: url.password,
    database: url.pathname.slice(1),
    ssl: false,
  };
}

test.each([
  ['08000', true],
  ['08006', true],
  ['08007', true],
  ['57P01', true],
  ['57P02', true],
  ['57P03', true],
  ['57P04', true],
  ['57P05', true],
  ['08P01', false],
  ['08001', false],
  ['08003', false],
  ['53300', false],
  ['XX000', false],
])('%s, said of itself by what is in front of the server, costs the connection: %s', async (code, isCostly) => {
  const pool = await open({ max: 1, settings: await pooler() });
  const before = await pidOf(pool);
  await expect(pool.query(`select 'says ${code}'`)).rejects.toMatchObject({ code });
  expect((await pidOf(pool)) !== before).toBe(isCostly);
});

test('the breaker is told of each', async () => {
  const pool = await open({ max: 1, circuitBreaker: consecutiveFailures({ threshold: 2, resetTimeout: 60_000 }) });
  const refused = `do $$ begin raise exception using errcode = '25006'; end $$`;
  const codes: unknown[] = [];
  for (let i = 0; i < 3; i++) await pool.query(refused).catch(({ code }) => codes.push(code));
  expect(codes).toEqual(['25006', '25006', 'ERR_POOL_UNAVAILABLE']);
});
