import { createPool, type Percentiles, type Pool } from 'cenote';
import { Connection, named } from './connection.ts';
import type { Database } from './database.ts';
import type { SourceFile } from './files.ts';
import type { Monitor } from './monitor.ts';
import { startProgress } from './progress.ts';
import { createTable, insertInto } from './table.ts';
import { type JobResult, runOnThreads } from './threads.ts';

export const THREADS = 8;
export const CONNECTIONS = 4;

export interface Setting {
  database: Database;
  monitor: Monitor;
  files: SourceFile[];
  signal: AbortSignal;
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
    const worker = new URL('./one-pool.worker.ts', import.meta.url);
    const outcome = await run(setting, name, worker, { handle: pool.handle, insert: insertInto(table) });
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
  const worker = new URL('./pool-each.worker.ts', import.meta.url);
  return run(setting, name, worker, { url: named(url, name), connections: CONNECTIONS, insert: insertInto(table) });
}

async function run({ monitor, files, signal }: Setting, name: string, worker: URL, workerData: unknown): Promise<Outcome> {
  const progress = startProgress(files.length);
  try {
    const job = { worker, workerData, threads: THREADS, inHand: CONNECTIONS, files, onDone: progress.tick, signal };
    const [result, mostConnections] = await monitor.during(name, () => runOnThreads(job));
    return { ...result, mostConnections };
  } finally {
    progress.stop();
  }
}
