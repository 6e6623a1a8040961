import { workerData } from 'node:worker_threads';
import { defineJob } from 'cenote/jobs/worker';
import pg from 'pg';
import type { SourceFile } from './files.ts';
import { indexAndStore } from './job.ts';

/** The usual way: each thread has a pool to itself. */
const { url, connections, insert } = workerData as { url: string; connections: number; insert: string };
const pool = new pg.Pool({ connectionString: url, max: connections, connectionTimeoutMillis: 10_000 });
pool.on('error', () => {});

export default defineJob((file: SourceFile, context) => indexAndStore(file, context, (row) => pool.query(insert, row)));
