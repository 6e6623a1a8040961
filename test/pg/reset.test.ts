/** What a borrower leaves is undone before the next one gets the connection. */
import { describe, expect, test } from 'vitest';
import { ask, join, on, open, WHERE } from '../support/postgres.ts';
import { rejection, until } from '../support/wait.ts';

/** What a session has that a new one has not. */
const STATE = `select current_setting('my.own', true) as setting, to_regclass('pg_temp.mine')::text as temporary,
  (select count(*)::int from pg_listening_channels()) as listening, (select count(*)::int from pg_prepared_statements) as prepared,
  (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
  (select count(*)::int from pg_cursors) as cursors, current_user as "user", pg_backend_pid() as pid`;

describe.each(WHERE)('on %s', (where) => {
  test.each(['auto', 'always'] as const)(
    'reset %s: nothing of a session is left for the next borrower, in the same connection',
    async (reset) => {
      const pool = await open({ max: 1, reset });
      const run = await on(where, pool);
      const pids = await run(async (p, _, state) => {
        const first = await p.connect();
        for (const text of [
          `set my.own = 'mine'`,
          'create temp table mine (id int)',
          'listen mine',
          'prepare mine as select 1',
          'select pg_advisory_lock(7)',
          'declare mine cursor with hold for select 1',
          'set role pg_monitor',
        ])
          await first.query(text);
        await first.query('begin');
        await first.query('select nowhere').catch(() => {});
        const before = first.processID;
        first.release();
        const second = await p.connect();
        const seen = (await second.query(state)).rows[0];
        second.release();
        return { before, seen };
      }, STATE);
      const { pid, setting, ...rest } = pids.seen;
      expect(pid).toBe(pids.before);
      expect(setting || null).toBe(null);
      expect(rest).toEqual({ temporary: null, listening: 0, prepared: 0, locks: 0, cursors: 0, user: 'postgres' });
    },
  );

  test('reset never: the session stays as it is, but for an open transaction', async () => {
    const run = await on(where, await open({ max: 1, reset: 'never' }));
    const seen = await run(async (p) => {
      const first = await p.connect();
      await first.query(`set my.own = 'mine'`);
      await first.query('begin');
      first.release();
      const second = await p.connect();
      const status = (second as unknown as { getTransactionStatus(): string }).getTransactionStatus();
      const { rows } = await second.query('show my.own');
      second.release();
      return [status, rows];
    });
    expect(seen).toEqual(['I', [{ 'my.own': 'mine' }]]);
  });

  test('a plain query leaves nothing either', async () => {
    const run = await on(where, await open({ max: 1 }));
    const seen = await run(async (p, _, state) => {
      await p.query(`set my.own = 'mine'`);
      await p.query(`select set_config('my.own', 'mine', false), pg_advisory_lock(1)`);
      await p.query('begin');
      await p.query('begin; select nowhere').catch(() => {});
      return (await p.query(state)).rows[0];
    }, STATE);
    expect(seen).toMatchObject({ locks: 0, temporary: null });
    expect(seen.setting || null).toBe(null);
  });

  test('a plain query that leaves a transaction open has it rolled back before it is answered', async () => {
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    await run((p) => p.query('begin; select 1'));
    expect(await ask('select state from pg_stat_activity where application_name = $1', [pool.pool.name])).toEqual([{ state: 'idle' }]);
  });

  test('a release with queries still under way waits for them, and then cleans up', async () => {
    const run = await on(where, await open({ max: 1 }));
    const seen = await run(async (p) => {
      const first = await p.connect();
      const begun = first.query('begin');
      const slow = first.query('select pg_sleep(0.1), 1 as a');
      first.release();
      const second = await p.connect();
      const status = (second as unknown as { getTransactionStatus(): string }).getTransactionStatus();
      second.release();
      return [(await begun).command, (await slow).rows[0].a, status];
    });
    expect(seen).toEqual(['BEGIN', 1, 'I']);
  });

  test('what reads and writes rows costs no reset', async () => {
    const pool = await open({ max: 1, settings: { application_name: 'counted' } });
    const run = await on(where, pool);
    await ask('create table if not exists plain (id int, n int)');
    const [before, after] = await run(async (p) => {
      const prepared = async () => (await p.query('select count(*)::int as n from pg_prepared_statements')).rows[0].n;
      // A named statement is only gone if everything was discarded.
      await p.query({ name: 'witness', text: 'select 1' });
      const first = await prepared();
      const client = await p.connect();
      await client.query('insert into plain (id, n) values ($1, $2)', [1, 2]);
      await client.query('with a(x) as (select max(id) from plain) update plain set n = x from a where id = any($1)', [[1]]);
      await client.query('begin');
      await client.query('delete from plain');
      await client.query('commit');
      client.release();
      await p.transaction((tx) => tx.query('select count(*) from plain'));
      return [first, await prepared()];
    });
    expect([before, after]).toEqual([1, 1]);
  });
});

test('what onConnect and a connect listener have set is still there after a reset, and onConnect ran once', async () => {
  let connected = 0;
  const pool = await open({
    max: 1,
    onConnect: async (client) => {
      connected++;
      await client.query(`set my.first = 'one'`);
      void client.query({ name: 'second', text: `select set_config('my.second', $1, false)`, values: ['two'] });
      await client.query('create temp table ours (id int)');
    },
  });
  pool.on('connect', (client) => void client.query(`set my.third = 'three'`));
  const look = `select current_setting('my.first', true) as a, current_setting('my.second', true) as b, current_setting('my.third', true) as c,
    to_regclass('pg_temp.ours') is not null as d, pg_backend_pid() as pid`;
  const [first] = (await pool.query(look)).rows;
  expect(first).toMatchObject({ a: 'one', b: 'two', c: 'three', d: true });
  const worker = await join(pool);
  await worker.pg(async (p) => {
    const client = await p.connect();
    await client.query(`set my.first = 'spoilt'`);
    await client.query(`set my.second = 'spoilt'`);
    await client.query('drop table ours');
    await client.query('discard all');
    client.release();
  });
  expect((await pool.query(look)).rows).toEqual([first]);
  expect(connected).toBe(1);
});

test('a worker that detaches by the core’s own means leaves no open transaction behind', async () => {
  const pool = await open({ max: 1 });
  const worker = await join(pool);
  await worker.pg(async (p, scope) => {
    const client = await p.connect();
    await client.query('begin');
    await client.query(`set my.own = 'mine'`);
    await scope.pool.detach();
  });
  await until(
    async () =>
      (
        await ask(`select count(*)::int as n from pg_stat_activity where application_name = $1 and state like 'idle in%'`, [pool.pool.name])
      )[0].n === 0,
  );
  expect((await pool.query(`select current_setting('my.own', true) as a`)).rows[0].a || null).toBe(null);
});

test('whoever gives a connection back behind our back leaves nothing to the next borrower either', async () => {
  const pool = await open({ max: 1 });
  const worker = await join(pool);
  await worker.pg(async (_, scope) => {
    const remote = (await scope.pool.acquire()) as any;
    await remote.run('somebody', `set my.own = 'mine'`);
    await remote.run('somebody', 'begin');
    scope.pool.release(remote);
  });
  const client = await pool.connect();
  const { rows } = await client.query(`select current_setting('my.own', true) as own, now() = statement_timestamp() as fresh`);
  client.release();
  expect(rows[0].own || null).toBe(null);
  expect(rows[0].fresh).toBe(true);
});

test('end on a worker is for that thread only, and gives back what it held, clean', async () => {
  const pool = await open({ max: 1 });
  const worker = await join(pool);
  const seen = await worker.pg(async (p) => {
    const client = await p.connect();
    await client.query('begin');
    await p.end();
    return [p.ended, await p.query('select 1').catch((error) => error.code)];
  });
  expect(seen).toEqual([true, 'ERR_POOL_CLOSED']);
  expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
  await pool.end();
  expect(pool.ended).toBe(true);
  expect(await rejection(pool.query('select 1'))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
});

describe('prepared statements', () => {
  const held = async (p: { query(text: string): Promise<{ rows: any[] }> }) =>
    (await p.query('select statement from pg_prepared_statements order by prepare_time')).rows.map(({ statement }) => statement);

  test('the most recently used are kept, the others deallocated', async () => {
    const pool = await open({ max: 1, statementCacheSize: 3 });
    for (const text of ['select 1', 'select $1::int', 'select 3', 'select 1']) await pool.query(text, text.includes('$') ? [2] : undefined);
    const names = async () => (await held(pool)).filter((text: string) => !text.includes('pg_prepared'));
    expect(await names()).toEqual(['select 1', 'select 3']);
    const worker = await join(pool);
    await worker.pg((p) => p.query('select 4'));
    expect((await held(pool)).length).toBeLessThanOrEqual(3);
    expect(await names()).toContain('select 4');
  });

  test('what onConnect has prepared is known by its name, before a reset and after it', async () => {
    const warm = { name: 'warm', text: 'select 1 as a' };
    const pool = await open({ max: 1, onConnect: async (client) => void (await client.query(warm)) });
    expect((await pool.query(warm)).rows).toEqual([{ a: 1 }]);
    await pool.query(`set my.own = 'x'`);
    expect((await pool.query(warm)).rows).toEqual([{ a: 1 }]);
  });

  test('off by default', async () => {
    const pool = await open({ max: 1 });
    await pool.query('select 1');
    expect(await held(pool)).toEqual([]);
  });

  test('a plan made stale by DDL, or a statement that has gone, is prepared again, once, outside a transaction', async () => {
    await ask('create table if not exists changing (id int)');
    const pool = await open({ max: 1, statementCacheSize: 10 });
    expect((await pool.query('select * from changing')).rows).toEqual([]);
    await ask('alter table changing add column n int');
    expect((await pool.query('select * from changing')).fields.map(({ name }) => name)).toEqual(['id', 'n']);
    const client = await pool.connect();
    await client.query('select 5 as a');
    await client.query(`do $$ begin execute 'deallocate all'; end $$`);
    expect((await client.query('select 5 as a')).rows).toEqual([{ a: 5 }]);
    client.release();
    await pool
      .transaction(async (tx) => {
        await tx.query('select * from changing');
        await tx.query('alter table changing add column m int');
        expect(await rejection(tx.query('select * from changing'))).toMatchObject({ code: '0A000' });
      })
      .catch((error) => expect(error.name).toBe('TransactionRolledBackError'));
    expect((await pool.query('select * from changing')).fields).toHaveLength(2);
  });

  test.each([
    ['a wider number', 'id int', 'alter table stale alter a type bigint', 'insert into stale values ($1)', 1, 3_000_000_000],
    ['a number for a text', 'id text', `alter table stale alter a type int using a::int`, 'select * from stale where a = $1', '1', 5],
    ['a text for a number', 'id int', `alter table stale alter a type text`, 'insert into stale values ($1)', 1, 'one'],
    ['a fraction', 'id int', `alter table stale alter a type numeric`, 'update stale set a = $1', 1, '1.5'],
    ['a domain that is gone', 'id small', `alter table stale alter a type int`, 'insert into stale values ($1)', 1, 100],
    [
      'an enumeration made anew',
      'id mood',
      "drop type mood cascade; create type mood as enum ('b'); alter table stale add a mood",
      'insert into stale values ($1)',
      'a',
      'b',
    ],
    ['a column more', 'id int', 'alter table stale add b int', 'select * from stale', undefined, undefined],
    ['a column of another type', 'id int', 'alter table stale alter a type text', 'select * from stale', undefined, undefined],
  ])('prepared anew when a migration has changed types: %s', async (_, column, migration, text, before, after) => {
    await ask(
      `drop table if exists stale; drop type if exists mood; drop domain if exists small; create type mood as enum ('a'); create domain small as int check (value < 10)`,
    );
    await ask(`create table stale (${column.replace('id', 'a')})`);
    const pool = await open({ max: 1, statementCacheSize: 10 });
    const values = (value: unknown) => (value === undefined ? undefined : [value]);
    const named = { text, name: 'by hand' };
    for (const query of [text, named]) await pool.query(query as string, values(before));
    const transacted = await open({ max: 1, statementCacheSize: 10 });
    await transacted.query(text, values(before));
    await ask(migration);
    expect((await pool.query(text, values(after))).command).toBeDefined();
    // With its name alone, too, as pg has it.
    expect((await pool.query({ name: 'by hand', values: values(after) } as never)).command).toBeDefined();
    // What has failed in a transaction cannot be tried again there, but the next one is right.
    const failure = await rejection(transacted.transaction((tx) => tx.query(text, values(after))));
    expect((failure as { code?: string }).code).toMatch(/^(0A|22|23|42|XX)/);
    expect(await transacted.transaction(async (tx) => (await tx.query(text, values(after))).command)).toBeDefined();
    expect((await held(pool)).filter((each: string) => each === text)).toHaveLength(2);
  });

  test('a statement that had begun when it failed, or whose values are wrong anyway, is not repeated but once', async () => {
    await ask('drop sequence if exists steps; create sequence steps; drop table if exists stepped; create table stepped (a int)');
    const pool = await open({ max: 1, statementCacheSize: 10 });
    const text = `insert into stepped select 1 / ($1::int - nextval('steps') + nextval('steps') - 1)`;
    await pool.query(text, [5]);
    expect(await rejection(pool.query(text, [0]))).toMatchObject({ code: '22012' });
    expect((await ask('select last_value::int as n from steps'))[0].n).toBe(4);
    for (const wrong of ['x', 'y'])
      expect(await rejection(pool.query(text, [wrong]))).toMatchObject({ code: '22P02', message: expect.stringContaining(`"${wrong}"`) });
    expect((await ask('select last_value::int as n from steps'))[0].n).toBe(4);
    expect((await pool.query(text, [7])).rowCount).toBe(1);
    expect((await held(pool)).filter((each: string) => each === text)).toHaveLength(1);
  });

  test('the same name for another text, from another borrower, is no quarrel', async () => {
    const pool = await open({ max: 1 });
    const worker = await join(pool);
    expect((await pool.query({ name: 'mine', text: 'select 1 as a' })).rows).toEqual([{ a: 1 }]);
    expect((await worker.pg((p) => p.query({ name: 'mine', text: 'select 2 as b' }))).rows).toEqual([{ b: 2 }]);
    expect((await pool.query({ name: 'mine', text: 'select 1 as a' })).rows).toEqual([{ a: 1 }]);
  });
});
