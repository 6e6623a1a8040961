/** Programs on a pg.Pool, with nothing in between. Each gives everything that it has seen. */
import { randomBytes } from 'node:crypto';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { outcome } from './described.js';

const select = (text, values) => (pool) => pool.query(text, values);
const value = (type, given) => async (pool) => (await pool.query(`select $1::${type} as a`, [given])).rows;
const parameter = (given) => (pool) => outcome(() => pool.query('select $1::text as a', [given]).then(({ rows }) => rows));
const failing = (text, values) => async (pool) => {
  const client = await pool.connect();
  try {
    const first = await outcome(() => client.query(text, values));
    return [first, await outcome(() => client.query('select 1 as still'))];
  } finally {
    client.release();
  }
};
/** What a callback was told, and what the call returned. */
const told = (call) =>
  new Promise((resolve) => {
    let returned;
    const callback = (...args) => setImmediate(() => resolve({ args: args.map((arg) => arg), returned }));
    returned = call(callback);
  });

export const programs = {
  // ── what query is given
  text: select('select 1 as a, null as b'),
  'text and values': select('select $1::int as a', [1]),
  'text and no values': select('select 1 as a', []),
  'values that are null': select('select 1 as a', null),
  'a configuration': select({ text: 'select $1::int as a', values: [1] }),
  'a configuration and values': select({ text: 'select $1::int as a', values: [1] }, [2]),
  'a name': async (pool) => {
    const client = await pool.connect();
    try {
      const config = { name: 'my name', text: 'select $1::int as a' };
      return [
        await client.query(config, [1]),
        await client.query({ ...config, values: [2] }),
        await client.query({ name: 'my name', values: [3] }),
      ];
    } finally {
      client.release();
    }
  },
  'an empty name': (pool) => pool.query({ name: '', text: 'select 1 as a' }),
  'rows as arrays': select({ text: 'select 1 as a, 2 as a', rowMode: 'array' }),
  'the extended protocol': select({ text: 'select 1 as a', queryMode: 'extended' }),
  'several statements with the extended protocol': (pool) =>
    outcome(() => pool.query({ text: 'select 1; select 2', queryMode: 'extended' })),
  'several statements': select('select 1 as a; select 2 as b, 3 as c; create temp table x (); drop table x;'),
  'several statements as arrays': select({ text: 'select 1 as a; select 2 as b', rowMode: 'array' }),
  'several statements with types': select({
    text: 'select 1 as a; select 2::int8 as b',
    types: { getTypeParser: (oid) => (raw) => `${oid}:${raw}` },
  }),
  'several statements of which one fails': (pool) => outcome(() => pool.query('select 1 as a; select 1/0; select 2 as b')),
  'an empty text': select(''),
  'only a semicolon': select(';'),
  'only a comment': select('-- nothing'),
  'an empty text with the extended protocol': select({ text: '', queryMode: 'extended' }),
  'an empty text and values': (pool) => outcome(() => pool.query('', [1])),
  'no columns': select('select from generate_series(1, 2)'),
  'columns of the same name': select('select 1 as a, 2 as b, 3 as a'),
  'columns with odd names': select(`select 1 as "?column?", 2 as "constructor", 3 as "toString", 4 as "2", 5 as "1", 6 as " ", 7 as "ä🌞"`),
  'a column called __proto__': async (pool) => {
    const { rows } = await pool.query(`select 1 as "__proto__", '{"x":1}'::json as b`);
    return [Object.keys(rows[0]), Object.getPrototypeOf(rows[0]) === Object.prototype];
  },
  'parsers of one query': select({
    text: `select 1::int4 as a, 2::int8 as b, null::int4 as c, 'x'::text as d, '\\x01'::bytea as e`,
    types: { getTypeParser: (oid, format) => (raw) => [oid, format, typeof raw, raw] },
  }),
  'parsers of one query that fail': (pool) =>
    outcome(() =>
      pool.query({
        text: 'select 1 as a',
        types: {
          getTypeParser: () => () => {
            throw new RangeError('no');
          },
        },
      }),
    ),
  'more columns than one would think': select(`select ${Array.from({ length: 300 }, (_, i) => `${i} as c${i}`).join(', ')}`),
  'a large text': async (pool) => {
    const text = 'ä'.repeat(1_000_000);
    const { rows } = await pool.query('select $1::text as a', [text]);
    return rows[0].a === text;
  },
  'a large Buffer': async (pool) => {
    const bytes = randomBytes(1_000_000);
    const { rows } = await pool.query('select $1::bytea as a', [bytes]);
    return [rows[0].a.equals(bytes), Buffer.isBuffer(rows[0].a)];
  },
  'many rows': async (pool) => {
    const { rows, rowCount } = await pool.query(`select i, i::text as t, (i % 3 = 0) as f from generate_series(1, 20000) i`);
    return [rowCount, rows.length, rows[19_999], rows.reduce((sum, { i }) => sum + i, 0)];
  },
  'the configuration is left as it is': async (pool) => {
    const config = Object.freeze({ text: 'select $1::int as a', values: Object.freeze([1]), rowMode: 'array' });
    await pool.query(config);
    return config;
  },
  'a configuration that is an instance of a class': (pool) => {
    class Statement {
      constructor(...values) {
        this.values = values;
      }
      get text() {
        return 'select $1::int as a';
      }
    }
    return pool.query(new Statement(5));
  },
  'no query': async (pool) => {
    const seen = [];
    for (const wrong of [null, undefined, {}, { text: 5 }]) seen.push('error' in (await outcome(() => pool.query(wrong))));
    return seen;
  },
  'values that are no array': async (pool) => 'error' in (await outcome(() => pool.query('select 1', 5))),

  // ── what the values are
  null: value('text', null),
  undefined: value('text', undefined),
  true: value('bool', true),
  'an integer': value('int4', 42),
  'a fraction': value('float8', 0.1),
  infinity: value('float8', Number.POSITIVE_INFINITY),
  'not a number': value('float8', Number.NaN),
  'minus nought': value('float8', -0),
  'a bigint': value('int8', 2n ** 62n),
  'a numeric': value('numeric', '12345678901234567890.123456789'),
  'an empty string': value('text', ''),
  'a string with a NUL': parameter('a\0b'),
  'a lone surrogate': parameter('a\ud800b'),
  'signs of all kinds': value('text', `'"\\ä🌞\n\t$1`),
  'a date': value('timestamptz', new Date(1_700_000_000_123)),
  'a date as a day': value('date', new Date(2024, 1, 29)),
  'a date without a zone': value('timestamp', new Date(1_700_000_000_123)),
  'a date long ago': value('timestamptz', new Date(-62_198_755_200_000)),
  'a date as text': value('text', new Date(1_700_000_000_123)),
  'a date that is none': parameter(new Date(Number.NaN)),
  'a subclass of Date': value('timestamptz', new (class Day extends Date {})(1_700_000_000_123)),
  'an interval there and back': async (pool) => {
    const { rows } =
      await pool.query(`select '1 year 2 mons 3 days 04:05:06.789'::interval as a, '-00:00:00.5'::interval as b, '0'::interval as c,
      array['1 day', '2 mons', null]::interval[] as d`);
    const [{ a, b, c, d }] = rows;
    const said = [a, b, c, d[0]].map((one) => [one.toPostgres(), one.toISO(), one.toISOString(), one.toISOStringShort?.()]);
    const back = await pool.query(`select $1::interval + '1 mon' as a, $2::text as b, $3::interval = '0' as c, $4::interval[] as d`, [
      a,
      b,
      c,
      d,
    ]);
    return [rows, said, back.rows];
  },
  'endless times': select(`select 'infinity'::timestamptz as a, '-infinity'::date as b`),
  'an interval': select(`select '1 year 2 days 03:04:05.678'::interval as a`),
  'a Buffer': value('bytea', Buffer.from([0, 1, 255])),
  'a small Buffer out of a slab': value('bytea', Buffer.from('xabcx').subarray(1, 4)),
  'an empty Buffer': value('bytea', Buffer.alloc(0)),
  'a Uint8Array': value('bytea', new Uint8Array([1, 2])),
  'a Float32Array': value('bytea', new Float32Array([1.5, -2])),
  'part of a Uint16Array': value('bytea', new Uint16Array([1, 2, 3]).subarray(1)),
  'a DataView': value('bytea', new DataView(new ArrayBuffer(4), 1, 2)),
  'an ArrayBuffer': parameter(new ArrayBuffer(2)),
  'a Buffer as text': parameter(Buffer.from('bytes')),
  numbers: value('int4[]', [1, 2, null]),
  texts: value('text[]', ['a', 'b"c\\', '', null, undefined, 'NULL']),
  'an empty array': value('int4[]', []),
  'arrays in arrays': value('int4[][]', [
    [1, 2],
    [3, 4],
  ]),
  'texts in arrays in arrays': value('text[]', [
    ['a', null],
    ['{}', ','],
  ]),
  'Buffers in an array': value('bytea[]', [Buffer.from([1]), null]),
  'typed arrays in an array': value('bytea[]', [new Uint8Array([1, 2]).subarray(1)]),
  'dates in an array': value('timestamptz[]', [new Date(0), null]),
  'objects in an array': value('json[]', [{ a: 1 }, { b: [null, 'x"'] }]),
  'booleans and bigints in an array': parameter([true, 5n, -0, 1.5]),
  'an array with holes': parameter(Object.assign([1], { 2: 3 })),
  json: value('json', { a: [1, { b: null }], c: 'ä"' }),
  jsonb: value('jsonb', { b: 1, a: 2 }),
  'an array for json': (pool) => outcome(() => pool.query('select $1::json as a', [[1, 2]])),
  'json made of values': select(
    `select '[1, "x", null]'::json as a, '"x"'::jsonb as b, 'null'::json as c, '1e2'::jsonb as d, '{"__proto__": 1}'::json as e`,
  ),
  'an object with toJSON': value('json', { toJSON: () => ({ euro: 5 }) }),
  'an instance of a class': value(
    'json',
    new (class Point {
      x = 1;
      #y = 2;
      get y() {
        return this.#y;
      }
    })(),
  ),
  'a Map': parameter(new Map([[1, 2]])),
  'a URL': parameter(new URL('file:///x')),
  'an Error': parameter(new Error('x')),
  'a RegExp': parameter(/x/),
  'an object without a prototype': parameter(Object.assign(Object.create(null), { a: 1 })),
  'an object that has a bigint': (pool) => outcome(() => pool.query('select $1::json', [{ a: 1n }])).then(({ error }) => error?.message),
  'an object that refers to itself': async (pool) => {
    const given = {};
    given.self = given;
    return 'error' in (await outcome(() => pool.query('select $1::json', [given])));
  },
  'a boxed string': parameter(Object('x')),
  'a function': parameter(function f() {}),
  'a symbol': parameter(Symbol.iterator),
  'toPostgres to a string': parameter({ toPostgres: () => '(1,2)' }),
  'toPostgres with what it is given': parameter({ toPostgres: (prepare) => prepare(['a', null, new Date(0), ['"']]) }),
  'toPostgres to null': parameter({ toPostgres: () => null }),
  'toPostgres to another one': parameter({ toPostgres: () => ({ toPostgres: () => 7 }) }),
  'toPostgres to itself': async (pool) => {
    const given = { toPostgres: () => given };
    return outcome(() => pool.query('select $1::text', [given])).then(({ error }) => error instanceof Error);
  },
  'toPostgres that fails': (pool) =>
    outcome(() =>
      pool.query('select $1::text', [
        {
          toPostgres: () => {
            throw new RangeError('no');
          },
        },
      ]),
    ),
  'toPostgres in an array': parameter([{ toPostgres: () => 'x"y' }, null]),
  'toPostgres in an object': parameter({ a: { toPostgres: () => 'x' } }),
  'values of many types': select(
    `select '(1,2)'::point as a, '<(1,2),3>'::circle as b, '10.0.0.1/8'::inet as c, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as d, '[1,5)'::int4range as e,
      '{1,2}'::int8[] as f, '{a,NULL}'::text[] as g, b'101' as h, '12:30'::time as i, 1.50::numeric as j, 3::int2 as k, 4::oid as l, 1.5::float4 as m, 'x'::char as n,
      '$1.50'::money as o, '{"(1,2)"}'::point[] as p, '{2020-01-01}'::date[] as q, '{1.5}'::numeric[] as r, '{t,f}'::bool[] as s, '{"{}"}'::json[] as t, row(1, 'x') as u`,
  ),
  void: select('select pg_sleep(0) as a'),

  // ── results of statements
  'statements of every kind': async (pool, { schema }) => {
    const seen = [];
    for (const text of [
      `create table ${schema}.kinds (id int primary key, a text)`,
      `insert into ${schema}.kinds values (1, 'x'), (2, 'y')`,
      `insert into ${schema}.kinds values (3, 'z') returning *`,
      `insert into ${schema}.kinds values (3, 'z') on conflict do nothing`,
      `update ${schema}.kinds set a = 'u' where id > 1`,
      `delete from ${schema}.kinds where id = 1 returning id`,
      `merge into ${schema}.kinds k using (values (2)) v (id) on k.id = v.id when matched then update set a = 'm'`,
      `with d as (delete from ${schema}.kinds where id = 3 returning *) select count(*) from d`,
      `table ${schema}.kinds`,
      'values (1, 2)',
      'show server_version_num',
      'begin; commit',
      'rollback',
      `explain (costs off) select 1`,
      `truncate ${schema}.kinds`,
      `do $$ begin end $$`,
      `create function ${schema}.f() returns int language sql as 'select 1'`,
      `select ${schema}.f()`,
      `select * from ${schema}.kinds`,
      `prepare p as select 1`,
      `drop table ${schema}.kinds`,
    ])
      seen.push(await pool.query(text));
    for (const result of seen) for (const field of result.fields ?? []) field.tableID = field.tableID > 0;
    return seen;
  },

  // ── errors
  'a syntax error': failing('selec 1'),
  'a column that is not there': failing('select nowhere'),
  'a table that is not there': failing('select * from nowhere'),
  'a division by nought': failing('select 1 / $1::int', [0]),
  'a failed cast': failing(`select 'x'::int`),
  'a value that does not fit': failing('select $1::int', ['x']),
  'too few values': failing('select $1::int, $2::int', [1]),
  'too many values': failing('select $1::int', [1, 2]),
  'an error of a function': failing(
    `do $$ begin raise exception 'mine' using errcode = 'XX123', detail = 'd', hint = 'h', column = 'c', constraint = 'k', datatype = 't', table = 'u', schema = 's'; end $$`,
  ),
  'an error after rows': failing('select 1 / (3 - i) from generate_series(1, 5) i'),
  'a statement that takes too long': (pool) =>
    withClient(pool, async (client) => {
      await client.query('begin; set local statement_timeout = 20');
      return [await outcome(() => client.query('select pg_sleep(5)')), await client.query('rollback')];
    }),
  'a failed constraint': async (pool, { schema }) => {
    await pool.query(`create table ${schema}.strict (id int primary key, a int not null check (a > 0), b int references ${schema}.strict)`);
    const seen = [];
    for (const row of ['(1, 1, null), (1, 1, null)', '(2, null, null)', '(3, -1, null)', '(4, 1, 99)'])
      seen.push(await outcome(() => pool.query(`insert into ${schema}.strict values ${row}`)));
    return seen;
  },
  'a failed transaction': async (pool) => {
    const client = await pool.connect();
    try {
      const seen = [];
      for (const text of ['begin', 'select 1/0', 'select 1', 'commit', 'select 1 as a']) seen.push(await outcome(() => client.query(text)));
      return seen;
    } finally {
      client.release();
    }
  },
  'a query that is cancelled': async (pool) => {
    const client = await pool.connect();
    try {
      const running = outcome(() => client.query('select pg_sleep(20)'));
      await cancelled(pool, client.processID);
      return [await running, await outcome(() => client.query('select 1 as a'))];
    } finally {
      client.release();
    }
  },
  'a connection that is killed under a query': async (pool) => {
    const client = await pool.connect();
    client.on('error', () => {});
    const running = outcome(() => client.query('select pg_sleep(20)'));
    await cancelled(pool, client.processID, 'pg_terminate_backend');
    const first = await running;
    const second = await outcome(() => client.query('select 1'));
    client.release(first.error);
    return [first.error.code, first.error.message, second.error instanceof Error, (await pool.query('select 1 as a')).rows];
  },
  'a connection that is killed while it is out': async (pool) => {
    const client = await pool.connect();
    const ended = new Promise((resolve) => client.once('end', resolve));
    client.on('error', () => {});
    await pool.query('select pg_terminate_backend($1, 10000)', [client.processID]);
    const later = await outcome(() => client.query('select 1'));
    await ended;
    client.release(true);
    return ['error' in later, (await pool.query('select 1 as a')).rows];
  },
  'an error has a stack of the caller': async (pool) => {
    async function callerOfMine() {
      await pool.query('select nowhere');
    }
    const { error } = await outcome(callerOfMine);
    return [
      error.stack.startsWith('error: column "nowhere" does not exist\n'),
      error instanceof Error,
      Object.prototype.toString.call(error),
      String(error),
    ];
  },

  // ── callbacks
  'pool.query with a callback': (pool) => told((callback) => pool.query('select 1 as a', callback)),
  'pool.query with values and a callback': (pool) => told((callback) => pool.query('select $1::int as a', [1], callback)),
  'pool.query with a configuration and a callback': (pool) => told((callback) => pool.query({ text: 'select 1 as a' }, callback)),
  'pool.query with a callback and an error': (pool) => told((callback) => pool.query('select nowhere', callback)),
  'pool.query with undefined values and a callback': (pool) => told((callback) => pool.query('select 1 as a', undefined, callback)),
  'client.query with a callback': (pool) => withClient(pool, (client) => told((callback) => client.query('select 1 as a', callback))),
  'client.query with values and a callback': (pool) =>
    withClient(pool, (client) => told((callback) => client.query('select $1::int as a', [1], callback))),
  'client.query with a callback in the configuration': (pool) =>
    withClient(pool, (client) => told((callback) => client.query({ text: 'select 1 as a', callback }))),
  'client.query with a callback and an error': (pool) =>
    withClient(pool, (client) => told((callback) => client.query('select nowhere', callback))),
  'client.query with a callback and several statements': (pool) =>
    withClient(pool, (client) => told((callback) => client.query('select 1 as a; select 2 as b', callback))),
  'client.query with a callback and values that are wrong': (pool) =>
    withClient(pool, async (client) => (await told((callback) => client.query('select $1::int', ['x'], callback))).args[0].code),
  'pool.connect with a callback': (pool) =>
    new Promise((resolve) => {
      const returned = pool.connect((error, client, release) => {
        client.query('select 1 as a', (failure, { rows }) => {
          release();
          resolve([returned, error, failure, rows, typeof client.release]);
        });
      });
    }),
  'queries of one connection come in their order': (pool) =>
    withClient(pool, async (client) => {
      const order = [];
      const queries = [`select pg_sleep(0.02), 1 as a`, 'select 2 as a', 'select nowhere', 'select 3 as a'].map((text) =>
        client.query(text).then(
          ({ rows }) => order.push(rows[0].a),
          ({ code }) => order.push(code),
        ),
      );
      await Promise.all(queries);
      return order;
    }),
  'release twice': async (pool) => {
    const client = await pool.connect();
    client.release();
    return outcome(() => client.release());
  },
  'release without its object': async (pool) => {
    const { release } = await pool.connect();
    return outcome(() => release());
  },
  'the helpers for texts': (pool) =>
    withClient(pool, (client) => [
      client.escapeIdentifier('a"b'),
      client.escapeLiteral(`it's \\ "x"`),
      client.escapeLiteral(null),
      client.escapeLiteral(5),
    ]),
  'transaction status': (pool) =>
    withClient(pool, async (client) => {
      const seen = [client.getTransactionStatus()];
      for (const text of ['begin', 'select 1', 'select nowhere', 'rollback']) {
        await outcome(() => client.query(text));
        if (text === 'select nowhere') await outcome(() => client.query('select 1'));
        seen.push(client.getTransactionStatus());
      }
      return seen;
    }),

  // ── events
  'events of the pool': async (pool) => {
    const heard = [];
    const listeners = ['acquire', 'release'].map((event) => {
      const listener = (...args) =>
        heard.push([event, args.length, args.map((arg) => arg?.constructor.name.replace('PgClient', 'Client'))]);
      pool.on(event, listener);
      return [event, listener];
    });
    await pool.query('select 1');
    const client = await pool.connect();
    heard.push('out');
    client.release();
    heard.push('in');
    for (const [event, listener] of listeners) pool.off(event, listener);
    return heard;
  },
  notices: (pool) =>
    withClient(pool, async (client) => {
      const heard = [];
      client.on('notice', (notice) =>
        heard.push({ ...notice, message: notice.message, name: notice.name, isError: notice instanceof Error }),
      );
      await client.query(`do $$ begin raise notice 'a %', 1; raise warning 'b' using hint = 'h'; end $$`);
      return heard;
    }),
  notifications: (pool, { schema }) =>
    withClient(pool, async (client) => {
      const heard = [];
      client.on('notification', ({ channel, payload, processId }) => heard.push([channel, payload, processId === client.processID]));
      await client.query(`listen ${schema}`);
      await client.query('select pg_notify($1, $2)', [schema, 'hello']);
      await client.query('select 1');
      await client.query(`unlisten ${schema}`);
      return heard;
    }),

  // ── cursors and streams
  'a cursor': (pool) =>
    withClient(pool, async (client) => {
      const cursor = client.query(new Cursor('select i, i::text as t from generate_series(1, $1) i', [5]));
      const seen = [await cursor.read(2), await cursor.read(10), await cursor.read(10)];
      await cursor.close();
      return [seen, (await client.query('select 1 as a')).rows];
    }),
  'a cursor with a callback': (pool) =>
    withClient(pool, async (client) => {
      const cursor = client.query(new Cursor('select i from generate_series(1, 3) i'));
      const seen = await told((callback) =>
        cursor.read(2, (error, rows, result) =>
          callback(
            error,
            rows,
            result.fields.map(({ name }) => name),
          ),
        ),
      );
      await told((callback) => cursor.close(callback));
      return seen.args;
    }),
  'a cursor with rows as arrays': (pool) =>
    withClient(pool, async (client) => {
      const cursor = client.query(new Cursor('select 1::int8 as a, null as b, now() < now() as c', [], { rowMode: 'array' }));
      const rows = await cursor.read(5);
      await cursor.close();
      return rows;
    }),
  'a cursor with parsers': (pool) =>
    withClient(pool, async (client) => {
      const cursor = client.query(new Cursor('select 1::int8 as a', [], { types: { getTypeParser: (oid) => (raw) => `${oid}:${raw}` } }));
      const rows = await cursor.read(5);
      await cursor.close();
      return rows;
    }),
  'a cursor with values of many types': (pool) =>
    withClient(pool, async (client) => {
      const cursor = client.query(
        new Cursor('select $1::bytea as a, $2::timestamptz as b, $3::int[] as c, $4::json as d, $5::text as e', [
          Buffer.from([1]),
          new Date(0),
          [1, null],
          { x: 1 },
          null,
        ]),
      );
      const rows = await cursor.read(5);
      await cursor.close();
      return rows;
    }),
  'a cursor that fails at once': (pool) =>
    withClient(pool, async (client) => {
      const cursor = client.query(new Cursor('select nowhere'));
      return [await outcome(() => cursor.read(2)), (await client.query('select 1 as a')).rows];
    }),
  'a cursor that fails later': (pool) =>
    withClient(pool, async (client) => {
      const cursor = client.query(new Cursor('select 1 / (3 - i) as a from generate_series(1, 5) i'));
      return [await outcome(() => cursor.read(1)), await outcome(() => cursor.read(5)), (await client.query('select 1 as a')).rows];
    }),
  'a cursor over nothing': (pool) =>
    withClient(pool, async (client) => {
      const cursor = client.query(new Cursor('create temp table nothing ()'));
      const rows = await cursor.read(5);
      await cursor.close();
      return [rows, (await client.query('drop table nothing')).command];
    }),
  'a cursor that is closed early, in a transaction': (pool) =>
    withClient(pool, async (client) => {
      await client.query('begin');
      const cursor = client.query(new Cursor('select i from generate_series(1, 1000) i'));
      const rows = await cursor.read(1);
      await cursor.close();
      await client.query('commit');
      return rows;
    }),
  'a cursor with an interval': (pool) =>
    withClient(pool, async (client) => {
      const cursor = client.query(new Cursor(`select '1 day 00:00:01.5'::interval as a, null::interval as b`));
      const rows = await cursor.read(5);
      await cursor.close();
      return [rows, rows[0].a.toPostgres()];
    }),
  'a stream': (pool) =>
    withClient(pool, async (client) => {
      const rows = [];
      for await (const row of client.query(new QueryStream('select i from generate_series(1, $1) i', [250], { batchSize: 40 })))
        rows.push(row.i);
      return [rows, (await client.query('select 1 as a')).rows];
    }),
  'a stream that is left': (pool) =>
    withClient(pool, async (client) => {
      const rows = [];
      for await (const row of client.query(new QueryStream('select i from generate_series(1, 1000) i', [], { batchSize: 3 })))
        if (rows.push(row) === 5) break;
      return [rows, (await client.query('select 1 as a')).rows];
    }),
  'a stream that fails': (pool) =>
    withClient(pool, async (client) => {
      const rows = [];
      const end = await outcome(async () => {
        for await (const row of client.query(new QueryStream('select 1 / (3 - i) as a from generate_series(1, 5) i', [], { batchSize: 1 })))
          rows.push(row);
      });
      return [rows, end, (await client.query('select 1 as a')).rows];
    }),
};

async function withClient(pool, body) {
  const client = await pool.connect();
  try {
    return await body(client);
  } finally {
    client.release();
  }
}

/** Asks until it has hit: the query may not have begun. */
async function cancelled(pool, pid, how = 'pg_cancel_backend') {
  for (;;) {
    const { rows } = await pool.query(
      `select ${how}(pid) from pg_stat_activity where pid = $1 and query like '%pg_sleep(20)%' and state = 'active'`,
      [pid],
    );
    if (rows.length > 0) return;
  }
}
