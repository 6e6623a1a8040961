/** What a program gives its own client counts for that client, on whatever connection it is asked, and for no other. */
import { pgClient } from 'cenote/pg';
import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { ask, join, open, postgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

beforeAll(async () => {
  await ask('create schema tenant_1');
  await ask('create schema "tenant 2"');
  await ask(`create table tenant_1.who as select 'one' as name`);
  await ask(`create table "tenant 2".who as select 'two' as name`);
}, 120_000);

/** Runs on whichever thread. */
const program = async (Client: typeof pg.Client, url: string) => {
  const ask = (client: pg.Client, text: string) =>
    client.query(text).then(
      ({ rows }) => rows[0] && Object.values(rows[0]).join(),
      ({ code, message }) => code ?? message,
    );
  const seen: Record<string, unknown> = {};
  const one = new Client({
    options: '-c search_path=tenant_1 --application-name=ignored',
    application_name: 'of one',
    statement_timeout: 1000,
  });
  const two = new Client(
    `${url}${url.includes('?') ? '&' : '?'}options=-csearch_path%3D%22tenant\\%202%22%20-c%20my.own=a\\\\b&lock_timeout=70000`,
  );
  const three = new Client({ query_timeout: 3000, types: { getTypeParser: () => (text: string) => `<${text}>` } as never });
  const four = new Client({
    fallback_application_name: 'of four',
    idle_in_transaction_session_timeout: 80_000,
    statement_timeout: false as never,
  });
  const plain = new Client();
  await Promise.all([one, two, three, four, plain].map((client) => client.connect()));
  for (let round = 0; round < 2; round++) {
    seen.one = await ask(one, `select name, current_setting('application_name') as b, current_setting('statement_timeout') as c from who`);
    seen.oneLimit = await ask(one, 'select pg_sleep(60)');
    seen.two = await ask(two, `select name, current_setting('my.own') as b, current_setting('lock_timeout') as c from who`);
    seen.three = await ask(three, 'select 1 as a, true as b');
    seen.four = await ask(four, `select current_setting('application_name') as a, current_setting('idle_in_transaction_session_timeout')`);
    seen.plain = await ask(plain, `select to_regclass('who'), current_setting('statement_timeout')`);
  }
  await one.query('begin');
  seen.open = await ask(one, 'select name from who');
  await one.query(`set my.own = 'x'`);
  await one.query('rollback');
  seen.threeLimit = await ask(three, 'select pg_sleep(60)');
  await Promise.all([one, two, three, four, plain].map((client) => client.end()));
  return seen;
};

const EXPECTED = {
  one: 'one,of one,1s',
  oneLimit: '57014',
  two: 'two,a\\b,70s',
  three: '<1>,<t>',
  four: 'of four,80s',
  plain: ',0',
  open: 'one',
  threeLimit: 'Query read timeout',
};

test('as the driver has it', async () => {
  const { url } = await postgres();
  class Client extends pg.Client {
    constructor(config?: string | pg.ClientConfig) {
      super(typeof config === 'string' ? config : { connectionString: url, ...config });
    }
  }
  expect(await program(Client as never, url)).toEqual(EXPECTED);
});

describe.each(['auto', 'relayed', 'remote'] as const)("lend: '%s'", (lend) => {
  test('over one connection, on a worker', async () => {
    const pool = await open({ max: 1, lend });
    const thread = await join(pool);
    const seen = await thread.pg(
      async (_, { load, handle }, url: string, code: string) => {
        const { pgClient: clients } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
        return new Function(`return (${code});`)()(clients(handle as never), url);
      },
      (await postgres()).url,
      String(program),
    );
    expect(seen).toEqual(EXPECTED);
    await until(() => pool.pool.activeCount() === 0);
    // The one whose query took too long.
    expect(pool.pool.stats()).toMatchObject({ created: 1, destroyed: 1 });
  });
});

test('over one connection, on the owner', async () => {
  const pool = await open({ max: 1 });
  expect(await program(pgClient(pool) as never, (await postgres()).url)).toEqual(EXPECTED);
});

test('what cannot be had is refused, or told once', async () => {
  const Client = pgClient(await open());
  expect(() => new Client({ replication: 'database' } as never)).toThrow(/cannot be a replication connection/);
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  new Client({ options: '-B 100 -c geqo=off' });
  expect(await warned).toMatchObject({
    code: 'CENOTE_PG_CLIENT_OPTIONS',
    message:
      'a client of pgClient() was given "-B" in options: it is ignored, as only settings count there that may be made in a session, like -c name=value',
  });
  // These settings say no, or nothing that could be in force.
  const quiet = new Client({ options: '-c log_connections=on -c work_mem=65kB', replication: 'off', statement_timeout: '0' } as never);
  await quiet.connect();
  expect((await quiet.query('show work_mem')).rows).toEqual([{ work_mem: '65kB' }]);
  await quiet.end();
  // What the server refuses is refused by the first query, and the connection is as good as before.
  const wrong = new Client({ options: '-c work_mem=much' });
  await wrong.connect();
  await expect(wrong.query('select 1')).rejects.toThrow('invalid value for parameter "work_mem"');
  await expect(wrong.query('select 1')).rejects.toThrow('invalid value for parameter "work_mem"');
  await wrong.end();
  const right = new Client();
  await right.connect();
  expect((await right.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
  await right.end();
});

test('a connection string without a host says nothing of where, and the rest counts', async () => {
  const pool = await open({ max: 1 });
  const { pathname } = new URL((await postgres()).url);
  const warnings: unknown[] = [];
  const note = (warning: Error): void => void warnings.push((warning as { code?: string }).code);
  process.on('warning', note);
  const client = new (pgClient(pool))(`postgres://postgres:secret@${pathname}?application_name=five&statement_timeout=70000`);
  await client.connect();
  const { rows } = await client.query(`select current_setting('application_name') as a, current_setting('statement_timeout') as b`);
  await client.end();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', note);
  expect([rows, warnings]).toEqual([[{ a: 'five', b: '70s' }], []]);
});
