/** Connections that break, threads that die, a server that goes away and comes back. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join as path } from 'node:path';
import { consecutiveFailures } from 'cenote';
import type { PgClient } from 'cenote/pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { withoutSecrets } from '../../src/pg/owner/connection-settings.ts';
import { ask, connections, join, killAll, on, open, postgres, WHERE } from '../support/postgres.ts';
import { proxy } from '../support/proxy.ts';
import { goesOnMeanwhile } from '../support/sleeping-owner.ts';
import { failureOf, rejection, settled, sleep, until } from '../support/wait.ts';

const running = async (name: string): Promise<number> =>
  (await ask(`select count(*)::int as n from pg_stat_activity where application_name = $1 and state <> 'idle'`, [name]))[0].n;

describe.each(WHERE)('on %s', (where) => {
  test('a killed backend costs its borrower one error, and nobody after that', async () => {
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const seen = await run(async (p) => {
      const client = await p.connect();
      const ended: unknown[] = [];
      client.on('error', (error) => ended.push(error.message));
      client.on('end', () => ended.push('end'));
      const first = await client
        .query('select pg_terminate_backend(pg_backend_pid())')
        .catch((error) => [error.code, error instanceof Error]);
      const second = await client.query('select 1').catch((error) => typeof error.message);
      client.release();
      return [first, second, ended.length > 0, (await p.query('select 1 as a')).rows];
    });
    expect(seen).toEqual([['57P01', true], 'string', true, [{ a: 1 }]]);
    expect(await connections(pool.pool.name)).toBe(1);
  });

  test('a connection that dies while idle is had by nobody', async () => {
    const errors: unknown[] = [];
    const pool = await open({ max: 3, min: 3 });
    pool.on('error', (error) => errors.push(error.code));
    const run = await on(where, pool);
    await run((p) => Promise.all([1, 2, 3].map(() => p.query('select pg_sleep(0.05)'))));
    // Where it takes longer to make a connection, one may serve two of them.
    await until(() => pool.pool.stats().count === 3);
    await killAll(pool.pool.name);
    const rows = await run((p) => Promise.all([1, 2, 3, 4].map(async () => (await p.query('select 1 as a')).rows[0].a)));
    expect(rows).toEqual([1, 1, 1, 1]);
    await until(() => errors.length === 3);
    expect(errors).toEqual(['57P01', '57P01', '57P01']);
  });

  test('a query that timed out is cancelled on the server, and its connection not used again', async () => {
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const seen = await run(async (p) => {
      const error = await p.query({ text: 'select pg_sleep(600)', query_timeout: 50 } as never).catch((failure) => failure.message);
      return [error, (await p.query('select 1 as a')).rows];
    });
    expect(seen).toEqual(['Query read timeout', [{ a: 1 }]]);
    await until(async () => (await running(pool.pool.name)) === 0);
    await until(async () => (await connections(pool.pool.name)) === 1);
  });

  test('a connection given up with queries waiting on it: each of them is told, and its place is free', async () => {
    const pool = await open({ max: 1 });
    const run = await on(where, pool);
    const seen = await run(async (p) => {
      const client = await p.connect();
      const waiting = [client.query('select pg_sleep(600)'), client.query('select 1'), client.query('select 2')];
      await new Promise((resolve) => setTimeout(resolve, 30));
      client.release(new Error('enough of it'));
      const outcomes = await Promise.allSettled(waiting);
      return [outcomes.map(({ status }) => status), (await p.query('select 1 as a')).rows];
    });
    expect(seen).toEqual([['rejected', 'rejected', 'rejected'], [{ a: 1 }]]);
    await until(async () => (await connections(pool.pool.name)) === 1);
  });

  test.each([
    ['idle_session_timeout', 'runs on another', 1],
    ['an administrator', 'is told so, and not run again', 0],
  ])('what was sent when the session was being ended by %s %s', async (by, _, rows) => {
    const network = await proxy();
    const table = `crossed_${rows}_${where.length}`;
    await ask(`create table ${table} (a int)`);
    const isIdle = by === 'idle_session_timeout';
    const pool = await open({ max: 1, settings: { ...network.settings, options: `-c idle_session_timeout=${isIdle ? 700 : 0}` } });
    const run = await on(where, pool);
    await run((p) => p.query('select 1'));
    network.cross();
    if (!isIdle) await killAll(pool.pool.name);
    await until(async () => (await connections(pool.pool.name)) === 0);
    const outcome = await run((p, __, t) => p.query(`insert into ${t} values (1)`).catch((error) => error.code), table);
    expect(outcome).toEqual(isIdle ? expect.objectContaining({ rowCount: 1 }) : '57P01');
    expect(await ask(`select a from ${table}`)).toHaveLength(rows);
  });

  test('a transaction whose connection breaks does not go on with another one', async () => {
    const pool = await open({ max: 2 });
    const run = await on(where, pool);
    const seen = await run(async (p) => {
      const errors: string[] = [];
      const message = await p
        .transaction(async (tx) => {
          const pid = (await tx.query('select pg_backend_pid() as pid')).rows[0].pid;
          await tx.query('select pg_terminate_backend($1)', [pid]).catch(() => {});
          await p.query('select 1').catch((error) => errors.push(typeof error.message));
          await tx.query('select 1').catch((error) => errors.push(typeof error.message));
          return 'done';
        })
        .catch((error) => typeof error.message);
      return [message, errors, (await p.query('select 1 as a')).rows];
    });
    expect(seen).toEqual(['string', ['string', 'string'], [{ a: 1 }]]);
  });
});

const AS_ASKED = ['a query', 'in a scope', 'named, in a scope', 'in a transaction', 'a cursor'] as const;

test.each(['auto', 'remote'] as const)(
  'what finds its connection dead is done on another one, once and as it was asked: lent %s',
  async (lend) => {
    const pool = await open({ max: 1, lend });
    const thread = await join(pool);
    const { url } = await postgres();
    await ask('create table if not exists done_once (how text, n int)');
    for (const how of AS_ASKED) {
      let answered: unknown;
      // The owner cannot notice the loss before the thread does.
      await goesOnMeanwhile(async (flag) => {
        answered = await thread.pg(
          async (p, { load }, shared, at, way) => {
            const { default: driver } = (await load('pg')) as typeof import('pg');
            const killer = new driver.Client(at);
            await killer.connect();
            const { pid } = (await p.query('select pg_backend_pid() as pid')).rows[0];
            Atomics.store(shared, 0, 1);
            await killer.query('select pg_terminate_backend($1, 10000)', [pid]);
            await killer.end();
            const values: [string, number] = [way, 1];
            const text = 'insert into done_once values ($1, $2) returning n';
            const ways = {
              'a query': () => p.query(text, values),
              'in a scope': () => p.scope(() => p.query(text, values)),
              'named, in a scope': () => p.scope(() => p.query({ name: 'done_once', text, values })),
              'in a transaction': () => p.transaction((tx) => tx.query(text, [way, 1])),
              'a cursor': async () => ({ rows: [(await p.iterate(text, values).next()).value] }),
            };
            const asked = ways[way]();
            values[1] = 2;
            Atomics.store(shared, 0, 2);
            Atomics.notify(shared, 0);
            return (await asked).rows;
          },
          flag,
          url,
          how,
        );
      });
      expect([how, answered]).toEqual([how, [{ n: 1 }]]);
    }
    // The cursor is not read to its end, but what it does is done.
    expect(await ask('select how, n from done_once order by 1')).toEqual([...AS_ASKED].sort().map((how) => ({ how, n: 1 })));
    await ask('drop table done_once');
  },
);

test('a cut network: the query under way rejects, the next gets a connection that works', async () => {
  const network = await proxy();
  const pool = await open({ max: 2, settings: network.settings });
  const worker = await join(pool);
  const slow = worker.pg((p) => p.query('select pg_sleep(600)').catch((error) => error instanceof Error));
  await until(async () => (await running(pool.pool.name)) === 1);
  network.cut();
  expect(await settled(slow)).toBe(true);
  expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
  expect((await worker.pg((p) => p.query('select 2 as a'))).rows).toEqual([{ a: 2 }]);
});

describe.each(WHERE)('a cursor whose connection is lost says so, and is not at its end, on %s', (where) => {
  test.each(['between two reads', 'in one'])('%s', async (when) => {
    const network = await proxy();
    const pool = await open({ max: 1, settings: network.settings });
    const run = await on(where, pool);
    await run(async (p, { load }, isReading) => {
      const { default: Cursor } = (await load('pg-cursor')) as any;
      const client = await p.connect();
      const cursor = client.query(new Cursor('select pg_sleep(case when n = 1 then 0 else 600 end) from generate_series(1, 9) as n'));
      await cursor.read(1);
      const read = async (): Promise<unknown> => {
        const outcome = await cursor.read(5).catch((error: Error) => typeof error.message);
        client.release();
        return outcome;
      };
      const reading = isReading ? read() : undefined;
      (globalThis as any).outcome = () => reading ?? read();
    }, when === 'in one');
    if (when === 'in one') await until(async () => (await running(pool.pool.name)) === 1);
    network.cut();
    if (when !== 'in one') await until(async () => (await connections(pool.pool.name)) === 0);
    expect(await settled(run(() => (globalThis as any).outcome()))).toBe('string');
  });
});

test('a reset that takes longer than checkTimeout costs the connection', async () => {
  const network = await proxy();
  const pool = await open({ max: 1, checkTimeout: 100, settings: network.settings });
  const removed: unknown[] = [];
  pool.on('remove', (client) => removed.push(client.processID));
  const client = await pool.connect();
  await client.query('begin');
  network.freeze();
  client.release();
  const { rows } = await settled(pool.query('select pg_backend_pid() as pid'));
  expect(rows[0].pid).not.toBe(client.processID);
  await until(() => removed.length > 0);
  expect(removed).toEqual([client.processID]);
});

test('the breaker opens when the server is gone, and closes when it is back, on the same pool object', async () => {
  const network = await proxy();
  // Longer than a busy machine takes for ten queries that fail: until then the breaker stays open.
  const pool = await open({
    max: 2,
    settings: network.settings,
    circuitBreaker: consecutiveFailures({ threshold: 3, resetTimeout: 4000 }),
  });
  const worker = await join(pool);
  expect((await worker.pg((p) => p.query('select 1 as a'))).rows).toEqual([{ a: 1 }]);
  await network.down();
  const codes = await worker.pg(async (p) => {
    const seen = new Set<string>();
    for (let i = 0; i < 10; i++) await p.query('select 1').catch((error) => seen.add(error.code));
    return [...seen];
  });
  expect(codes).toContain('ECONNREFUSED');
  expect(codes).toContain('ERR_POOL_UNAVAILABLE');
  expect(pool.pool.getState()).toBe('inactive');
  await network.up();
  const rows = await until(() =>
    worker.pg((p) =>
      p.query('select 2 as a').then(
        ({ rows: found }) => found,
        () => undefined,
      ),
    ),
  );
  expect(rows).toEqual([{ a: 2 }]);
  await until(async () => {
    await pool.query('select 1');
    return pool.pool.getState() === 'active';
  });
});

test('what a dead thread left running is cancelled; its transaction is rolled back', async () => {
  const pool = await open({ max: 2 });
  await ask('create table if not exists orphans (id int)');
  const worker = await join(pool);
  void worker
    .pg((p) =>
      Promise.all([
        p.query('select pg_sleep(600)'),
        p.transaction(async (tx) => {
          await tx.query('insert into orphans values (1)');
          await tx.query('select pg_sleep(600)');
        }),
      ]),
    )
    .catch(() => {});
  await until(async () => (await running(pool.pool.name)) === 2);
  await worker.terminate();
  await until(async () => (await running(pool.pool.name)) === 0);
  expect(await ask('select * from orphans')).toEqual([]);
  expect((await Promise.all([pool.query('select 1 as a'), pool.query('select 1 as a')])).map(({ rows }) => rows[0].a)).toEqual([1, 1]);
});

test.each([0, 1])('with orphans kept, what a dead thread left open is closed all the same: min %i', async (min) => {
  // On the connection's own socket nothing would be known of what the thread was at: see own-socket.test.ts.
  const pool = await open({ min, max: 1, orphans: 'release', lend: 'relayed' });
  const worker = await join(pool);
  await worker.pg(async (p) => {
    const client = await p.connect();
    await client.query('begin');
    await client.query(`set my.own = 'x'`);
  });
  const [{ pid }] = await ask('select pid from pg_stat_activity where application_name = $1', [pool.pool.name]);
  await worker.terminate();
  await until(async () => (await ask('select state from pg_stat_activity where pid = $1', [pid]))[0].state === 'idle');
  const { rows } = await pool.query(`select pg_backend_pid() as pid, current_setting('my.own', true) as own`);
  expect(rows[0].pid).toBe(pid);
  expect(rows[0].own || null).toBe(null);
});

test('the server never sees more than max, whatever breaks', async () => {
  const pool = await open({ max: 2 });
  const workers = [await join(pool), await join(pool)];
  let over = false;
  let most = 0;
  const watching = (async () => {
    while (!over) {
      most = Math.max(most, await connections(pool.pool.name));
      await sleep(1);
    }
  })();
  await Promise.all(
    workers.map((worker) =>
      worker.pg(async (p) => {
        for (let i = 0; i < 15; i++) {
          const client = await p.connect();
          if (i % 3 === 0) await client.query('select pg_terminate_backend(pg_backend_pid())').catch(() => {});
          else await client.query('select 1');
          client.release(i % 3 === 1);
        }
      }),
    ),
  );
  over = true;
  await watching;
  expect(most).toBeLessThanOrEqual(2);
});

test.each([
  ['destroyed', async (client: PgClient) => client.release(true)],
  [
    'killed while it is idle',
    async (client: PgClient) => {
      client.release();
      await ask('select pg_terminate_backend($1)', [client.processID]);
    },
  ],
])('when a connection that was %s is said to be removed, its backend is gone on the server', async (_, end) => {
  const pool = await open({ max: 1 });
  const left: number[] = [];
  for (let i = 0; i < 20; i++) {
    const client = await pool.connect();
    const removed = new Promise((resolve) => pool.once('remove', resolve));
    await end(client);
    await settled(removed);
    left.push(await connections(pool.pool.name));
  }
  expect(left).toEqual(Array(20).fill(0));
});

test('no server, a wrong password, a failing onConnect: the error says so, and nothing is left open', async () => {
  const { url } = await postgres();
  const broken = await open({ settings: { connectionString: undefined, host: '/nowhere', port: 1 } });
  expect(await rejection(broken.query('select 1'))).toMatchObject({ code: 'ENOENT' });
  const wrong = await open({ settings: { connectionString: url.replace(/:[0-9a-f]+@/, ':nonsense@') } });
  expect(await rejection(wrong.query('select 1'))).toMatchObject({ code: '28P01' });
  const picky = await open({
    onConnect: () => {
      throw new Error('not today');
    },
  });
  expect(((await failureOf(() => picky.query('select 1'))) as Error).message).toBe('not today');
  // What Node says of a host with several addresses, none of which answers.
  const nowhere = Object.assign(new AggregateError([new Error('not ::1'), new Error('not 127.0.0.1')]), { code: 'ECONNREFUSED' });
  expect(withoutSecrets(nowhere, [])).toMatchObject({ code: 'ECONNREFUSED', message: 'not ::1; not 127.0.0.1' });
  const ended = await open({ onConnect: (client) => client.end() });
  expect(await rejection(ended.query('select 1'))).toMatchObject({ message: 'Connection terminated' });
  for (const pool of [broken, wrong, picky, ended]) {
    await until(async () => (await connections(pool.pool.name)) === 0);
    await until(() => pool.totalCount === 0);
  }
});

test('a connection that is lost while it is made is had by nobody', async () => {
  let made = 0;
  const pool = await open({
    max: 1,
    onConnect: async (client) => {
      if (++made > 1) return;
      const ended = new Promise((resolve) => client.once('end', resolve));
      await ask('select pg_terminate_backend($1)', [(client as unknown as { processID: number }).processID]);
      await ended;
    },
  });
  expect(await rejection(pool.query('select 1'))).toMatchObject({ code: '57P01' });
  expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
});

test('nor one that is lost while others of `min` are made', async () => {
  const pids: number[] = [];
  const pool = await open({
    min: 2,
    max: 2,
    onConnect: async (client) => {
      pids.push((client as unknown as { processID: number }).processID);
      if (pids.length !== 2) return;
      // The other one is through by then.
      await until(async () => (await ask(`select from pg_stat_activity where pid = $1 and state = 'idle'`, [pids[0]])).length === 1);
      await client.query('select pg_terminate_backend($1, 10000)', [pids[0]]);
    },
  });
  const rows = await Promise.all([1, 2, 3, 4].map((a) => pool.query('select $1::int as a, pg_sleep(0.05)', [a])));
  expect(rows.map((result) => result.rows[0].a)).toEqual([1, 2, 3, 4]);
});

test('a query that cannot be cancelled, as there is no way to the server any more, is waited for', async () => {
  const file = path(mkdtempSync(path(tmpdir(), 'cenote-')), 'root.crt');
  onTestFinished(() => rmSync(dirname(file), { recursive: true }));
  writeFileSync(file, '');
  const { url } = await postgres();
  // The driver reads the file for each connection.
  const pool = await open({ max: 1, settings: { connectionString: `${url}&sslrootcert=${encodeURIComponent(file)}` } });
  const client = await pool.connect();
  client.release();
  rmSync(file);
  const abort = new AbortController();
  const reason = rejection(
    pool.transaction(
      async (tx) => {
        const sleeping = tx.query('select pg_sleep(0.3)');
        abort.abort(new Error('enough'));
        await sleeping;
      },
      { signal: abort.signal },
    ),
  );
  expect(await reason).toMatchObject({ message: 'enough' });
  const { rows } = await settled(pool.query('select pg_backend_pid() as pid'));
  expect(rows).toEqual([{ pid: client.processID }]);
});

test('a connection that is given up before it was finished leaves nothing running on the server', async () => {
  const slow = async (client: { query(text: string): Promise<unknown> }) => void (await client.query('select pg_sleep(600)'));
  const late = await open({ max: 1, createTimeout: 200, onConnect: slow });
  expect(await rejection(late.query('select 1'))).toMatchObject({ code: 'ERR_POOL_CREATE_TIMEOUT' });
  const failing = await open({
    max: 1,
    onConnect: async (client) => {
      const sleeping = slow(client);
      sleeping.catch(() => {});
      await until(async () => (await running(failing.pool.name)) === 1);
      throw new Error('not today');
    },
  });
  expect(await rejection(failing.query('select 1'))).toMatchObject({ message: 'not today' });
  await until(async () => (await connections(failing.pool.name)) === 0);
  await until(async () => (await connections(late.pool.name)) === 0);
});

test('events of the owner’s pool, as in pg', async () => {
  const pool = await open({ max: 1 });
  const heard: unknown[] = [];
  for (const event of ['connect', 'acquire', 'remove']) pool.on(event, (client) => heard.push(event, typeof client.processID));
  pool.on('release', (error, client) => heard.push('release', error, typeof client.processID));
  await pool.query('select 1');
  (await pool.connect()).release(true);
  await until(() => heard.includes('remove'));
  expect(heard).toEqual([
    ...['connect', 'number', 'acquire', 'number', 'release', undefined, 'number'],
    ...['acquire', 'number', 'release', expect.any(Error), 'number', 'remove', 'number'],
  ]);
});
