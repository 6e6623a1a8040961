/** What the text of a statement says about its session: what may change it is undone, and what only reads and writes rows costs nothing. */
import type { PgOwnerPool } from 'cenote/pg';
import { expect, test } from 'vitest';
import { ask, open } from '../support/postgres.ts';

/** Whether everything was discarded after this: then what was prepared before is gone. */
async function costsReset(pool: PgOwnerPool, text: string): Promise<boolean> {
  const witness = { name: 'witness', text: 'select count(*)::int as n from pg_prepared_statements' };
  await pool.query(witness);
  await pool.query(text);
  return (await pool.query(witness.text)).rows[0].n === 0;
}

const sortOut = async (pool: PgOwnerPool, texts: string[], expected: boolean): Promise<string[]> => {
  const wrong: string[] = [];
  for (const text of texts) if ((await costsReset(pool, text)) !== expected) wrong.push(text);
  return wrong;
};

test('what reads and writes rows, in all the words of SQL, costs no reset', async () => {
  await ask('create table rows_of (id int primary key, n int, "Key" text)');
  const pool = await open({ max: 1 });
  const texts = [
    `insert into rows_of (id, n) values (1, 2), (2, 3) on conflict (id) do update set n = excluded.n`,
    `insert into rows_of (id) select (3) where not exists (select 1 from rows_of where id = 3) returning (id)`,
    `insert into rows_of (id) values (1) on conflict (id) do update set (n, "Key") = (1, 'x')`,
    `update "rows_of" set n = (select max(n) from rows_of) where (id) in (1, 2) and ("Key" is null or n = any(array[1, 2]))`,
    `with t (a) as (select 1), u as not materialized (select 2), v as materialized (select 3) select * from t, u, v`,
    `with recursive r(n) as (select 1 union all select n + 1 from r where n < 3) select * from r`,
    `select count(*) filter (where n > 1), sum(n) over (), row_number() over (partition by (id) order by (n) rows between 1 preceding and current row)
      from rows_of group by id, n`,
    `select n, id, count(*) from rows_of group by grouping sets ((n), (id))`,
    `select n, count(*) from rows_of group by rollup (n)`,
    `select n, count(*) from rows_of group by cube (n)`,
    `select percentile_cont(0.5) within group (order by n) from rows_of`,
    `select distinct on (id) id, upper("Key") from rows_of order by (id)`,
    `select cast(n as numeric(10, 2)), "Key"::character varying (3), '1'::bit varying (3) from rows_of t left join (select 1) u on (true) limit (1)`,
    `select * from generate_series(1, 2) g (n), unnest(array[1]) as u (a), lateral (select 1) l`,
    `select * from rows_of tablesample system (50) repeatable (1)`,
    `select * from rows_of tablesample bernoulli (50)`,
    `merge into rows_of t using (values (9)) as s (id) on t.id = s.id when matched then delete when not matched then insert (id) values (s.id)`,
    `select $$ set_config('my.own', 'x', false) $$, 'select leak()', "Key" from rows_of -- leak()`,
    `begin; select 1; set local work_mem = '1MB'; savepoint a; commit`,
    `select * from pg_settings where name = 'update'`,
    `select set_config('my.own', 'x', true)`,
    `select count(*), pg_catalog.set_config('my.own', upper('x'), TRUE) as "set" from rows_of`,
    `begin; select set_config('my.own', 'x', true), set_config('my.other', set_config('my.own', 'y', true), true); commit`,
  ];
  expect(await sortOut(pool, texts, false)).toEqual([]);
});

test('what may change the session is undone, whatever it is called', async () => {
  await ask('create table if not exists rows_to (id int, "set" text)');
  const names = [
    'key',
    'value',
    'next',
    'first',
    'range',
    'at',
    'over',
    'filter',
    'by',
    'set',
    'conflict',
    'rollup',
    'cube',
    'insert',
    'system',
    'leak',
  ];
  for (const name of names)
    await ask(`create function "${name}"(text) returns text language sql as $$ select set_config('my.own', $1, false) $$`);
  const pool = await open({ max: 1 });
  const texts = [
    ...names.map((name) => `select ${name}('x')`),
    ...names.map((name) => `select distinct on (1) ${name}('x')`),
    `select distinct on ((1)) leak('x')`,
    `select "leak"('x')`,
    `select public.leak('x')`,
    `update pg_settings set setting = 'x' where name = 'my.own'`,
    `update "pg_settings" set "setting" = '65kB' where "name" = 'work_mem'`,
    `update pg_catalog."pg_settings" set setting = '65kB' where name = 'work_mem'`,
    `select 1; set my.own = 'x'`,
    `/* select */ set /* local */ my.own = 'x'`,
    `set local.own = 'x'`,
    `set transaction.own = 'x'`,
    `select pg_catalog.set_config('my.own', 'x', false)`,
    `select set_config('my.own', 'x', not true)`,
    `select set_config('my.own', 'x', true and false)`,
    `select set_config('my.own', 'x', (true))`,
    `select set_config('my.own', set_config('my.other', 'x', false), true)`,
    `select set_config('my.own', leak('x'), true)`,
    `create table pg_temp.mine (a int)`,
    `create or replace temp view mine as select 1`,
    `select 1 as a into temp mine`,
    `do $$ begin perform set_config('my.own', 'x', false); end $$`,
    `explain analyze select leak('x')`,
    `with a as (select leak('x')) select * from a`,
    `insert into rows_to ("set") values (leak('x'))`,
  ];
  expect(await sortOut(pool, texts, true)).toEqual([]);
});

test('a scope keeps its connection for a table in the schema pg_temp, too', async () => {
  const pool = await open({ max: 2 });
  const rows = await pool.scope(async () => {
    await pool.query('create table pg_temp.mine (a int)');
    return (await pool.query('select * from mine')).rows;
  });
  expect(rows).toEqual([]);
});
