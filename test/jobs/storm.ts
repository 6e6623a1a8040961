/**
 * Many jobs that borrow from PostgreSQL and from a pool of other things on four threads. A third of them is cancelled at some moment, some do not end and cost their
 * thread, some end it themselves; threads are replaced when they have done a hundred jobs, and all of them now and then. At every look the counts of the runner add up
 * and no pool has more out than it may have; nothing is lent to two. In the end every promise has settled, both pools are whole, and the server has no session in a
 * transaction. `npm run soak:jobs -- --jobs 10000 --seed 1`.
 */
import { parseArgs } from 'node:util';
import { createPool } from 'cenote';
import { JobRunner } from 'cenote/jobs';
import { createPgPool } from 'cenote/pg';
import pg from 'pg';
import { startPostgres } from '../../examples/demo/postgres.ts';

export interface StormSettings {
  readonly jobs: number;
  readonly seed: number;
  /** Of a server. */
  readonly url: string;
  say?(line: string): void;
}

const THREADS = 4;
const CONNECTIONS = 3;
const THINGS = 2;
/** Jobs between two reloads. */
const RELOAD = 400;
/** Jobs in flight. */
const LANES = 16;
const NAME = 'cenote-storm';

/** How a job behaves, and how many in a hundred do so. */
const KINDS = [
  ['query', 30],
  ['borrows', 10],
  ['transaction', 15],
  ['transactionSync', 10],
  ['forgets', 10],
  ['spins', 8],
  ['sleeps', 8],
  ['throws', 6],
  ['deaf', 2],
  ['exits', 1],
] as const;

/** mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

export async function storm({ jobs, seed, url, say = () => {} }: StormSettings): Promise<void> {
  const random = randomFrom(seed);
  const db = await createPgPool({ connection: { connectionString: url, application_name: NAME }, max: CONNECTIONS });
  const problems: string[] = [];
  const expect = (isTrue: boolean, what: string): void => {
    if (!isTrue && problems.length < 20) problems.push(what);
  };
  const things = await createPool({
    max: THINGS,
    factory: () => {
      let users = 0;
      return {
        async work(ms: number): Promise<number> {
          expect(++users === 1, `${users} use one thing at once`);
          await new Promise((resolve) => setTimeout(resolve, ms));
          users--;
          return ms;
        },
      };
    },
  });
  const leaks: unknown[] = [];
  db.pool.on('leak', ({ job }: { job?: unknown }) => leaks.push(job));
  await db.query('create table if not exists storm (job int)');
  const runner = new JobRunner({
    filename: new URL('./storm-job.js', import.meta.url),
    pools: { db, things },
    maxThreads: THREADS,
    minThreads: THREADS,
    grace: 100,
    recycleAfter: { jobs: 100 },
    execArgv: [],
  });
  runner.on('error', (error) => expect(false, `an 'error' event: ${error}`));
  const whole = (): void => {
    const { submitted, waiting, running, completed, failed, cancelled, lost } = runner.stats();
    expect(
      submitted === waiting + running + completed + failed + cancelled + lost && running <= THREADS,
      `the counts are not whole: ${JSON.stringify(runner.stats())}`,
    );
    for (const [pool, max] of [[db.pool, CONNECTIONS] as const, [things, THINGS] as const]) {
      // The releases first: other threads borrow and give back between the reads of two counters.
      const { released } = pool.stats();
      const { active, idle, acquired } = pool.stats();
      expect(active <= max && idle <= max && released <= acquired, `a pool is not whole: ${JSON.stringify(pool.stats())}`);
    }
  };
  runner.on('thread', whole);
  const watch = setInterval(whole, 5);
  const results = { values: 0, cancelled: 0, lost: 0, thrown: 0, late: 0 };

  const one = async (number: number): Promise<void> => {
    let at = random() * 100;
    const [kind] = KINDS.find(([, share]) => (at -= share) < 0) ?? KINDS[0];
    const abort = new AbortController();
    const reason = new Error(`reason ${number}`);
    const isCancelled = random() < 1 / 3;
    if (isCancelled) setTimeout(() => abort.abort(reason), random() * 60);
    try {
      await runner.run(
        { kind, number, ms: Math.ceil(random() * 20) },
        {
          signal: abort.signal,
          name: `${kind} ${number}`,
          ...(kind === 'deaf' ? { timeout: 10 } : {}),
        },
      );
      results.values++;
      expect(kind !== 'throws' && kind !== 'exits' && kind !== 'deaf', `a job that ${kind} gave a value`);
    } catch (error) {
      const { code } = error as { code?: string };
      if (error === reason) results.cancelled++;
      else if (code === 'ERR_JOB_LOST') results.lost++;
      else if (code === 'ERR_JOB_TIMEOUT' && kind === 'deaf') results.late++;
      else if ((error as Error).message === `thrown by ${number}`) results.thrown++;
      else expect(false, `${kind} ${number}: ${error}`);
      expect(error !== reason || isCancelled, `${kind} ${number} has a reason that nobody gave`);
    }
  };

  const began = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < jobs) {
      const number = next++;
      await one(number);
      whole();
      if ((number + 1) % RELOAD === 0) await runner.reload();
      if ((number + 1) % 1000 === 0)
        say(`${number + 1} of ${jobs} jobs, ${((performance.now() - began) / 1000).toFixed(0)} s: ${JSON.stringify(results)}`);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  clearInterval(watch);
  whole();
  const stats = runner.stats();
  expect(stats.waiting === 0 && stats.running === 0, 'something waits or runs');
  expect(Object.values(results).reduce((sum, count) => sum + count) === jobs, 'a promise has not settled');
  await runner.close();
  expect(runner.stats().threads === 0, 'a thread is left');

  const observer = new pg.Client({ connectionString: url });
  await observer.connect();
  try {
    let left: unknown[] = [];
    // The pools hear of the end of a thread a little later than the runner may.
    const isOver = (pool: typeof things | typeof db.pool): boolean => pool.activeCount() === 0 && pool.stats().threads === 0;
    for (const end = performance.now() + 20_000; performance.now() < end; ) {
      left = (await observer.query(`select state, query from pg_stat_activity where application_name = $1 and state <> 'idle'`, [NAME]))
        .rows;
      if (left.length === 0 && isOver(db.pool) && isOver(things)) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(left.length === 0, `the server has sessions at work: ${JSON.stringify(left)}`);
    for (const pool of [db.pool, things]) {
      const { active, waiting, threads, acquired, released } = pool.stats();
      expect(
        active === 0 && waiting === 0 && threads === 0 && acquired === released,
        `a pool is not whole: ${JSON.stringify(pool.stats())}`,
      );
    }
    // Half of a transaction is none of it.
    const { rows } = await observer.query('select job from storm group by job having count(*) <> 2');
    expect(rows.length === 0, `half of a transaction was committed: ${JSON.stringify(rows.slice(0, 5))}`);
  } finally {
    await observer.end();
    await db.end();
    await things.close();
  }
  say(
    `${JSON.stringify(results)}, ${leaks.length} leaks told, ${stats.killedThreads} threads ended, ${stats.recycledThreads} replaced, ${stats.lost} jobs lost`,
  );
  if (problems.length > 0) throw new Error(`seed ${seed}:\n${problems.join('\n')}`);
}

if (process.argv[1]?.endsWith('storm.ts')) {
  const { values } = parseArgs({ options: { jobs: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } } });
  const server = await startPostgres();
  try {
    await storm({ jobs: Number(values.jobs), seed: Number(values.seed), url: server.url, say: (line) => console.log(line) });
    console.log('all is whole');
  } finally {
    await server.stop();
  }
}
