/** What is parsed on the thread that asked, and what on the owner: to be seen nowhere. */
import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LeftAsText } from '../../src/pg/driver/left-as-text.ts';
import { PARSERS } from '../../src/pg/messages/parsers.ts';
import { node, project } from '../docs/run.ts';
import { ask, join, on, open, postgres, type Run, WHERE } from '../support/postgres.ts';
import { settled, until } from '../support/wait.ts';

const TIMESTAMPTZ = 1184;

const digits = (least: number, most: number, width = 2) => fc.integer({ min: least, max: most }).map((n) => String(n).padStart(width, '0'));
const date = fc
  .tuple(fc.oneof(digits(1, 9999, 4), digits(1, 120, 4), digits(10_000, 200_000)), digits(1, 12), digits(1, 31))
  .map((parts) => parts.join('-'));
const time = fc
  .tuple(digits(0, 24), digits(0, 59), digits(0, 59), fc.option(digits(0, 999_999, 6), { nil: undefined }))
  .map(([h, m, s, us]) => `${h}:${m}:${s}${us === undefined ? '' : `.${us.replace(/0+$/, '') || '0'}`}`);
const zone = fc
  .tuple(fc.constantFrom('+', '-'), fc.array(digits(0, 15), { minLength: 1, maxLength: 3 }))
  .map(([sign, parts]) => sign + parts.join(':'));
const bc = fc.constantFrom('', '', '', ' BC');
const stamps = fc.oneof(
  fc.tuple(date, bc).map(([day, end]) => day + end),
  fc.tuple(date, time, fc.oneof(fc.constant(''), zone), bc).map(([day, hour, at, end]) => `${day} ${hour}${at}${end}`),
  fc.constantFrom(
    'infinity',
    '-infinity',
    '01/02/2020 10:11:12.5 CET',
    'Wed 01 Jan 10:11:12 2020 CET',
    '01.02.2020',
    '',
    '2020-01-01 00:00:00Z',
  ),
);
const numbers = fc.oneof(
  fc.integer().map(String),
  fc.double().map(String),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '-0', '1e+100', '1e-07'),
);

describe('what pg makes of a text by default', () => {
  test.each([...PARSERS.keys()])('is what is made of it without pg: type %i', (oid) => {
    const [ours, theirs] = [PARSERS.get(oid)!, pg.types.getTypeParser(oid, 'text') as unknown as (text: string) => unknown];
    fc.assert(
      fc.property(fc.oneof(stamps, numbers, fc.constantFrom('t', 'f', 'true', 'no', '1')), (text) => {
        expect(ours(text)).toEqual(theirs(text));
      }),
      { numRuns: 2000 },
    );
  });

  test('is what a result has, on the owner and on a worker', async () => {
    const text = `select *, null::timestamptz as nothing, null::int as none from (values
      (1::int2, -2::int4, 3::oid, 'NaN'::float4, '-Infinity'::float8, true, date '0044-03-15 BC', timestamp '0099-12-31 23:59:59.999999', timestamptz 'infinity', array[1, 2], 'text', interval '1 day'),
      (null, 4, 5, 0.1, 1e300, false, date '12020-01-01', timestamp '-infinity', timestamptz '1880-01-01 00:00:00+00', null, null, null)
    ) as t(a, b, c, d, e, f, g, h, i, j, k, l)`;
    const settings = { options: '-c timezone=Africa/Monrovia' };
    const pool = await open({ settings });
    const bare = new pg.Client({ connectionString: (await postgres()).url, ...settings });
    onTestFinished(() => bare.end());
    await bare.connect();
    const { rows } = await bare.query(text);
    expect(rows[1].i).toEqual(new Date('1880-01-01T00:00:00Z'));
    for (const where of WHERE) {
      const run = await on(where, pool);
      expect(await run(async (db, _, query: string) => (await db.query(query)).rows, text), where).toEqual(
        rows.map((row) => ({ ...row, l: row.l && { ...row.l } })),
      );
    }
  });
});

test('the owner parses what nobody else can, and nothing else', () => {
  const client = new pg.Client();
  const left = new LeftAsText(client);
  for (const oid of PARSERS.keys()) {
    expect(left.getTypeParser(oid, 'text')('17'), String(oid)).toBe('17');
    expect(left.has(oid), String(oid)).toBe(true);
  }
  for (const oid of [17, 114, 1186, 1007]) {
    expect(left.getTypeParser(oid, 'text'), String(oid)).toBe(client.getTypeParser(oid, 'text'));
    expect(left.has(oid), String(oid)).toBe(false);
  }
  expect(new LeftAsText(client).getTypeParser(23, 'binary')).toBe(client.getTypeParser(23, 'binary'));
  client.setTypeParser(23, () => 'own');
  expect(left.getTypeParser(23, 'text')('17'), 'in the middle of a query').toBe('17');
  expect(new LeftAsText(client).getTypeParser(23, 'text')('17')).toBe('own');
});

describe('a parser of somebody’s own is the one that counts', () => {
  const own = (text: string): string => `own ${text}`;
  const asked = (run: Run): Promise<unknown> =>
    run(async (db) => (await db.query(`select 7 as n, timestamptz '2020-01-01 00:00:00+00' as at, 8 as m`)).rows[0]);
  const other = { n: expect.anything(), at: new Date('2020-01-01T00:00:00Z'), m: expect.anything() };

  test.each(WHERE)('asked from %s: of one connection, set in onConnect', async (where) => {
    const pool = await open({ onConnect: (client) => client.setTypeParser(23, own) });
    expect(await asked(await on(where, pool))).toEqual({ ...other, n: 'own 7', m: 'own 8' });
  });

  test.each(WHERE)('asked from %s: of the configuration', async (where) => {
    const types = { getTypeParser: (oid: number, format?: string) => (oid === 23 ? own : pg.types.getTypeParser(oid, format as 'text')) };
    const pool = await open({ settings: { types: types as never } });
    expect(await asked(await on(where, pool))).toEqual({ ...other, n: 'own 7', m: 'own 8' });
  });

  test.each(WHERE)('asked from %s: of the driver, even when it is registered later', async (where) => {
    const pool = await open();
    const run = await on(where, pool);
    expect(await asked(run)).toEqual({ ...other, n: 7, m: 8 });
    const before = pg.types.getTypeParser(TIMESTAMPTZ, 'text');
    onTestFinished(() => pg.types.setTypeParser(TIMESTAMPTZ, before));
    pg.types.setTypeParser(TIMESTAMPTZ, own);
    // A thread that speaks to the server by itself hears of it soon.
    const seen = await until(async () => {
      const row = (await asked(run)) as { at: unknown };
      return typeof row.at === 'string' && row;
    });
    expect(seen).toEqual({ n: 7, m: 8, at: expect.stringMatching(/^own 2020-01-01 \d/) });
  });

  test.each(WHERE)('asked from %s: of the query', async (where) => {
    const pool = await open();
    const run = await on(where, pool);
    const rows = await run(async (db) => {
      const types = { getTypeParser: () => (text: string) => `mine ${text}` };
      return (await db.query({ text: 'select 7 as n, null::int as none', types: types as never })).rows;
    });
    expect(rows).toEqual([{ n: 'mine 7', none: null }]);
  });
});

describe.each(['auto', 'relayed', 'remote'] as const)('calls that block are parsed as others are: %s', (lend) => {
  const NUMERIC = 1700;

  test('by the query, by the thread, and by the owner where the thread has no parser of its own', async () => {
    const before = pg.types.getTypeParser(NUMERIC, 'text');
    onTestFinished(() => pg.types.setTypeParser(NUMERIC, before));
    pg.types.setTypeParser(NUMERIC, (text: string) => `owner ${text}`);
    const pool = await open({ lend, onConnect: (client) => client.setTypeParser(23, (text) => `owner ${text}`) });
    const thread = await join(pool);
    const { blocking, asked } = await thread.pg(async (db, scope) => {
      const driver = (await scope.load('pg')) as typeof pg & { default: typeof pg };
      (driver.default ?? driver).types.setTypeParser(1700, (text: string) => `here ${text}`);
      const text = 'select 1.5::numeric as n, 7 as i, null::int4 as none, 8::int8 as b, array[9.5]::float8[] as a';
      const several = 'select 1.5::numeric as n; select 7 as i where false; select 7 as i';
      const types = { getTypeParser: () => (raw: string) => `mine ${raw}` } as never;
      const rows = (result: unknown): unknown => [result].flat().map((each) => (each as { rows: unknown[] }).rows);
      const all = (query: (question: any, values?: any[]) => unknown): unknown[] => [
        query(text),
        query({ text, types }),
        query({ text, rowMode: 'array' }),
        query('select $1::int4 as i, $2::numeric as n', [7, '1.5']),
        query({ name: 'a name', text: 'select 2 as i' }),
        query(several),
      ];
      const blocking = [
        ...all((...question) => db.querySync(...question)),
        ...db.transactionSync((tx) => all((...question) => tx.query(...question))),
        ...(await db.scope(async () => all((...question) => db.querySync(...question)))),
      ].map(rows);
      const asked = [];
      for (let times = 0; times < 3; times++)
        for (const result of all((...question) => db.query(...question))) asked.push(rows(await result));
      return { blocking, asked };
    });
    expect(blocking).toEqual(asked);
    const n = lend === 'remote' ? 'owner 1.5' : 'here 1.5';
    expect(blocking[0]).toEqual([[{ n, i: 'owner 7', none: null, b: '8', a: [9.5] }]]);
    expect(blocking[1]).toEqual([[{ n: 'mine 1.5', i: 'mine 7', none: null, b: 'mine 8', a: 'mine {9.5}' }]]);
    expect(blocking[5]).toEqual([[{ n }], [], [{ i: 'owner 7' }]]);
  });

  test('what a connect listener of the thread has set counts, and an error of a parser is told and costs nothing', async () => {
    const pool = await open({ lend, max: 1 });
    const thread = await join(pool);
    const seen = await thread.pg(async (db) => {
      const told: unknown[] = [];
      db.on('connect', (client) => {
        try {
          client.setTypeParser(20, BigInt as never);
        } catch (error) {
          told.push((error as Error).message.split(':')[0]);
        }
      });
      told.push((await db.query('select 8::int8 as b')).rows[0].b, db.querySync('select 8::int8 as b').rows[0].b);
      const types = {
        getTypeParser: () => () => {
          throw new Error('cannot read that');
        },
      } as never;
      try {
        db.querySync({ text: 'select 1', types });
      } catch (error) {
        told.push((error as Error).message);
      }
      told.push(db.querySync('select 9 as n').rows[0].n);
      return told;
    });
    const values = lend === 'remote' ? ['type parsers need a connection that is spoken to on this thread', '8', '8'] : [8n, 8n];
    expect(seen).toEqual([...values, 'cannot read that', 9]);
    expect(pool.pool.activeCount()).toBe(0);
  });
});

describe.each(['auto', 'relayed', 'remote'] as const)('rows of cursors and streams are parsed as others are: %s', (lend) => {
  test('by the object, by the client, by the thread, and by the owner where the thread has no parser of its own', async () => {
    const before = pg.types.getTypeParser(20, 'text');
    onTestFinished(() => pg.types.setTypeParser(20, before));
    pg.types.setTypeParser(20, (text: string) => `owner ${text}`);
    const pool = await open({ lend, onConnect: (client) => client.setTypeParser(23, (text) => `owner ${text}`) });
    const thread = await join(pool);
    const seen = await thread.pg(async (db, scope) => {
      const load = async (name: string): Promise<any> => {
        const module = (await scope.load(name)) as any;
        return module.default ?? module;
      };
      const [driver, Cursor, QueryStream] = [await load('pg'), await load('pg-cursor'), await load('pg-query-stream')];
      driver.types.setTypeParser(20, (text: string) => `here ${text}`);
      const { pgClient } = (await scope.load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
      const text = `select g::int8 as b, nullif(g, 2)::int4 as i, g::text as t, decode('00ff', 'hex') as x, g::float8 as f from generate_series(1, 3) as g`;
      const types = { getTypeParser: () => (raw: string) => `mine ${raw}` };
      const drained = async (stream: AsyncIterable<unknown>): Promise<unknown[]> => {
        const rows: unknown[] = [];
        for await (const row of stream) rows.push(row);
        return rows;
      };
      const ways = async (client: any): Promise<unknown[]> => {
        const cursor = client.query(new Cursor(text));
        const read = [...(await cursor.read(2)), ...(await cursor.read(2))];
        await cursor.close();
        const stream = await drained(client.query(new QueryStream(text, [], { batchSize: 1 })));
        const query = await new Promise((resolve) => client.query(new driver.Query(text, (_: Error, result: any) => resolve(result.rows))));
        return [read, stream, query, (await client.query(text)).rows];
      };
      const client = await db.connect();
      const own = new (pgClient(scope.handle as never))();
      await own.connect();
      const thread = [...(await ways(client)), ...(await ways(own))];
      const brought = await drained(client.query(new QueryStream(text, [], { types })) as never);
      const throws = {
        getTypeParser: () => () => {
          throw new Error('cannot read that');
        },
      };
      const told = [
        await drained(client.query(new QueryStream(text, [], { types: throws })) as never).catch((error) => error.message),
        await client
          .query(new Cursor(text, [], { types: throws }))
          .read(5)
          .catch((error: Error) => error.message),
        (await client.query('select 1 as n')).rows.length,
      ];
      // What a parser gives is handed on as it is.
      driver.types.setTypeParser(3802, (raw: string) => Object.freeze(JSON.parse(raw)));
      const frozen = await drained(client.query(new QueryStream(`select '{"a":{"b":1}}'::jsonb as j`)) as never);
      if ((db as any).lending.way === 'remote') return { thread, brought, told, frozen, clients: [] };
      for (const each of [client, own]) (each as any).setTypeParser(23, (raw: string) => `client ${raw}`);
      const clients = [...(await ways(client)), ...(await ways(own))];
      client.release();
      await own.end();
      return { thread, brought, told, frozen, clients };
    });
    expect(seen.told).toEqual(['cannot read that', 'cannot read that', 1]);
    expect(seen.frozen).toEqual([{ j: { a: { b: 1 } } }]);
    const x = Buffer.from([0, 255]);
    const rows = (b: string, i: (g: number) => unknown) =>
      [1, 2, 3].map((g) => ({ b: `${b} ${g}`, i: g === 2 ? null : i(g), t: String(g), x: new Uint8Array(x), f: g }));
    const plain = (all: unknown[][]): unknown => all.map((each: any) => each.map((row: any) => ({ ...row, x: new Uint8Array(row.x) })));
    expect(plain(seen.thread as never)).toEqual(Array(8).fill(rows(lend === 'remote' ? 'owner' : 'here', (g) => `owner ${g}`)));
    expect((seen.brought as any)[1]).toMatchObject({ b: 'mine 2', i: null, t: 'mine 2', f: 'mine 2' });
    expect(plain(seen.clients as never)).toEqual(lend === 'remote' ? [] : Array(8).fill(rows('here', (g) => `client ${g}`)));
  });
});

describe.each(['auto', 'relayed'] as const)('what only the owner’s program can parse: %s', (lend) => {
  const owned = (more = {}) =>
    open({
      lend,
      max: 1,
      acquireTimeout: 0,
      onConnect: (client) => {
        client.setTypeParser(20, (text) => `owner ${text}`);
        client.setTypeParser(21, (text) => `owner ${text}`);
      },
      ...more,
    });

  test.each([
    ['unnamed', undefined],
    ['named', 'a name'],
  ])('comes with the answer, and waits for no other connection: %s', async (_, name) => {
    const pool = await owned();
    const thread = await join(pool);
    // An answer of whose types this thread has parsed all says nothing of the next.
    const first = await thread.pg(async (db, scope) => {
      const driver = (await scope.load('pg')) as typeof pg & { default: typeof pg };
      (driver.default ?? driver).types.setTypeParser(21, (raw: string) => `here ${raw}`);
      return (await db.query('select 7::int2 as s')).rows;
    });
    expect(first).toEqual([{ s: 'here 7' }]);
    const text = 'select 8::int8 as b from (select pg_advisory_xact_lock(7)) as locked';
    for (let times = 0; times < 3; times++) {
      await ask('select pg_advisory_lock(7)');
      const flags = new Int32Array(new SharedArrayBuffer(8));
      const asked = thread.pg(
        async (db, _, shared, query) => {
          const rows = db.query(query as never);
          while (Atomics.load(shared, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
          // It has the only connection when the query is answered.
          const connected = db.connect();
          Atomics.store(shared, 1, 1);
          const client = await connected;
          const all = (await rows).rows;
          client.release();
          return all;
        },
        flags,
        name === undefined ? text : { name, text },
      );
      await until(async () => (await ask(`select 1 from pg_locks where locktype = 'advisory' and not granted`)).length === 1);
      Atomics.store(flags, 0, 1);
      await until(() => Atomics.load(flags, 1) === 1);
      await ask('select pg_advisory_unlock(7)');
      expect(await settled(asked)).toEqual([{ b: 'owner 8' }]);
    }
  });

  test('whatever becomes of the connection meanwhile', async () => {
    const thread = await join(await owned());
    const seen = await settled(
      thread.pg(async (db, scope) => {
        const module = (await scope.load('pg')) as typeof pg & { default: typeof pg };
        const { Query } = module.default ?? module;
        const text = 'select 8::int8 as b';
        const long = `${text} /* ${'x'.repeat(70_000)} */`;
        const all = [await db.query(long), await db.query({ text: `${text}, $1::text as long`, values: ['x'.repeat(70_000)] })];
        // It is finished by the thread that blocks, which hears of it later.
        const before = db.query(text);
        all.push(db.querySync(text), await before);
        for (const question of [text, { name: 'released', text }, long]) {
          const client = await db.connect();
          const asked = client.query(question as string);
          client.release();
          all.push(await asked);
        }
        const client = await db.connect();
        const query = new Promise<(typeof all)[0]>((resolve, reject) => {
          client.query(
            new (Query as any)(text, (error: Error | undefined, result: (typeof all)[0]) => (error ? reject(error) : resolve(result))),
          );
        });
        client.release();
        all.push(await query);
        return all.map(({ rows }) => rows[0].b);
      }),
    );
    expect(seen).toEqual(Array(8).fill('owner 8'));
  });

  test('also where each session is reset', async () => {
    const thread = await join(await owned({ reset: 'always' }));
    const seen = await settled(
      thread.pg(async (db) => {
        const all = [];
        for (let times = 0; times < 3; times++) all.push((await db.query('select 8::int8 as b')).rows[0].b);
        return all;
      }),
    );
    expect(seen).toEqual(Array(3).fill('owner 8'));
  });

  test('of queries that wait together', async () => {
    const thread = await join(await owned());
    const rows = await thread.pg(async (db) =>
      (await Promise.all(Array.from({ length: 40 }, (_, n) => db.query('select $1::int8 as b', [n])))).map((each) => each.rows[0].b),
    );
    expect(rows).toEqual(Array.from({ length: 40 }, (_, n) => `owner ${n}`));
  });

  test('a parser that throws fails its query only, and none that this thread does not need', async () => {
    const pool = await open({
      lend,
      max: 1,
      onConnect: (client) =>
        client.setTypeParser(20, () => {
          throw new Error('the owner cannot read that');
        }),
    });
    const thread = await join(pool);
    const told = await settled(
      thread.pg(async (db, scope) => {
        const text = 'select 8::int8 as b';
        const fate = (asked: Promise<{ rows: unknown[] }>) =>
          asked.then(
            ({ rows }) => rows,
            (error: Error) => error.message,
          );
        const types = { getTypeParser: () => (raw: string) => `mine ${raw}` } as never;
        const before = [await fate(db.query(text)), await fate(db.query({ text, types })), await fate(db.query('select 1 as n'))];
        const driver = (await scope.load('pg')) as typeof pg & { default: typeof pg };
        (driver.default ?? driver).types.setTypeParser(20, (raw: string) => `here ${raw}`);
        return [...before, await fate(db.query(text)), await fate(db.query(text))];
      }),
    );
    expect(told).toEqual(['the owner cannot read that', [{ b: 'mine 8' }], [{ n: 1 }], [{ b: 'here 8' }], [{ b: 'here 8' }]]);
  });

  test('of columns with one name the last is the one that counts', async () => {
    const thread = await join(await owned());
    const seen = await thread.pg(async (db) => {
      const texts = [`select 8::int8 as a, 'text' as a`, `select 'text' as a, 8::int8 as a`, 'select 8::int8 as a, 9::int8 as a, 7 as b'];
      const all: unknown[] = [];
      for (const text of texts) {
        all.push((await db.query(text)).rows[0], db.querySync(text).rows[0], (await db.query({ text, rowMode: 'array' })).rows[0]);
        all.push((await db.scope(() => db.query(text))).rows[0], (await db.query({ name: text, text })).rows[0]);
      }
      return all;
    });
    const each = (row: unknown, array: unknown[]) => [row, row, array, row, row];
    expect(seen).toEqual([
      ...each({ a: 'text' }, ['owner 8', 'text']),
      ...each({ a: 'owner 8' }, ['text', 'owner 8']),
      ...each({ a: 'owner 9', b: 7 }, ['owner 8', 'owner 9', 7]),
    ]);
  });

  test('several results, none, and null', async () => {
    const thread = await join(await owned());
    const seen = await thread.pg(async (db) => {
      const text = `select 1::int8 as a where false; select 2 as n; select null::int8 as a union all select 3; select; select 4::int8 as a`;
      return ((await db.query(text)) as any).map((each: any) => each.rows);
    });
    expect(seen).toEqual([[], [{ n: 2 }], [{ a: null }, { a: 'owner 3' }], [{}], [{ a: 'owner 4' }]]);
  });
});

test('a row without columns is a row; results of several statements each have their own', async () => {
  const thread = await join(await open());
  expect(await thread.pg(async (db) => (await db.query('select from generate_series(1, 3)')).rows)).toEqual([{}, {}, {}]);
  const several = await thread.pg(async (db) =>
    ((await db.query('select 1 as n; select true as is, 2.5::float8 as x; select')) as any).map((r: any) => r.rows),
  );
  expect(several).toEqual([[{ n: 1 }], [{ is: true, x: 2.5 }], [{}]]);
  const arrays = await thread.pg(async (db) => (await db.query({ text: `select 1, date '2020-02-03', 'x'`, rowMode: 'array' })).rows);
  expect(arrays).toEqual([[1, new Date(2020, 1, 3), 'x']]);
});

test('where the parsers of pg are not found, results are the same, and it is said once', async () => {
  const { url } = await postgres();
  const main = `import Module from 'node:module';
const load = Module._load;
Module._load = function (request, ...rest) {
  if (request === 'pg-types/lib/textParsers') throw new Error('it has moved');
  return load.call(this, request, ...rest);
};
const { createPgPool } = await import('cenote/pg');
const pool = await createPgPool({ connection: ${JSON.stringify(url)}, max: 1 });
process.on('warning', ({ code, message }) => console.log(code, message.includes('it has moved')));
for (let i = 0; i < 3; i++) console.log(JSON.stringify((await pool.query("select 1 as a, true as b, '{1,2}'::int[] as c")).rows));
await pool.end();`;
  const { code, lines } = await node(
    project(new Map([['main.mjs', main]]), ['pg', 'pg-types', 'pg-protocol', 'pg-pool', 'pg-connection-string', 'pgpass']),
    'main.mjs',
  );
  const row = '[{"a":1,"b":true,"c":[1,2]}]';
  expect({ code, lines: lines.sort() }).toEqual({ code: 0, lines: ['CENOTE_PG_PARSERS true', row, row, row].sort() });
});
