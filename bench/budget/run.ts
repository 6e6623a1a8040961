/**
 * * `npm run bench:budget`: what a borrow costs with a budget, without one, and with what a program would write by hand for one cap over
 * processes: an advisory lock of PostgreSQL for each acquire, or redis-semaphore where there is a redis-server. All in one run, in turns;
 * medians.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool } from 'cenote';
import { createBudget, postgresBudget } from 'cenote/budget';
import { Redis } from 'ioredis';
import pg from 'pg';
import { Semaphore } from 'redis-semaphore';
import { startPostgres } from '../../examples/demo/postgres.ts';

const ROUNDS = 15;
/** Of one way in one round, in ms. */
const SLICE = 200;
const LIMIT = 10;
const TTL = 3000;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Borrows and returns in `SLICE` ms, per second. `batch`: as many between two looks at the clock. */
async function pace(batch: number, borrow: () => Promise<void>): Promise<number> {
  const started = performance.now();
  let count = 0;
  for (; performance.now() - started < SLICE; count += batch) for (let i = 0; i < batch; i++) await borrow();
  return (count / (performance.now() - started)) * 1000;
}

const server = await startPostgres();
const client = new pg.Client({ connectionString: server.url });
await client.connect();
const budget = await createBudget({ engine: postgresBudget({ connection: server.url }), key: 'bench', limit: LIMIT, ttl: TTL });
const factory = (): object => ({});
const capped = await createPool({ factory, max: LIMIT, budget });
const plain = await createPool({ factory, max: LIMIT });

const ways = new Map<string, () => Promise<number>>();
const of = (pool: typeof plain) => () => pace(1000, async () => pool.release(await pool.acquire()));
ways.set('without a budget', of(plain));
ways.set('with a budget', of(capped));
ways.set('advisory lock for each', () =>
  pace(1, async () => {
    for (let n = 1; ; n = (n % LIMIT) + 1)
      if ((await client.query('select pg_try_advisory_lock(4711, $1) as got', [n])).rows[0].got) {
        await client.query('select pg_advisory_unlock(4711, $1)', [n]);
        return;
      }
  }),
);

let stopRedis = (): void => {};
try {
  execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
  const folder = mkdtempSync(join(tmpdir(), 'cenote-bench-'));
  const socket = join(folder, 'redis.sock');
  const child = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder], { stdio: 'ignore' });
  const redis = new Redis(socket, { retryStrategy: () => 50 });
  redis.on('error', () => {});
  await redis.ping();
  const semaphore = new Semaphore(redis, 'bench', LIMIT);
  ways.set('redis-semaphore for each', () =>
    pace(1, async () => {
      await semaphore.acquire();
      await semaphore.release();
    }),
  );
  stopRedis = () => {
    redis.disconnect();
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
} catch {
  console.log('redis-server is not installed: without redis-semaphore');
}

const paces = new Map([...ways.keys()].map((name) => [name, [] as number[]]));
for (let round = -1; round < ROUNDS; round++)
  for (const name of round % 2 === 0 ? ways.keys() : [...ways.keys()].reverse()) {
    const found = await ways.get(name)!();
    // The first round warms up.
    if (round >= 0) paces.get(name)!.push(found);
  }
const [withIt, without] = [paces.get('with a budget')!, paces.get('without a budget')!];
for (const [name, found] of paces) console.log(`${name}: ${Math.round(median(found)).toLocaleString('en')} borrows a second`);
console.log(`time with a budget over without: ${median(without.map((pace, round) => pace / withIt[round])).toFixed(3)} (at most 1.03)`);
for (const name of ['advisory lock for each', 'redis-semaphore for each']) {
  const found = paces.get(name);
  if (found !== undefined)
    console.log(`with a budget over ${name}: ${Math.round(median(withIt.map((pace, round) => pace / found[round])))} times (at least 100)`);
}

const seq = async (): Promise<number> =>
  Number((await client.query(`select seq from cenote_budget where key = 'bench' and id <> ''`)).rows[0].seq);
await new Promise((resolve) => setTimeout(resolve, 1500));
const before = await seq();
await new Promise((resolve) => setTimeout(resolve, 4 * TTL));
console.log(`steps at rest for each ttl: ${((await seq()) - before) / 4} (at most 3)`);

await Promise.all([capped.close(), plain.close()]);
await budget.close();
stopRedis();
await client.end();
await server.stop();
