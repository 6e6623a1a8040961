import { createPool, type Percentiles, type Pool } from 'cenote';
import { JobRunner } from 'cenote/jobs';
import { Connection, named } from './connection.ts';
import type { Database } from './database.ts';
import type { SourceFile } from './files.ts';
import type { Done } from './job.ts';
import type { Monitor } from './monitor.ts';
import { startProgress } from './progress.ts';
import { createTable, insertInto } from './table.ts';

export const THREADS = 8;
export const CONNECTIONS = 4;
/** Enough to keep a pool in each thread busy, so that the usual way shows what it costs. */
export const JOBS = THREADS * CONNECTIONS;

export interface Work {
  database: Database;
  files: SourceFile[];
  /** Files in the works at once. */
  jobs: number;
  signal: AbortSignal;
}

export interface Setting extends Work {
  monitor: Monitor;
}

export interface JobResult {
  seconds: number;
  files: number;
  bytes: number;
  skipped: number;
  /** Files by thread. */
  shares: number[];
}

export interface Outcome extends JobResult {
  /** The most connections the server saw at once. */
  mostConnections: number;
  /** Waits in the one line; a pool in every thread has a line in every thread, and keeps no account of it. */
  waits?: Percentiles;
}

/** What the one-pool way works with. */
export interface OnePool {
  pool: Pool<Connection>;
  table: string;
  runner: JobRunner;
}

/** All threads borrow from one pool of connections, which belongs to this thread. `afterwards` may go on with the full table. */
export function onePool(
  setting: Setting,
  afterwards: (pool: Pool<Connection>, table: string, outcome: Outcome) => Promise<void>,
): Promise<Outcome> {
  return withOnePool(setting, async ({ pool, table, runner }) => {
    const outcome: Outcome = await measured(setting, nameOf(setting, 'one pool'), runner);
    outcome.waits = pool.stats().waitTime;
    await afterwards(pool, table, outcome);
    return outcome;
  });
}

/** Opens the pool, makes an empty table, and starts threads that share the pool; closes pool and threads when `body` has ended. */
export async function withOnePool<V>(work: Work, body: (one: OnePool) => Promise<V>): Promise<V> {
  const { url, schema } = work.database;
  const table = `${schema}.one_pool`;
  const pool = await createPool({
    name: 'postgres',
    factory: () => Connection.open(url, nameOf(work, 'one pool')),
    destructor: (connection) => connection.end(),
    healthcheck: async (connection) => {
      await connection.query('select 1');
    },
    healthcheckInterval: 5_000,
    max: CONNECTIONS,
    expose: ['query'],
  });
  // A connection that could not be closed, or a healthcheck that failed, is the next borrower's to report.
  pool.on('error', () => {});
  try {
    await pool.use((connection) => createTable((...query) => connection.query(...query), table));
    const filename = new URL('./one-pool.worker.ts', import.meta.url);
    const way = { filename, pools: { postgres: pool }, workerData: { insert: insertInto(table) } };
    return await withRunner(work, way, (runner) => body({ pool, table, runner }));
  } finally {
    await pool.close();
  }
}

/** The usual way: every thread has a pool, of as many connections as the one pool has for all. */
export async function poolInEveryThread(setting: Setting): Promise<Outcome> {
  const { url, schema } = setting.database;
  const name = nameOf(setting, 'pool each');
  const table = `${schema}.pool_each`;
  const connection = await Connection.open(url, `${schema} tables`);
  try {
    await createTable((...query) => connection.query(...query), table);
  } finally {
    await connection.end();
  }
  const filename = new URL('./pool-each.worker.ts', import.meta.url);
  const workerData = { url: named(url, name), connections: CONNECTIONS, insert: insertInto(table) };
  return withRunner(setting, { filename, workerData }, (runner) => measured(setting, name, runner));
}

/** What the server knows a way's connections by. */
const nameOf = ({ database }: Work, way: string): string => `${database.schema} ${way}`;

interface Way {
  filename: URL;
  workerData: unknown;
  pools?: Record<string, { handle: unknown }>;
}

/** Gives `body` a runner all of whose threads are ready. */
async function withRunner<V>({ signal }: Work, way: Way, body: (runner: JobRunner) => Promise<V>): Promise<V> {
  signal.throwIfAborted();
  const runner = new JobRunner({ ...way, minThreads: THREADS, maxThreads: THREADS, concurrentTasksPerWorker: CONNECTIONS });
  try {
    await allReady(runner, signal);
    return await body(runner);
  } finally {
    await runner.close({ timeout: 1 });
  }
}

async function measured(setting: Setting, name: string, runner: JobRunner): Promise<Outcome> {
  const [result, mostConnections] = await setting.monitor.during(name, () => indexAll(runner, setting));
  return { ...result, mostConnections };
}

function allReady(runner: JobRunner, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let ready = 0;
    runner.on('thread', ({ event }) => void (event === 'start' && ++ready === THREADS && resolve()));
    runner.on('error', reject);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Runs a job for each file. The clock runs until the last file is stored. */
export async function indexAll(runner: JobRunner, { files, jobs, signal }: Work): Promise<JobResult> {
  const progress = startProgress(runner, files.length);
  const shares = new Map<number, number>();
  const result = { seconds: 0, files: 0, bytes: 0, skipped: 0 };
  const start = performance.now();
  try {
    for await (const done of runner.map<SourceFile, Done>(files, { concurrency: jobs, ordered: false, signal })) {
      progress.tick();
      if (done.skipped) result.skipped++;
      else shares.set(done.thread, (shares.get(done.thread) ?? 0) + 1);
      result.bytes += done.bytes;
    }
  } finally {
    progress[Symbol.dispose]();
  }
  return {
    ...result,
    seconds: (performance.now() - start) / 1000,
    files: files.length - result.skipped,
    shares: [...shares.values()],
  };
}
