/** What a borrower has left and undone again: its clients give their connection back, and never before the server says that nothing is left. */
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Pins } from '../../src/pg/sql/pins.ts';
import { ask, join, open, postgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

let client: Omit<pg.Client, 'getTransactionStatus'> & { getTransactionStatus(): 'I' | 'T' | 'E' };
beforeAll(async () => {
  await ask('create table pins_of (id int, word text)');
  client = new pg.Client((await postgres()).url) as never;
  await client.connect();
}, 120_000);
afterAll(() => client.end());

type Said = string | readonly [text: string, values: unknown[]];

/** Says that on the real server, and returns what is known then. */
async function saidOn(pins: Pins, said: Said): Promise<void> {
  const [text, parameters] = typeof said === 'string' ? [said, undefined] : said;
  const [result, error] = await client.query(text, parameters).then(
    (result) => [result, undefined],
    (error) => [undefined, error],
  );
  pins.note({ text, parameters }, client.getTransactionStatus(), result as never, error);
}

/** What the server finds in the session. A setting with a name of the program's own is in no list of the server's. */
const LEFT = `select
  (select array_agg(name) from pg_settings where source = 'session') as settings,
  nullif(current_setting('my.own', true), '') as own,
  nullif(current_setting('role'), 'none') as role,
  (select array_agg(c) from pg_listening_channels() c) as channels,
  (select array_agg(relname) from pg_class where relnamespace = pg_my_temp_schema() and relkind = 'r') as tables,
  (select array_agg(objid) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
  (select array_agg(name) from pg_prepared_statements where from_sql) as prepared,
  (select array_agg(name) from pg_cursors where is_holdable) as cursors`;

async function left(): Promise<Record<string, unknown>> {
  const [row] = (await client.query(LEFT)).rows;
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
}

async function fresh(): Promise<Pins> {
  if (client.getTransactionStatus() !== 'I') await client.query('rollback');
  await client.query('discard all');
  return new Pins({ isSetUp: false });
}

describe('all of it is undone again', () => {
  test.each<[string, Said[]]>([
    ['a channel', ['listen "News"', 'select 1', 'unlisten "News"']],
    ['names in lower case are one name', ['listen News', 'LISTEN other;', 'unlisten "news" ;', 'Unlisten OTHER']],
    ['all channels', ['listen a', 'listen b', 'unlisten *']],
    ['a setting', [`set work_mem = '65kB'`, 'reset work_mem']],
    ['a setting to its default', [`set session work_mem to '65kB'`, 'set work_mem to default']],
    ['settings', [`set work_mem = '65kB'`, `set my.own = 'x'`, 'reset all']],
    ['a setting by a function', [`select set_config('work_mem', '65kB', false)`, 'reset Work_Mem']],
    ['a setting by a value', [['select set_config($1, $2, false) as x', ['work_mem', '65kB']], 'reset work_mem']],
    ['a role', ['set role pg_monitor', 'reset role']],
    ['a time zone', [`set time zone 'Asia/Tokyo'`, 'reset time zone']],
    ['a setting that was rolled back', ['begin', `set work_mem = '65kB'`, 'select 1', 'rollback']],
    ['what only a rollback undoes', ['begin', 'set session characteristics as transaction read only', 'abort']],
    ['a channel in a transaction that has failed', ['begin', 'listen a', 'select nowhere', 'commit']],
    ['a setting that the server refuses', [`set work_mem = 'much'`]],
    ['a table', ['create temp table mine (a int)', 'insert into mine values (1)', 'drop table mine']],
    [
      'tables',
      [
        'create temporary table if not exists mine as select 1',
        'create temp table "X" ()',
        'drop table if exists pg_temp."X", mine cascade',
      ],
    ],
    ['a table that goes with its transaction', ['begin', `create temp table mine (a text default 'x') on commit drop`, 'commit']],
    ['a table that was rolled back', ['begin', 'create local temp table mine (a int)', 'rollback work']],
    ['a lock', ['select pg_advisory_lock(1)', 'select pg_advisory_unlock(1)']],
    ['a lock by a value', [['select pg_try_advisory_lock($1) as got', [7]], 'select pg_advisory_unlock(7)']],
    [
      'a lock twice',
      [
        'select pg_advisory_lock(1, 2)',
        'select pg_advisory_lock(1,2)',
        'select pg_advisory_unlock(1, 2)',
        'select pg_advisory_unlock(1, 2)',
      ],
    ],
    [
      'a lock of a name',
      [
        ['select pg_advisory_lock(hashtext($1))', ['a']],
        [`select pg_advisory_unlock(hashtext($1))`, ['a']],
      ],
    ],
    ['locks', ['select pg_advisory_lock(1)', 'select pg_advisory_lock_shared(2)', 'select pg_advisory_unlock_all()']],
    ['a lock in a transaction', ['begin', 'select pg_advisory_lock(1)', 'rollback', 'select pg_catalog.pg_advisory_unlock(1::bigint)']],
    ['a statement', ['prepare mine as select 1', 'select 1', 'deallocate mine']],
    ['statements', ['prepare mine as select 1', 'prepare yours (int) as select $1', 'deallocate prepare all']],
    ['a cursor', ['begin', 'declare mine cursor for select 1', 'fetch mine', 'commit']],
    ['a cursor that outlives its transaction', ['begin', 'declare mine cursor with hold for select 1', 'commit', 'close mine']],
    ['everything', ['listen a', `set my.own = 'x'`, 'do $$ begin end $$', 'select pg_advisory_lock(1)', 'discard all']],
  ])('%s', async (_, program) => {
    const pins = await fresh();
    const seen: boolean[] = [];
    for (const said of program) {
      await saidOn(pins, said);
      seen.push(pins.isEmpty && client.getTransactionStatus() === 'I');
    }
    if (program.length > 1) expect(seen).toContain(false);
    expect(seen.at(-1)).toBe(true);
    expect(await left()).toEqual({});
  });
});

describe('something is still there', () => {
  test.each<[string, Said[]]>([
    ['another channel', ['listen a', 'listen b', 'unlisten a']],
    ['a name in quotes is another name', ['listen "News"', 'unlisten News']],
    ['a channel in a transaction that was not rolled back', ['begin', 'listen a', 'commit']],
    ['a channel from before the transaction', ['listen a', 'begin', 'unlisten a', 'rollback']],
    ['a channel from before the savepoint', ['listen a', 'begin', 'savepoint s', 'unlisten a', 'rollback to savepoint s', 'commit']],
    ['a channel of a transaction that went on', ['begin', 'listen a', 'commit and chain', 'rollback']],
    ['a channel of a transaction that has ended in the middle of a text', ['begin', 'listen a', 'commit; begin', 'rollback']],
    ['a savepoint behind a comment', ['listen a', 'begin', 'savepoint s', 'unlisten a', '/* x */ rollback to s', 'commit']],
    ['a name in other letters', ['listen É', 'unlisten é']],
    [
      'a table renamed behind a comment',
      ['create temp table mine ()', '/* x */ alter table mine rename to b', 'create temp table mine ()', 'drop table mine'],
    ],
    [
      'a table that is there already',
      ['create temp table mine ()', 'begin', 'create temp table if not exists mine () on commit drop', 'commit'],
    ],
    [
      'a table that a savepoint brings back',
      [
        'create temp table mine ()',
        'begin',
        'savepoint s',
        'drop table mine',
        'create temp table mine () on commit drop',
        'rollback to s',
        'commit',
      ],
    ],
    [
      'a cursor by the name of one that was closed',
      ['begin', 'declare c cursor for select 1', 'close c', 'declare c cursor with hold for select 1', 'commit'],
    ],
    [
      'a table by the name of one that was dropped',
      ['begin', 'create temp table b () on commit drop', 'drop table b', 'create temp table b ()', 'commit'],
    ],
    ['several statements with ALTER', ['begin', 'listen a', 'alter table pins_of add x int; commit; begin', 'rollback']],
    ['a statement by such a name', ['prepare "transaction" as select 1']],
    ['names with a point in them', ['create temp table "pg_temp.b" ()', 'create temp table b ()', 'drop table b']],
    ['a space that is none', ['listen a\u00a0', 'unlisten a']],
    ['locks of texts that differ by a space', [`select pg_advisory_lock(hashtext('a b'))`, `select pg_advisory_unlock(hashtext('ab'))`]],
    ['a channel of a transaction that ends in a text that fails', ['begin', 'listen a', 'commit; select 1 / 0']],
    ['a channel that comes back in a text of several', ['listen a', 'begin', 'unlisten a', 'rollback; select 1']],
    [
      'a table renamed in a text of several',
      ['create temp table mine ()', 'alter table mine rename to b; select 1', 'drop table if exists mine'],
    ],
    ['a table behind a space that is none', ['create temp table mine ()', 'drop table if exists mine\u00a0']],
    ['a lock of the query that makes a table', ['create temp table b as select pg_try_advisory_lock(8) as a', 'drop table b']],
    [
      'a lock of a query that fails',
      ['create temp table b as select pg_try_advisory_lock(id) as l, 1 / (3 - id) as a from generate_series(1, 3) id'],
    ],
    ['a lock of a cursor', ['begin', 'declare c cursor for select pg_advisory_lock(1)', 'fetch c', 'commit']],
    [
      'a lock of a statement',
      ['prepare m as select pg_try_advisory_lock(1) as l', 'create temp table b as execute m', 'drop table b', 'deallocate m'],
    ],
    ['a setting and a role', [`set my.own = 'x'`, 'set role pg_monitor', 'reset all']],
    [
      'a table with another name',
      ['create temp table mine (a int)', 'alter table mine rename to yours', 'create temp table mine ()', 'drop table mine'],
    ],
    ['a table that is not the one', ['create table public.mine_too ()', 'create temp table mine_too ()', 'drop table public.mine_too']],
    ['a table with such a default', ['begin', `create temp table mine (a text default 'on commit drop')`, 'commit']],
    ['a lock that was rolled back', ['begin', 'select pg_advisory_lock(1)', 'rollback']],
    ['a lock once more', ['select pg_advisory_lock(1)', 'select pg_advisory_lock(1)', 'select pg_advisory_unlock(1)']],
    ['a lock of another kind', ['select pg_advisory_lock(1)', 'select pg_advisory_lock_shared(1)', 'select pg_advisory_unlock(1)']],
    [
      'a lock of another name',
      [
        ['select pg_advisory_lock(hashtext($1))', ['a']],
        ['select pg_advisory_unlock(hashtext($1))', ['A']],
      ],
    ],
    ['locks of rows', ['insert into pins_of values (1), (2)', 'select pg_advisory_lock(id) from pins_of', 'select pg_advisory_unlock(1)']],
    ['what a block does', [`do $$ begin perform set_config('my.own', 'x', false); end $$`, 'reset work_mem']],
    ['several statements in one text', ['listen a; listen b', 'unlisten a', 'unlisten b; listen c']],
    ['a cursor that outlives its transaction', ['begin', 'declare mine cursor with hold for select 1', 'commit']],
  ])('%s', async (_, program) => {
    const pins = await fresh();
    for (const said of program) await saidOn(pins, said);
    expect(pins.isEmpty).toBe(false);
    expect(await left()).not.toEqual({});
  });
});

test('what no text tells counts as left: an error of this thread, a value that is no plain one', () => {
  const pins = new Pins({ isSetUp: false });
  pins.note({ text: 'select pg_advisory_lock(1)', parameters: undefined }, 'I', undefined, new Error('from a parser'));
  expect(pins.isEmpty).toBe(false);
  pins.clear();
  pins.note({ text: 'select pg_advisory_lock($1)', parameters: [Object.create(null)] }, 'I', { rows: [{ a: '' }] });
  expect(pins.isEmpty).toBe(false);
});

test('a long statement of a borrower that has left something is read in no time', () => {
  const pins = new Pins({ isSetUp: false });
  pins.note({ text: 'listen a', parameters: undefined }, 'I', {});
  const text = `insert into t values ('${'x '.repeat(5_000_000)}end')`;
  const from = performance.now();
  pins.note({ text, parameters: undefined }, 'I', {});
  // What grows with the square of the length takes hours.
  expect(performance.now() - from).toBeLessThan(60_000);
  expect(pins.isEmpty).toBe(false);
});

test('what a client resets of its profile is not as the session began', async () => {
  const pins = new Pins({ isSetUp: true });
  for (const text of ['reset work_mem', 'set work_mem to default', 'reset all', 'discard all']) {
    pins.clear();
    pins.note({ text, parameters: undefined }, 'I', {});
    expect([text, pins.isEmpty]).toEqual([text, false]);
  }
});

test('whatever is said, in whatever order: where nothing is said to be left, the server finds nothing', async () => {
  const names = ['a', '"A"', 'b'];
  const texts: string[] = [
    ...names.flatMap((name) => [`listen ${name}`, `unlisten ${name}`]),
    'unlisten *',
    ...names.flatMap((name) => [`create temp table ${name} (id int)`, `drop table pg_temp.${name}`, `drop table if exists ${name}`]),
    'create temp table b () on commit drop',
    'create temp table if not exists a () on commit drop',
    'alter table a rename to c',
    'drop table a, b',
    `set work_mem = '65kB'`,
    `set my.own = 'x'`,
    'set local my.own to default',
    'reset my.own',
    'reset work_mem',
    'reset all',
    `select set_config('my.own', 'y', true)`,
    `select set_config('my.own', 'y', false)`,
    'set role pg_monitor',
    'set role none',
    ...[1, 2].flatMap((key) => [
      `select pg_advisory_lock(${key})`,
      `select pg_advisory_unlock(${key})`,
      `select pg_try_advisory_lock_shared(${key})`,
    ]),
    'select pg_advisory_unlock_shared(1)',
    'select pg_advisory_unlock_all()',
    'prepare p as select 1',
    'deallocate p',
    'declare q cursor for select 1',
    'declare q cursor with hold for select 1',
    'close q',
    'select nowhere',
    'listen a; select nowhere',
    'alter table a rename to c; select 1',
    'rollback; select 1',
    'commit; select 1 / 0',
    'select 1',
    'discard all',
  ];
  const bounds = [
    'begin',
    'commit; begin',
    'rollback; begin',
    '/* x */ rollback to s',
    'begin',
    'commit',
    'rollback',
    'savepoint s',
    'rollback to s',
    'release s',
    'commit and chain',
    'rollback and chain',
  ];
  const text = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...texts) }, { weight: 2, arbitrary: fc.constantFrom(...bounds) });
  let empty = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 2, maxLength: 12 }), async (program) => {
      const pins = await fresh();
      let wasPinned = false;
      for (const said of program) {
        await saidOn(pins, said);
        if (client.getTransactionStatus() !== 'I') continue;
        if (!pins.isEmpty) wasPinned = true;
        else if (wasPinned) {
          empty++;
          expect(await left(), program.join('; ')).toEqual({});
        }
      }
    }),
    { numRuns: 1500 },
  );
  expect(empty).toBeGreaterThan(100);
});

describe.each(['auto', 'relayed', 'remote'] as const)("lend: '%s'", (lend) => {
  test('more clients than connections, which all leave something and undo it, wait for each other and not for ever', async () => {
    const pool = await open({ max: 2, lend });
    const thread = await join(pool);
    const seen = await thread.pg(async (_, { load, handle }) => {
      const { pgClient } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const Client = await pgClient(handle as never);
      const clients = Array.from({ length: 5 }, () => new Client());
      await Promise.all(clients.map((client) => client.connect()));
      const programs = [
        ['begin', `select set_config('my.tenant', 'x', true)`, 'select 1', 'commit'],
        ['select pg_advisory_lock(5)', 'select 1', 'select pg_advisory_unlock(5)'],
        ['listen news', 'unlisten news'],
        ['begin', 'create temp table mine (a int) on commit drop', 'insert into mine values (1)', 'commit'],
        ['select 1', `set my.own = 'x'`, 'reset my.own'],
      ];
      const owns: unknown[] = [];
      for (let round = 0; round < 3; round++)
        await Promise.all(
          clients.map(async (client, n) => {
            for (const text of programs[n]) await client.query(text);
            owns.push((await client.query(`select current_setting('my.own', true) as own`)).rows[0].own || '');
          }),
        );
      return owns;
    });
    expect(seen).toEqual(Array(15).fill(''));
    await until(() => pool.pool.activeCount() === 0);
  });

  test('what a listener for borrowed connections leaves there keeps them', async () => {
    const thread = await join(await open({ max: 2, lend }));
    const rows = await thread.pg(async (p) => {
      p.on('acquire', (client) => void client.query('create temp table if not exists listened (a int)'));
      return p.scope(async () => {
        await p.query('insert into listened values (1)');
        return (await p.query('select * from listened')).rows;
      });
    });
    expect(rows).toEqual([{ a: 1 }]);
  });

  test('a client resets what it has set to what it was given', async () => {
    const pool = await open({ max: 1, lend });
    const thread = await join(pool);
    const seen = await thread.pg(async (p, { load, handle }) => {
      const { pgClient } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const client = new (pgClient(handle as never))({ statement_timeout: 70_000, application_name: 'given' });
      await client.connect();
      const limit = async () => (await client.query('show statement_timeout')).rows[0].statement_timeout;
      // What is set after this is no part of its profile.
      await client.query('select 1');
      const limits = [await limit()];
      await client.query('set statement_timeout = 0');
      limits.push(await limit());
      await client.query('reset statement_timeout');
      limits.push(await limit());
      await client.query('listen given');
      await client.query('discard all');
      limits.push(await limit(), (await client.query('show application_name')).rows[0].application_name);
      // The only connection is free.
      limits.push((await p.query('select 1 as a')).rows[0].a);
      await client.end();
      return limits;
    });
    expect(seen).toEqual(['70s', '0', '70s', '70s', 'given', 1]);
  });

  test('a client resets what it has set before anything else', async () => {
    const thread = await join(await open({ max: 1, lend }));
    const seen = await thread.pg(async (_, { load, handle }) => {
      const { pgClient } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const Client = await pgClient(handle as never);
      const client = new Client();
      await client.connect();
      await client.query(`set my.own = 'x'`);
      await client.query('select 1');
      await client.query('reset my.own');
      const { rows } = await client.query(`select current_setting('my.own', true) as own`);
      await client.end();
      return rows[0].own;
    });
    expect(seen || '').toBe('');
  });
});
