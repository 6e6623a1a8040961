/** What a client sets before anything else may have any value that a parameter may have. It is in force for that client, and for no other. */
import { pgClient } from 'cenote/pg';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { ask, join, open, postgres } from '../support/postgres.ts';
import { rejection } from '../support/wait.ts';

/** Runs on whichever thread. Each client says what it reads of its own setting, and what one that has set nothing reads. */
const program = async (Client: typeof pg.Client, isShared: boolean) => {
  const values: Record<string, unknown> = {
    bigint: 5n,
    number: -0.5,
    NaN: Number.NaN,
    boolean: true,
    nothing: undefined,
    null: null,
    date: new Date(1_700_000_000_123),
    Buffer: Buffer.from('grün'),
    bytes: new Uint8Array([104, 105]),
    array: [1n, ['a"b', null], [new Date(1_700_000_000_456), undefined]],
    bytesInArray: [Buffer.from([1, 255])],
    object: { a: [1, 'two'], b: { toJSON: () => 'b' } },
    toPostgres: { toPostgres: (prepare: (value: unknown) => unknown) => prepare([7n, true]) },
  };
  const read = async (client: pg.Client) =>
    (await client.query(`select current_setting('app.tenant', true) as value`)).rows[0].value || null;
  const seen: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    const client = new Client();
    await client.connect();
    const set = await client.query(`select set_config('app.tenant', $1, false) as value`, [value]).then(
      ({ rows }) => rows[0].value || null,
      (error) => error.message,
    );
    const other = isShared ? new Client() : undefined;
    await other?.connect();
    // Each of them finds the session as the one before it has left it.
    seen[name] = [set, other === undefined ? null : await read(other), await read(client), other === undefined ? null : await read(other)];
    await other?.end();
    await client.end();
  }
  // What it was given is taken at once.
  const tenants = ['6'];
  const client = new Client();
  await client.connect();
  const set = client.query(`select set_config('app.tenant', $1, false)`, tenants);
  tenants[0] = '7';
  await set;
  const other = new Client();
  await other.connect();
  seen.changed = [(await read(other)) === '6', await read(client)];
  await other.end();
  await client.end();
  return seen;
};

const asTheDriverHasIt = async (): Promise<unknown> => {
  const { url } = await postgres();
  class Client extends pg.Client {
    constructor() {
      super(url);
    }
  }
  return program(Client as never, false);
};

describe.each(['auto', 'relayed', 'remote', undefined] as const)('lend: %s', (lend) => {
  test(lend === undefined ? 'on the owner' : 'on a worker', async () => {
    const pool = await open({ max: 1, ...(lend === undefined ? {} : { lend }) });
    const seen =
      lend === undefined
        ? await program(pgClient(pool) as never, true)
        : await (await join(pool)).pg(async (_, { load, handle }, code: string) => {
            const { pgClient: clients } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
            return new Function(`return (${code});`)()(clients(handle as never), true);
          }, String(program));
    expect(seen).toEqual(await asTheDriverHasIt());
  });
});

test('what a connect listener of a worker sets', async () => {
  const pool = await open({ max: 1 });
  const worker = await join(pool);
  const read = `select coalesce(current_setting('app.tenant', true), '') as seen`;
  const seen = await worker.pg(async (p, _, text) => {
    const failed: unknown[] = [];
    p.on('connect', (client) => {
      client.query(`select set_config('app.tenant', $1, false)`, [5n]).catch((error: Error) => failed.push(error.message));
    });
    return [(await p.query(text)).rows[0].seen, failed];
  }, read);
  expect(seen).toEqual(['5', []]);
  expect((await pool.query(read)).rows).toEqual([{ seen: '' }]);
  expect(await worker.pg(async (p, _, text) => (await p.query(text)).rows[0].seen, read)).toBe('5');
});

test('one whose answer cannot be read is undone before the next borrower', async () => {
  const types = {
    getTypeParser: (oid: number, format?: 'text' | 'binary') =>
      oid === pg.types.builtins.TEXT
        ? () => {
            throw new Error('mine');
          }
        : pg.types.getTypeParser(oid, format as 'text'),
  };
  const pool = await open({ max: 1, settings: { types: types as never } });
  const client = new (pgClient(pool))();
  await client.connect();
  expect(await rejection(client.query(`select set_config('app.tenant', '5', false)`))).toMatchObject({ message: 'mine' });
  expect((await pool.query(`select length(coalesce(current_setting('app.tenant', true), '')) as seen`)).rows).toEqual([{ seen: 0 }]);
  expect(pool.pool.stats()).toMatchObject({ created: 1, destroyed: 0 });
  await client.end();
});

test('nothing runs behind a profile that was refused in part, and no part of it gets to another client', async () => {
  const pool = await open({ max: 1 });
  const Client = pgClient(pool);
  const [one, other] = [new Client(), new Client()];
  await Promise.all([one.connect(), other.connect()]);
  await other.query(`set app.own = 'other'`);
  await ask('create role for_a_while');
  await one.query(`set app.tenant = '5'`);
  await one.query('set role for_a_while');
  await pool.query('select 1');
  await ask('drop role for_a_while');
  // All are asked in one borrow.
  const asked = [`set app.own = 'one'`, `set app.own = 'other'`, 'begin', 'select 1'].map((text) => rejection(one.query(text)));
  for (const error of await Promise.all(asked)) expect(error).toMatchObject({ message: 'role "for_a_while" does not exist' });
  const read = `select current_setting('app.own') as own, coalesce(current_setting('app.tenant', true), '') as tenant`;
  expect((await other.query(read)).rows).toEqual([{ own: 'other', tenant: '' }]);
  expect(pool.pool.stats()).toMatchObject({ created: 1, destroyed: 0 });
  await Promise.all([one.end(), other.end()]);
});
