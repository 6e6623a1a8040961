/** Clients of pgClient: what is plain and finds nothing open is asked without a connection of the client's own. No client can tell. */
import { pgClient } from 'cenote/pg';
import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { ask, join, open } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

beforeAll(async () => {
  await ask('create table seat_order (id serial, run text, n int unique)');
  await ask(`create function seat_notice() returns int language plpgsql as $$ begin raise notice 'from a function'; return 1; end $$`);
}, 120_000);

type Clients = typeof pg.Client;

/** Runs on whichever thread. Sees no variable of this file. */
const PROGRAMS = {
  order: async (Client: Clients, { Query }: typeof pg, run: string, first: number) => {
    const client = new Client();
    await client.connect();
    const insert = (n: number) => client.query('insert into seat_order (run, n) values ($1, $2)', [run, first + n]);
    // It takes its time, and another connection is idle.
    const slow = client.query('insert into seat_order (run, n) select $1, $2 from pg_sleep(0.1)', [run, first + 1]);
    const asked: Promise<unknown>[] = [slow, client.query('begin'), insert(2), client.query('savepoint s'), insert(3)];
    asked.push(client.query('commit'), insert(4));
    const submitted = new Promise((resolve, reject) => {
      const query = new Query(`insert into seat_order (run, n) values ('${run}', ${first + 5})`) as any;
      query.on('end', resolve).on('error', reject);
      client.query(query);
    });
    asked.push(submitted, insert(6), client.query(`set my.seat = 'x'`), client.query('select 1'), insert(7));
    await Promise.all(asked);
    const { rows } = await client.query("select current_setting('my.seat') as set");
    const { rows: all } = await client.query('select n from seat_order where run = $1 order by id', [run]);
    await client.end();
    return [rows[0].set, all.map(({ n }) => n - first)];
  },
  tells: async (Client: Clients) => {
    const client = new Client();
    await client.connect();
    const notices: unknown[] = [];
    client.on('notice', ({ message }) => notices.push(message));
    const before = (client as any).processID;
    const { rows } = await client.query('select seat_notice() as one, pg_backend_pid() as pid');
    const after = (client as any).processID;
    const error = await client.query('select 1 / 0').catch(({ code }) => code);
    await client.query("do $$ begin raise notice 'from a block'; end $$");
    const slow = client.query("select pg_sleep(0.05), 'through' as how");
    await client.end();
    return [notices, before, after === rows[0].pid, rows[0].one, error, (await slow).rows[0].how];
  },
  many: async (Client: Clients) => {
    const clients = Array.from({ length: 6 }, () => new Client());
    await Promise.all(clients.map((client) => client.connect()));
    await Promise.all(clients.map((client, n) => client.query("select set_config('my.seat', $1, false)", [n % 2 ? 'odd' : 'even'])));
    const seen = await Promise.all(
      clients.map(async (client) => {
        const all = new Set<string>();
        for (let n = 0; n < 10; n++) all.add((await client.query("select current_setting('my.seat') as set")).rows[0].set);
        return [...all].join();
      }),
    );
    await Promise.all(clients.map((client) => client.end()));
    return seen;
  },
};

const EXPECTED = {
  order: ['x', [1, 2, 3, 4, 5, 6, 7]],
  tells: [['from a function', 'from a block'], null, true, 1, '22012', 'through'],
  many: ['even', 'odd', 'even', 'odd', 'even', 'odd'],
};

let runs = 0;
describe.each(Object.keys(PROGRAMS) as (keyof typeof PROGRAMS)[])('%s', (name) => {
  test.each(['auto', 'relayed', 'remote'] as const)("on a worker, lend: '%s'", async (lend) => {
    const pool = await open({ max: 2, lend });
    const thread = await join(pool);
    const seen = await thread.pg(
      async (_, { load, handle }, code, run) => {
        const { pgClient: clientsOf } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
        const { default: driver } = (await load('pg')) as { default: typeof pg };
        return new Function(`return ${code}`)()(clientsOf(handle as never), driver, `run ${run}`, 100 * run);
      },
      String(PROGRAMS[name]),
      ++runs,
    );
    expect(seen).toEqual(EXPECTED[name]);
    await until(() => pool.pool.activeCount() === 0);
    expect(pool.pool.stats().waiting).toBe(0);
  });

  test('on the owner', async () => {
    const pool = await open({ max: 2 });
    const run = ++runs;
    expect(await PROGRAMS[name](pgClient(pool) as never, pg, `run ${run}`, 100 * run)).toEqual(EXPECTED[name]);
    await until(() => pool.pool.activeCount() === 0);
  });
});

test('clients of one thread share its place in the line: a transaction of another thread comes between their queries', async () => {
  const pool = await open({ max: 1, batch: 2 });
  const [many, one] = await Promise.all([join(pool), join(pool)]);
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const done = many.pg(async (_, { load, handle }, shared) => {
    const { pgClient: clientsOf } = (await load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
    const clients = Array.from({ length: 8 }, () => new (clientsOf(handle as never))());
    await Promise.all(clients.map((client) => client.connect()));
    let answers = 0;
    await Promise.all(
      clients.map(async (client) => {
        while (Atomics.load(shared, 0) < 2) {
          await client.query('select 1');
          if (++answers === 8) Atomics.store(shared, 0, 1);
        }
      }),
    );
    await Promise.all(clients.map((client) => client.end()));
    return answers;
  }, flag);
  await until(() => Atomics.load(flag, 0) === 1);
  expect(await one.pg((p) => p.transaction(async (tx) => (await tx.query('select 2 as n')).rows[0].n))).toBe(2);
  Atomics.store(flag, 0, 2);
  expect(await done).toBeGreaterThanOrEqual(8);
});
