/**
 * `npm run bench:control [-- ROUNDS]`: a worker sleeps in `querySync('select pg_sleep(60)')` on the only connection of a pool with `revokeAfter: 500`. After how long is it
 * free, and after how long has the next in line its answer? In milliseconds from when the worker's query was sent; medians and the longest. The owner is
 * idle: what it is blocked comes on top, as does what the machine is busy with other things.
 */
import { createPgPool } from 'cenote/pg';
import { attachPgPool } from 'cenote/pg/worker';
import { startPostgres } from '../../examples/demo/postgres.ts';
import { withThreads } from '../frame/thread.ts';

const ROUNDS = Number(process.argv[2] ?? 7);
const REVOKE_AFTER = 500;
/** What the issue of a stuck job asks for. */
const GOAL = 600;

/** On the worker. Gives when it slept and when it was free, by the clock that all threads share. */
export async function sleepOn(handle: Parameters<typeof attachPgPool>[0]): Promise<{ from: number; free: number; code: unknown }> {
  const pool = await attachPgPool(handle);
  pool.querySync('select 1');
  const from = performance.timeOrigin + performance.now();
  let code: unknown;
  try {
    pool.querySync('select pg_sleep(60)');
  } catch (error) {
    code = (error as { code?: unknown }).code;
  }
  const free = performance.timeOrigin + performance.now();
  await pool.end();
  return { from, free, code };
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];
const row = (name: string, values: readonly number[]): void =>
  console.log(`${name}: median ${median(values).toFixed(0)} ms, longest ${Math.max(...values).toFixed(0)} ms`);

async function main(): Promise<void> {
  const server = await startPostgres();
  const free: number[] = [];
  const answered: number[] = [];
  for (let round = 0; round < ROUNDS; round++)
    await withThreads(1, async ([thread]) => {
      const pool = await createPgPool({ connection: server.url, max: 1, maxHold: { revokeAfter: REVOKE_AFTER } });
      const sleeping = thread.run<Awaited<ReturnType<typeof sleepOn>>>(import.meta.url, 'sleepOn', [pool.handle]);
      // Not before it has the connection, and asks for more than that one row.
      while (pool.pool.stats().acquired < 2) await new Promise((resolve) => setTimeout(resolve, 1));
      await pool.query('select 1');
      const next = performance.timeOrigin + performance.now();
      const slept = await sleeping;
      if (slept.code !== 'ERR_POOL_LEASE_REVOKED') throw new Error(`the worker was told ${slept.code}`);
      free.push(slept.free - slept.from);
      answered.push(next - slept.from);
      await pool.end();
    });
  await server.stop();
  console.log(`a worker asleep in a query, revokeAfter: ${REVOKE_AFTER}, ${ROUNDS} rounds (goal: free within ${GOAL} ms)`);
  row('the worker is free', free);
  row('the next in line has its answer, on a new connection', answered);
}

if (process.argv[1] === new URL(import.meta.url).pathname) await main();
