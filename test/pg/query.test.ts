/** Queries, the same on every thread: results and errors complete, as pg has them. */
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { ask, join, on, open, postgres, WHERE } from '../support/postgres.ts';
import { failureOf } from '../support/wait.ts';

describe.each(WHERE)('on %s', (where) => {
  test('a result is what pg gives: rows, fields, rowCount, command', async () => {
    const text = `select 1 as a, 'x'::text as b, true as c, null as d, 1.5::float8 as e, '{"f":[1]}'::jsonb as f, '{1,2}'::int[] as g`;
    const client = new pg.Client({ connectionString: (await postgres()).url });
    await client.connect();
    const { command, rowCount, oid, fields, rows } = await client.query(text);
    await client.end();
    const run = await on(where, await open());
    const result = await run((pool, _, sql) => pool.query(sql), text);
    expect(result).toEqual({ command, rowCount, oid, fields: fields.map((field) => ({ ...field })), rows });
  });

  test('values arrive as what they are: Buffer, Date, bigint as text, NULL, bytes in arrays', async () => {
    const run = await on(where, await open());
    const seen = await run(async (pool) => {
      const { rows } = await pool.query(
        'select $1::bytea as a, $2::timestamptz as b, 12::int8 as c, null as d, array[$1::bytea] as e, $3::json as f',
        [Buffer.from([1, 2, 255]), new Date(86_400_000), { g: [1, null] }],
      );
      const [{ a, b, c, d, e, f }] = rows;
      return [Buffer.isBuffer(a), a.toString('hex'), b instanceof Date, b.getTime(), c, d, Buffer.isBuffer(e[0]), e[0].length, f];
    });
    expect(seen).toEqual([true, '0102ff', true, 86_400_000, '12', null, true, 3, { g: [1, null] }]);
  });

  test('parameters mean what they mean to pg', async () => {
    const run = await on(where, await open());
    const seen = await run(async (pool) => {
      class Point {
        toPostgres(prepare: (value: unknown) => unknown) {
          return prepare(['(1,2)', null, ['"\\']]);
        }
      }
      class Money {
        toJSON() {
          return { euro: 5 };
        }
      }
      const { rows } = await pool.query(
        'select $1::text as a, $2::json as b, $3::int8 as c, $4::text[] as d, $5::bytea as e, $6::text as f, $7::bool as g',
        [new Point(), new Money(), 2n ** 40n, ['x', null, 'y"z'], new Uint8Array([9, 8, 7]).subarray(1), undefined, true],
      );
      return { ...rows[0], e: rows[0].e.toString('hex') };
    });
    expect(seen).toEqual({
      a: '{"(1,2)",NULL,{"\\"\\\\"}}',
      b: { euro: 5 },
      c: String(2n ** 40n),
      d: ['x', null, 'y"z'],
      e: '0807',
      f: null,
      g: true,
    });
  });

  test('a query configuration: rowMode, values, name, and several statements in one text', async () => {
    const run = await on(where, await open());
    const seen = await run(async (pool) => {
      const arrays = await pool.query({ text: 'select 1 as a, 2 as a', rowMode: 'array' });
      const named = await pool.query({ name: 'one', text: 'select $1::int as a', values: [7] });
      const many = (await pool.query('select 1 as a; select 2 as a, 3 as b')) as unknown as { rows: unknown[] }[];
      const empty = await pool.query('');
      return [arrays.rows, arrays.fields.length, named.rows, many.map(({ rows }) => rows), empty.rows];
    });
    expect(seen).toEqual([[[1, 2]], 2, [{ a: 7 }], [[{ a: 1 }], [{ a: 2, b: 3 }]], []]);
  });

  test('type parsers of a query run where it was asked', async () => {
    const run = await on(where, await open());
    const seen = await run(async (pool) => {
      const parsed: number[] = [];
      const types = {
        getTypeParser: (oid: number) => {
          parsed.push(oid);
          return (raw: string) => ({ raw, big: oid === 20 ? BigInt(raw) : null, f: () => 1 });
        },
      };
      const { rows } = await pool.query({ text: 'select 5::int8 as a, null as b, 6::int4 as c', types: types as never });
      return [rows[0].a.big, rows[0].a.raw, rows[0].b, rows[0].c.raw, typeof rows[0].c.f, parsed];
    });
    expect(seen).toEqual([5n, '5', null, '6', 'function', [20, 25, 23]]);
  });

  test('type parsers of the connection, of onConnect, and of pg itself', async () => {
    const types = new pg.TypeOverrides();
    types.setTypeParser(20, BigInt as never);
    pg.types.setTypeParser(1700 as never, (raw: string) => `global ${raw}`);
    const pool = await open({ settings: { types }, onConnect: (client) => client.setTypeParser(23, (raw) => -Number(raw)) });
    const run = await on(where, pool);
    try {
      expect((await run((p) => p.query('select 5::int8 as a, 6::int4 as b, 7::numeric as c'))).rows).toEqual([
        { a: 5n, b: -6, c: 'global 7' },
      ]);
    } finally {
      pg.types.setTypeParser(1700 as never, (raw: string) => raw);
    }
  });

  test('what a query has given is not kept once its caller has done with it', async () => {
    const run = await on(where, await open({ max: 4 }));
    const isGone = await run(async (pool, { load }) => {
      const { setFlagsFromString } = (await load('node:v8')) as typeof import('node:v8');
      const { runInNewContext } = (await load('node:vm')) as typeof import('node:vm');
      setFlagsFromString('--expose-gc');
      const gc = runInNewContext('gc') as () => void;
      const ask = async (query: (text: string) => Promise<object>) => new WeakRef(await query('select n from generate_series(1, 1000) n'));
      // All at once, and nothing after them: no later statement takes the place of one.
      const kept = await Promise.all([
        ask((text) => pool.query(text)),
        ask((text) => pool.query(text)),
        ask((text) => pool.scope(() => pool.query(text))),
        ask((text) => pool.transaction((tx) => tx.query(text))),
      ]);
      const end = performance.now() + 60_000;
      while (performance.now() < end && kept.some((ref) => ref.deref() !== undefined)) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        gc();
      }
      return kept.map((ref) => ref.deref() === undefined);
    });
    expect(isGone).toEqual([true, true, true, true]);
  });

  test('an error says where in the program its statement was asked', async () => {
    const run = await on(where, await open());
    const lost = await run(async (pool) => {
      const wrong = 'select nowhere';
      async function asker(ask: () => Promise<unknown>): Promise<boolean> {
        try {
          await ask();
        } catch (error) {
          return /\basker\b/.test((error as Error).stack!) && (error as Error).message.includes('nowhere');
        }
        return false;
      }
      const client = await pool.connect();
      const seen = {
        query: await asker(() => pool.query(wrong)),
        client: await asker(() => client.query(wrong)),
        scope: await asker(() => pool.scope(() => pool.query(wrong))),
        // A trace has ten lines, and those of the transaction come between.
        transaction: await pool
          .transaction(async function asker(tx) {
            await tx.query(wrong);
          })
          .catch((error: Error) => /\basker\b/.test(error.stack!)),
      };
      client.release();
      return Object.entries(seen).flatMap(([way, isThere]) => (isThere ? [] : way));
    });
    expect(lost).toEqual([]);
  });

  test('an error is a DatabaseError with everything the server said', async () => {
    const name = `unique_${where.length}`;
    await ask(`create table ${name} (id int constraint ${name}_key unique)`);
    const run = await on(where, await open());
    const seen = await run(async (pool, _, table) => {
      const errors = [];
      for (const text of [`insert into ${table} values (1), (1)`, 'select nowhere']) {
        try {
          await pool.query(text);
        } catch (error) {
          const {
            name,
            message,
            code,
            severity,
            detail,
            position,
            schema,
            table: of,
            constraint,
            routine,
          } = error as Record<string, unknown>;
          errors.push({ name, message, code, severity, detail, position, schema, of, constraint, routine, is: error instanceof Error });
          errors.push(/at /.test((error as Error).stack ?? ''), Object.prototype.toString.call(error), (error as object).constructor.name);
        }
      }
      return errors;
    }, name);
    expect(seen).toEqual([
      {
        name: 'error',
        message: `duplicate key value violates unique constraint "${name}_key"`,
        code: '23505',
        severity: 'ERROR',
        detail: 'Key (id)=(1) already exists.',
        position: undefined,
        schema: 'public',
        of: name,
        constraint: `${name}_key`,
        routine: '_bt_check_unique',
        is: true,
      },
      true,
      '[object Error]',
      'DatabaseError',
      expect.objectContaining({ code: '42703', position: '8', is: true }),
      true,
      '[object Error]',
      'DatabaseError',
    ]);
  });

  test('callbacks, as in pg', async () => {
    const run = await on(where, await open());
    const seen = await run(async (pool) => {
      const heard: unknown[] = [];
      await new Promise<void>((done) => {
        const nothing = pool.query('select 1 as a', (error, result) => {
          heard.push(error, result.rows, nothing);
          pool.query('select $1::int as a', [2], (_, second) => {
            heard.push(second.rows);
            pool.query('select nowhere', (failure) => {
              heard.push((failure as { code?: string }).code);
              pool.connect((problem, client, release) => {
                heard.push(problem);
                client!.query({ text: 'select $1::int as a' }, [3], (__, third) => {
                  heard.push(third.rows);
                  release();
                  done();
                });
              });
            });
          });
        });
      });
      return heard;
    });
    expect(seen).toEqual([undefined, [{ a: 1 }], undefined, [{ a: 2 }], '42703', undefined, [{ a: 3 }]]);
  });

  test('a callback in the configuration of a query is not for the pool, whether somebody listens to it or not', async () => {
    const run = await on(where, await open());
    const seen = await run(async (pool) => {
      const heard: unknown[] = [];
      const config = { text: 'select 1 as a', callback: () => heard.push('callback') };
      heard.push((await pool.query(config)).rows);
      pool.on('acquire', () => heard.push('acquire'));
      heard.push((await pool.query(config)).rows);
      heard.push(await pool.query('select nowhere').catch((error) => error.code));
      return heard;
    });
    expect(seen).toEqual([[{ a: 1 }], 'acquire', [{ a: 1 }], 'acquire', '42703']);
  });

  test('what is no query is refused by name', async () => {
    const run = await on(where, await open());
    const seen = await run(async (pool) => {
      const messages = [];
      for (const wrong of [null, {}, () => 1])
        messages.push(await pool.query(wrong as unknown as string).then(String, (error) => error.message));
      messages.push(await pool.query('select 1', 5 as unknown as unknown[]).then(String, (error) => error.message));
      return messages;
    });
    expect(seen).toEqual([
      expect.stringContaining('null or undefined'),
      expect.stringContaining('must have a text or a name'),
      expect.stringContaining('function as the first parameter'),
      expect.stringContaining('values must be an array'),
    ]);
  });

  test('a connection: the same object, the server’s process id, properties of others, and an end', async () => {
    const run = await on(where, await open({ max: 1 }));
    const seen = await run(async (pool) => {
      const client = (await pool.connect()) as Awaited<ReturnType<typeof pool.connect>> & { __mine?: number };
      client.__mine = 5;
      const { rows } = await client.query('select pg_backend_pid() as pid');
      const same = rows[0].pid === client.processID;
      client.release();
      const twice = await Promise.resolve()
        .then(() => client.release())
        .catch((error) => error.message);
      const late = await client.query('select 1').catch((error) => error.message);
      const next = await pool.connect();
      const pid = next.processID === rows[0].pid;
      next.release(true);
      const third = await pool.connect();
      const fresh = third.processID !== rows[0].pid;
      third.release();
      return { same, mine: client.__mine, twice, late, pid, fresh };
    });
    expect(seen).toEqual({
      same: true,
      mine: 5,
      twice: 'Release called on client which has already been released to the pool.',
      late: expect.stringContaining('refuses further queries'),
      pid: true,
      fresh: true,
    });
  });

  test('notices of a query arrive with its answer', async () => {
    const run = await on(where, await open());
    const seen = await run(async (pool) => {
      const client = await pool.connect();
      const notices: unknown[] = [];
      client.on('notice', (notice) => notices.push(notice.message, notice.severity));
      await client.query(`do $$ begin raise notice 'hear %', 1; end $$`);
      client.release();
      return notices;
    });
    expect(seen).toEqual(['hear 1', 'NOTICE']);
  });
});

test('a plain query of a worker is one message there and one back, where the owner passes the bytes on', async () => {
  const pool = await open({ lend: 'relayed' });
  const worker = await join(pool);
  const messages = await worker.pg(async (remote, { load }) => {
    await remote.query('select 1');
    const { MessagePort } = (await load('node:worker_threads')) as typeof import('node:worker_threads');
    const { postMessage } = MessagePort.prototype;
    let sent = 0;
    MessagePort.prototype.postMessage = function (this: InstanceType<typeof MessagePort>, ...args: unknown[]) {
      sent++;
      return Reflect.apply(postMessage, this, args);
    } as typeof postMessage;
    try {
      await remote.query('select $1::int', [1]);
    } finally {
      MessagePort.prototype.postMessage = postMessage;
    }
    return sent;
  });
  expect(messages).toBe(1);
});

test('what the server is never asked for: a small Buffer brings nothing of its neighbours along', async () => {
  const pool = await open();
  const worker = await join(pool);
  const size = await worker.pg(async (remote) => (await remote.query(`select 'abc'::bytea as a`)).rows[0].a.buffer.byteLength);
  expect(size).toBe(3);
});

test('bad options are refused by name', async () => {
  const { createPgPool } = await import('cenote/pg');
  const cases: [object, string][] = [
    [{}, 'connection is missing'],
    [{ connection: 5 }, 'connection must be'],
    [{ connection: '', reset: 'sometimes' }, "reset must be 'auto'"],
    [{ connection: '', statementCacheSize: -1 }, 'statementCacheSize'],
    [{ connection: '', onConnect: 5 }, 'onConnect must be'],
    [{ connection: '', factory: () => 1 }, 'factory is not an option'],
    [{ connection: '', max: 0 }, 'max must be'],
  ];
  for (const [options, message] of cases)
    expect(((await failureOf(() => createPgPool(options as never))) as Error).message).toContain(message);
});
