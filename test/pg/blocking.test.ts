/** What a query that blocks its thread does when its time is over. */
import { beforeAll, expect, test } from 'vitest';
import { ask, connections, join, open, postgres } from '../support/postgres.ts';
import { BOUND, settled, spinUntil, until } from '../support/wait.ts';

beforeAll(() => postgres() as Promise<unknown>, 120_000);

const asleep = async (name: string): Promise<number> =>
  (
    await ask(
      `select count(*)::int as n from pg_stat_activity where application_name = $1 and state = 'active' and query like '%pg_sleep%'`,
      [name],
    )
  )[0].n;

test('querySync ends at its timeout: the query is cancelled, and its connection goes to nobody', async () => {
  const pool = await open({ max: 1 });
  const before = (await pool.query('select pg_backend_pid() as pid')).rows[0].pid;
  const worker = await join(pool);
  const seen = await settled(
    worker.pg((remote) => {
      const started = performance.now();
      try {
        return [remote.querySync('select pg_sleep(60)', [], { timeout: 1000 }).rows];
      } catch (error) {
        return [(error as { code: string }).code, performance.now() - started];
      }
    }),
  );
  expect(seen).toEqual(['ERR_POOL_CALL_TIMEOUT', expect.any(Number)]);
  expect(seen[1]).toBeGreaterThanOrEqual(1000);
  const after = (await settled(pool.query('select pg_backend_pid() as pid'))).rows[0].pid;
  expect(after).not.toBe(before);
  await until(async () => (await asleep(pool.pool.name)) === 0);
  expect(await settled(worker.pg((remote) => remote.querySync('select 1 as a', [], { timeout: 60_000 }).rows))).toEqual([{ a: 1 }]);
  await until(async () => (await connections(pool.pool.name)) === 1);
});

test('in a transaction it takes that along: nothing of it is committed, nothing of it goes on elsewhere', async () => {
  await ask('create table late (id int)');
  const pool = await open({ max: 2 });
  const worker = await join(pool);
  const seen = await settled(
    worker.pg(async (remote) => {
      const seen: unknown[] = [];
      const told = await remote
        .transaction(async (tx) => {
          await tx.query('insert into late values (1)');
          try {
            remote.querySync('select pg_sleep(60)', [], { timeout: 300 });
          } catch (error) {
            seen.push((error as { code: string }).code);
          }
          for (const target of [remote, tx])
            seen.push(await target.query('insert into late values (2)').then(String, (error) => error.name));
        })
        .then(String, (error) => error.name);
      return [...seen, told];
    }),
  );
  expect(seen[0]).toBe('ERR_POOL_CALL_TIMEOUT');
  for (const name of seen.slice(1)) expect(name).toMatch(/Error/);
  expect(await ask('select id from late')).toEqual([]);
  await until(async () => (await asleep(pool.pool.name)) === 0);
  await until(() => pool.pool.activeCount() === 0);
});

test('transactionSync with a timeout has it for all of its statements', async () => {
  await ask('create table slow (id int)');
  const pool = await open({ max: 1 });
  // The timeout is for the connection, too, and is not to be over while that is made.
  await pool.query('select 1');
  const worker = await join(pool);
  const seen = await settled(
    worker.pg((remote) => {
      const heard: unknown[] = [];
      const note = (body: () => unknown) => {
        try {
          heard.push(body());
        } catch (error) {
          heard.push((error as { code?: string }).code ?? (error as Error).name);
        }
      };
      note(() =>
        remote.transactionSync(
          (tx) => {
            tx.query('insert into slow values (1)');
            note(() => tx.query('select pg_sleep(60)'));
            note(() => remote.querySync('insert into slow values (2)'));
            return 'committed';
          },
          { timeout: 2000 },
        ),
      );
      note(() => remote.querySync('select count(*)::int as n from slow', [], { timeout: 60_000 }).rows[0].n);
      note(() => remote.transactionSync((tx) => tx.query('insert into slow values (3)').rowCount, { timeout: 60_000 }));
      note(() => remote.querySync('select 1', [], { timeout: -1 }));
      note(() => remote.transactionSync(() => 1, { timeout: 'soon' as never }));
      return heard;
    }),
  );
  expect(seen[0]).toBe('ERR_POOL_CALL_TIMEOUT');
  expect(seen.slice(1)).toEqual([expect.stringMatching(/\w/), expect.stringMatching(/\w/), 0, 1, 'RangeError', 'TypeError']);
  expect(await ask('select id from slow')).toEqual([{ id: 3 }]);
  await until(async () => (await asleep(pool.pool.name)) === 0);
});

test('timeout and signal of what does not block hold while the owner is busy, and what they have ended leaves nothing', async () => {
  await ask('create table busy (id int)');
  const pool = await open({ max: 2, acquireTimeout: 300 });
  // The pool's 300 ms are for the worker's query: how long connections take to be made depends on the machine.
  const two = () => Promise.all([pool.connect({ timeout: BOUND }), pool.connect({ timeout: BOUND })]);
  for (const client of await two()) client.release();
  const worker = await join(pool);
  const done = worker.pg(async (remote, { flags }) => {
    while (Atomics.load(flags, 0) === 0);
    const fate = (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => 'done',
        (error) => error.code ?? error.message ?? error,
      );
    const signal = (): AbortSignal => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error('enough')), 50);
      return controller.signal;
    };
    const insert = (tx: { query(text: string): Promise<unknown> }) => tx.query('insert into busy values (1)');
    const seen = [
      await fate(remote.query('insert into busy values (1)')),
      await fate(remote.connect({ timeout: 50 })),
      await fate(remote.transaction(insert, { timeout: 50 })),
      await fate(remote.connect({ signal: signal() })),
      await fate(remote.transaction(insert, { signal: signal() })),
      await fate(remote.scope(() => remote.transaction(insert, { timeout: 50 }))),
    ];
    Atomics.store(flags, 1, 1);
    return seen;
  });
  worker.raise(0);
  expect(spinUntil(worker.flags, 1), 'settled while the owner was busy').toBe(true);
  const late = 'ERR_POOL_ACQUIRE_TIMEOUT';
  expect(await settled(done)).toEqual([late, late, late, 'enough', 'enough', late]);
  await until(() => pool.pool.activeCount() === 0 && pool.waitingCount === 0);
  expect(await ask('select id from busy')).toEqual([]);
  for (const client of await two()) {
    expect((await client.query('select 1')).rows).toHaveLength(1);
    expect(client.getTransactionStatus()).toBe('I');
    client.release();
  }
});

test('a blocking query ends at its timeout though the owner is busy', async () => {
  const pool = await open({ max: 1 });
  await pool.query('select 1');
  const worker = await join(pool);
  const done = worker.pg((remote, { flags }) => {
    while (Atomics.load(flags, 0) === 0);
    try {
      return remote.querySync('create table never_made ()', [], { timeout: 50 }).command;
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      Atomics.store(flags, 1, 1);
    }
  });
  worker.raise(0);
  expect(spinUntil(worker.flags, 1), 'it ended while the owner was busy').toBe(true);
  expect(await settled(done)).toBe('ERR_POOL_CALL_TIMEOUT');
  expect((await settled(pool.query('select 2 as a'))).rows).toEqual([{ a: 2 }]);
});

test.each(['auto', 'relayed', 'remote'] as const)('what takes long elsewhere keeps no other query from blocking: %s', async (lend) => {
  await ask('drop table if exists locked; create table locked (n int); insert into locked values (0)');
  const pool = await open({ max: 4, lend });
  const worker = await join(pool);
  const seen = await settled(
    worker.pg(async (remote) => {
      const client = await remote.connect();
      await client.query('begin');
      await client.query('update locked set n = n + 1');
      // It waits for the lock of the client, which this thread cannot give up while it blocks.
      const waits = remote.query('update locked set n = n + 1 returning n');
      const seen = [
        remote.querySync('select 1 as n', [], { timeout: 60_000 }).rows[0].n,
        remote.querySync('select 2 as n').rows[0].n,
        remote.transactionSync((tx) => tx.query('select 3 as n').rows[0].n),
      ];
      await client.query('commit');
      client.release();
      return [...seen, (await waits).rows[0].n];
    }),
  );
  expect(seen).toEqual([1, 2, 3, 2]);
  await until(() => pool.pool.activeCount() === 0);
});

test('its time is over while what the thread has asked before goes on', async () => {
  const pool = await open({ max: 1, lend: 'auto' });
  const worker = await join(pool);
  const [code, n] = await settled(
    worker.pg(async (remote) => {
      await remote.query('select 1');
      const before = remote.query('select pg_sleep(1), 1 as n');
      let code: unknown;
      try {
        remote.querySync('select 2 as n', [], { timeout: 20 });
      } catch (error) {
        code = (error as { code: string }).code;
      }
      return [code, (await before).rows[0].n];
    }),
  );
  expect([code, n]).toEqual([expect.stringMatching(/^ERR_POOL_(CALL|ACQUIRE)_TIMEOUT$/), 1]);
});
