/** The server itself is shut down, and started again with the same data: the pool opens its breaker, and comes back by itself, on every thread. */
import { consecutiveFailures } from 'cenote';
import { expect, test } from 'vitest';
import { ask, connections, join, open, postgres } from '../support/postgres.ts';
import { settled, until } from '../support/wait.ts';

/** What trying looks like to a thread: codes while the server is gone. */
const CLEAR = ['57P01', '57P03', 'ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ERR_POOL_UNAVAILABLE'];

test('a restarted server: clear errors meanwhile, an open breaker, and everybody is served afterwards', async () => {
  const server = await postgres();
  const pool = await open({ max: 3, circuitBreaker: consecutiveFailures({ threshold: 3, resetTimeout: 1000 }) });
  pool.on('error', () => {});
  const threads = [await join(pool), await join(pool)];
  await pool.query('create table kept as select 42 as n');
  // Under way when it happens: in a query, in a transaction, in a loop, and idle in a client.
  const broken = threads.map((thread) =>
    thread.pg(async (p) => {
      const outcomes = await Promise.allSettled([
        p.query('select pg_sleep(600)'),
        p.transaction(async (tx) => {
          await tx.query('update kept set n = 0');
          await tx.query('select pg_sleep(600)');
        }),
      ]);
      return outcomes.map((outcome) => (outcome.status === 'rejected' ? (outcome.reason.code ?? outcome.reason.message) : 'done'));
    }),
  );
  await until(
    async () => (await ask(`select from pg_stat_activity where application_name = $1 and state = 'active'`, [pool.pool.name])).length === 3,
  );
  await server.down();
  const codes = new Set((await settled(Promise.all(broken))).flat());
  for (const thread of threads)
    for (const code of await thread.pg(async (p) => {
      const met: unknown[] = [];
      for (let i = 0; i < 6; i++) await p.query('select 1').catch((error) => met.push(error.code ?? error.message));
      met.push(
        await Promise.resolve()
          .then(() => p.querySync('select 1'))
          .catch((error) => error.code ?? error.message),
      );
      return met;
    }))
      codes.add(code);
  expect([...codes].filter((code) => !CLEAR.includes(String(code)))).toEqual([]);
  expect(codes).toContain('ERR_POOL_UNAVAILABLE');
  // It may be probing just now.
  await until(() => pool.pool.getState() === 'inactive');

  await server.up();
  for (const thread of threads)
    await until(() =>
      thread.pg(async (p) => {
        const ways = [(await p.query('select n from kept')).rows[0].n, p.querySync('select n from kept').rows[0].n];
        return ways.every((n) => n === 42);
      }),
    );
  await until(() => pool.pool.getState() === 'active');
  expect((await pool.query('select n from kept')).rows).toEqual([{ n: 42 }]);
  expect(await connections(pool.pool.name)).toBeLessThanOrEqual(3);
});
