import { workerData } from 'node:worker_threads';
import { defineJob } from 'cenote/jobs/worker';
import type { SourceFile } from './files.ts';
import { indexAndStore } from './job.ts';

/** The one-pool way: a one-shot call for each file. The owner borrows, so that no connection waits for a thread that is busy with the next file. */
const { insert } = workerData as { insert: string };

export default defineJob((file: SourceFile, context) =>
  indexAndStore(file, context, (row) => context.pools.postgres.call('query', [insert, row])),
);
