/** The statements that make a session what it is, as they are kept: no more than it takes. */
import type { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import { type Statement, withStatement } from '../../src/pg/sql/made.ts';
import { join, open } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

const kept = (...texts: string[]): string[] =>
  texts.reduce<readonly Statement[]>((made, text) => withStatement(made, { text }), []).map(({ text }) => text);

describe('what is kept', () => {
  test('of a setting the last, however it is said', () => {
    expect(kept(`set a.b = '1'`, `SET SESSION A.B TO '2';`, 'set c = 3', `select set_config('a.b', '4', false)`)).toEqual([
      'set c = 3',
      `select set_config('a.b', '4', false)`,
    ]);
    expect(kept('set a = 1', 'reset a', 'set a = 2', 'reset a')).toEqual(['reset a']);
    const text = 'select set_config($1, $2, false)';
    const made = [
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
      [5n, '4'],
      [5n, '4'],
    ].reduce<readonly Statement[]>((all, values) => withStatement(all, { text, values }), []);
    expect(made.map(({ values }) => values)).toEqual([
      ['b', '2'],
      ['a', '3'],
      [5n, '4'],
    ]);
  });

  test('of what is said again the last, and settings join where it stood', () => {
    expect(kept('listen a', 'listen b', 'listen a')).toEqual(['listen b', 'listen a']);
    expect(kept('set a = 1', 'select f()', 'set a = 2', 'select f()', 'set a = 3', 'select f()')).toEqual(['set a = 3', 'select f()']);
  });

  test('all that cannot be told apart', () => {
    for (const texts of [
      // The table is made in the first schema.
      ['set search_path = a', 'create temp table t as select 1', 'set search_path = b'],
      // The second needs the first, and is taken back before.
      ['set role a', 'set role b'],
      ['prepare p as select 1', 'deallocate p', 'prepare p as select 1'],
      ['set a = 1; set b = 2', 'set a = 3', 'set a = 1; set b = 2; set c = 3'],
      ['set local a = 1', 'set a = 1'],
      [`select set_config('a', '1', true)`, `set a = '1'`],
      // Each sets a part of it.
      [`set datestyle = 'DMY'`, `set datestyle = 'ISO'`],
      // The last is read as the first says.
      ['set standard_conforming_strings = off', String.raw`set a = 'x\\y'`, 'set standard_conforming_strings = on'],
      ['set search_path = a', `select set_config('x.y', current_schema, false)`, 'set search_path = b'],
    ])
      expect(kept(...texts)).toEqual(texts);
  });
});

/** What the driver is asked on that connection from now on. */
function spyOn(client: Client): string[] {
  const said: string[] = [];
  const query = client.query as (...all: unknown[]) => unknown;
  Object.assign(client, {
    query: (...all: unknown[]) => {
      said.push(typeof all[0] === 'string' ? all[0] : (all[0] as { text: string }).text);
      return query.apply(client, all);
    },
  });
  return said;
}

test('what a connect listener sets over time is restored, and does not grow', async () => {
  let client!: Client;
  const pool = await open({
    max: 1,
    onConnect: async (made) => {
      client = made;
      await made.query(`set my.first = 'one'`);
    },
  });
  let told = 0;
  pool.on('connect', async (one) => {
    for (let n = 1; n <= 100; n++) {
      await one.query(`set my.turn = '${n}'`);
      await one.query(`select set_config('my.other', $1, false)`, [n]);
      await one.query('listen something');
      told = n;
    }
  });
  await pool.query('select 1');
  await until(() => told === 100);
  const said = spyOn(client);
  await pool.query('discard all');
  expect(said).toEqual([
    'discard all',
    'DISCARD ALL',
    `set my.first = 'one'`,
    `set my.turn = '100'`,
    `select set_config('my.other', $1, false)`,
    'listen something',
  ]);
  const look = `select current_setting('my.first') as first, current_setting('my.turn') as turn, current_setting('my.other') as other`;
  expect((await pool.query(look)).rows).toEqual([{ first: 'one', turn: '100', other: '100' }]);
});

test('what a connect listener of a worker sets in one connection after the other does not grow', async () => {
  let client!: Client;
  const pool = await open({
    max: 1,
    onConnect: (made) => {
      client = made;
    },
  });
  const worker = await join(pool);
  const turn = (): Promise<unknown> => worker.pg(async (p) => (await p.query(`select current_setting('my.turn') as turn`)).rows[0].turn);
  await worker.pg(async (p) => {
    let n = 0;
    p.on('connect', (one) => void one.query(`set my.turn = '${++n}'`));
    for (let round = 0; round < 20; round++) (await p.connect()).release(true);
  });
  expect(await turn()).toBe('21');
  // It has another profile, and the worker's is set anew.
  await pool.query('select 1');
  const said = spyOn(client);
  expect(await turn()).toBe('21');
  expect(said.filter((text) => text.startsWith('set my.turn'))).toEqual([`set my.turn = '21'`]);
});
