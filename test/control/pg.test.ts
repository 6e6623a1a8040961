/** A pool of PostgreSQL connections is steered: what the server itself says of it. */
import { beforeAll, expect, test } from 'vitest';
import { receiveError, sendOwnError } from '../../src/pg/messages/database-error.ts';
import { LeaseRevokedError } from '../../src/shared/errors.ts';
import { ask, connections, join, newName, on, open, postgres, WHERE } from '../support/postgres.ts';
import { rejection, settled, until } from '../support/wait.ts';

beforeAll(() => postgres() as Promise<unknown>, 120_000);

test('a worker asleep in a query that takes too long is free, and the next borrower has its connection', async () => {
  const pool = await open({ max: 1, maxHold: { revokeAfter: 2500 } });
  const worker = await join(pool);
  const sleeping = worker.pg((remote) => {
    const started = performance.now();
    try {
      return [remote.querySync('select pg_sleep(60)').rows];
    } catch (error) {
      return [(error as Error).name, (error as { code: string }).code, performance.now() - started];
    }
  });
  await until(() => pool.pool.activeCount() === 1);
  const next = settled(pool.query('select pg_backend_pid() as pid'));
  const [name, code, took] = (await settled(sleeping)) as [string, string, number];
  expect([name, code]).toEqual(['LeaseRevokedError', 'ERR_POOL_LEASE_REVOKED']);
  expect(took).toBeGreaterThanOrEqual(2500);
  expect((await next).rows.length).toBe(1);
  await until(async () => (await connections(pool.pool.name)) === 1);
});

test.each(WHERE)('cancelled on %s, a transaction can be rolled back, and its connection is reused clean', async (where) => {
  const pool = await open({ max: 1, maxHold: { cancelAfter: 2500 } });
  const { pid } = (await pool.query('select pg_backend_pid() as pid')).rows[0];
  const run = await on(where, pool);
  const seen = await settled(
    run(async (remote) => {
      const client = await remote.connect();
      await client.query('begin');
      await client.query("set local application_name = 'dirty'");
      const code = await client.query('select pg_sleep(60)').catch((error: { code: string }) => error.code);
      await client.query('rollback');
      client.release();
      return code;
    }),
  );
  expect(seen).toBe('57014');
  const after = (await pool.query("select pg_backend_pid() as pid, current_setting('application_name') as name")).rows[0];
  expect(after).toEqual({ pid, name: pool.pool.name });
  expect(pool.pool.stats()).toMatchObject({ cancelled: 1, revoked: 0 });
});

test.each(WHERE)('taken back on %s, a transaction is gone within a second, its locks too', async (where) => {
  const table = `held_${where === 'a worker' ? 'there' : 'here'}`;
  await ask(`create table ${table} (id int)`);
  const pool = await open({ max: 1 });
  const run = await on(where, pool);
  const seen = await settled(
    run(async (remote, _, table) => {
      const name = (error: { name: string }): string => error.name;
      return remote
        .transaction(
          async (tx) => {
            await tx.query(`insert into ${table} values (1)`);
            await tx.query(`lock table ${table} in access exclusive mode`);
            // An owner that is late takes it back later.
            for (;;) {
              await new Promise((resolve) => setTimeout(resolve, 1500));
              const said = await tx.query('select 1').then(() => 'served', name);
              if (said !== 'served') return said;
            }
          },
          { maxHold: 300 },
        )
        .catch(name);
    }, table),
  );
  expect(String(seen)).toBe('LeaseRevokedError');
  await until(async () => (await ask('select count(*)::int as n from pg_locks where relation = $1::regclass', [table]))[0].n === 0);
  expect(await ask(`select * from ${table}`)).toEqual([]);
  expect(pool.pool.stats().revoked).toBe(1);
  expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }]);
});

test('what is told by the answer to a query is the same error, on every thread, as what is told by the pool', () => {
  const revoked = new LeaseRevokedError('taken back', 'the pool');
  const received = receiveError(structuredClone(sendOwnError(revoked)));
  expect(received).toBeInstanceOf(LeaseRevokedError);
  expect(received).toMatchObject({ name: 'LeaseRevokedError', message: 'taken back', code: 'ERR_POOL_LEASE_REVOKED', pool: 'the pool' });
});

test('a blocking transaction is taken back while its query runs', async () => {
  const pool = await open({ max: 1 });
  const worker = await join(pool);
  const seen = await settled(
    worker.pg((remote) => {
      try {
        return remote.transactionSync((tx) => tx.query('select pg_sleep(60)').rows, { maxHold: 300 });
      } catch (error) {
        return (error as Error).name;
      }
    }),
  );
  expect(seen).toBe('LeaseRevokedError');
  expect(await settled(worker.pg((remote) => remote.querySync('select 1 as a').rows))).toEqual([{ a: 1 }]);
});

test('suspended until it is empty, the server has no connection of it; recycled, it has others', async () => {
  const name = newName();
  const pool = await open({ name, min: 2, max: 3 });
  const pids = async (): Promise<number[]> =>
    (await ask('select pid from pg_stat_activity where application_name = $1', [name])).map(({ pid }) => pid);
  const before = await pids();
  expect(before.length).toBe(2);
  expect(await settled(pool.pool.recycle())).toBe(2);
  await until(async () => (await pids()).length === 2);
  expect((await pids()).filter((pid) => before.includes(pid))).toEqual([]);
  const suspension = await settled(pool.pool.suspend({ label: 'restart', until: 'empty' }));
  expect(await connections(name)).toBe(0);
  const waiting = pool.query('select 1 as a');
  expect(await rejection(pool.pool.acquire({ timeout: 20 }))).toMatchObject({
    message: expect.stringContaining('"restart"'),
  });
  suspension.resume();
  expect((await settled(waiting)).rows).toEqual([{ a: 1 }]);
});

test('its own cancel and abort are not to be given', async () => {
  for (const option of ['cancel', 'abort'])
    expect(await rejection(open({ [option]: () => {} } as never))).toMatchObject({
      message: expect.stringContaining(`${option} is not an option of createPgPool`),
    });
});
