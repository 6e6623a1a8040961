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

export interface Setting {
  database: Database;
  monitor: Monitor;
  files: SourceFile[];
  /** Files in the works at once. */
  jobs: number;
  signal: AbortSignal;
}

interface JobResult {
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

/** All threads borrow from one pool of connections, which belongs to this thread. `afterwards` may go on with the full table. */
export async function onePool(
  setting: Setting,
  afterwards: (pool: Pool<Connection>, table: string, outcome: Outcome) => Promise<void>,
): Promise<Outcome> {
  const { url, schema } = setting.database;
  const name = `${schema} one pool`;
  const table = `${schema}.one_pool`;
  const pool = await createPool({
    name: 'postgres',
    factory: () => Connection.open(url, name),
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
    const outcome = await run(setting, name, { filename, pools: { postgres: pool }, workerData: { insert: insertInto(table) } });
    outcome.waits = pool.stats().waitTime;
    await afterwards(pool, table, outcome);
    return outcome;
  } finally {
    await pool.close();
  }
}

/** The usual way: every thread has a pool, of as many connections as the one pool has for all. */
export async function poolInEveryThread(setting: Setting): Promise<Outcome> {
  const { url, schema } = setting.database;
  const name = `${schema} pool each`;
  const table = `${schema}.pool_each`;
  const connection = await Connection.open(url, `${schema} tables`);
  try {
    await createTable((...query) => connection.query(...query), table);
  } finally {
    await connection.end();
  }
  const filename = new URL('./pool-each.worker.ts', import.meta.url);
  return run(setting, name, { filename, workerData: { url: named(url, name), connections: CONNECTIONS, insert: insertInto(table) } });
}

interface Way {
  filename: URL;
  workerData: unknown;
  pools?: Record<string, { handle: unknown }>;
}

/** Runs a job for each file. The clock runs from when all threads are ready to when the last file is stored. */
async function run({ monitor, files, jobs, signal }: Setting, name: string, way: Way): Promise<Outcome> {
  signal.throwIfAborted();
  const runner = new JobRunner({ ...way, minThreads: THREADS, maxThreads: THREADS, concurrentTasksPerWorker: CONNECTIONS });
  try {
    await allReady(runner, signal);
    const [result, mostConnections] = await monitor.during(name, () => indexAll(runner, files, jobs, signal));
    return { ...result, mostConnections };
  } finally {
    await runner.close({ timeout: 1 });
  }
}

function allReady(runner: JobRunner, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let ready = 0;
    runner.on('thread', ({ event }) => void (event === 'start' && ++ready === THREADS && resolve()));
    runner.on('error', reject);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

async function indexAll(runner: JobRunner, files: SourceFile[], jobs: number, signal: AbortSignal): Promise<JobResult> {
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
