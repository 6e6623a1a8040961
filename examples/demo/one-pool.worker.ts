import { workerData } from 'node:worker_threads';
import type { PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import type { Connection } from './connection.ts';
import type { SourceFile } from './files.ts';
import { greet, indexAndStore } from './job.ts';

/** A thread of the one-pool way: an errand for each file. The owner borrows, so that no connection waits for a thread that is busy with the next file. */
const { handle, insert } = workerData as { handle: PoolHandle<Connection>; insert: string };
const attached = attachPool(handle);
greet(attached);

export default async function indexOne(file: SourceFile) {
  const pool = await attached;
  return indexAndStore(file, (row) => pool.call('query', [insert, row]));
}
