import { workerData } from 'node:worker_threads';
import pg from 'pg';
import type { SourceFile } from './files.ts';
import { greet, indexAndStore, TOO_MANY_CONNECTIONS } from './job.ts';

/** A thread of the usual way: it has a pool to itself. */
const { url, connections, insert } = workerData as { url: string; connections: number; insert: string };
const pool = new pg.Pool({ connectionString: url, max: connections, connectionTimeoutMillis: 10_000 });
pool.on('error', () => {});
greet(Promise.resolve());

export default async function indexOne(file: SourceFile) {
  return indexAndStore(file, async (row) => {
    try {
      await pool.query(insert, row);
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      throw new Error(code === TOO_MANY_CONNECTIONS ? `${TOO_MANY_CONNECTIONS} ${message}` : message);
    }
  });
}
