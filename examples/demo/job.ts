import { readFile } from 'node:fs/promises';
import { threadId } from 'node:worker_threads';
import type { JobContext } from 'cenote/jobs/worker';
import type { SourceFile } from './files.ts';
import { indexFile } from './index-file.ts';
import { rowOf } from './table.ts';

export interface Done {
  thread: number;
  bytes: number;
  /** The file vanished, or would not be read any more. */
  skipped: boolean;
}

const STEPS = 3;

/** One file, from the disk into the database. The two ways differ in nothing but `store`. */
export async function indexAndStore(
  { path, name }: SourceFile,
  context: JobContext,
  store: (row: unknown[]) => Promise<unknown>,
): Promise<Done> {
  let content: Buffer;
  try {
    content = await readFile(path, { signal: context.signal });
  } catch {
    context.check();
    return { thread: threadId, bytes: 0, skipped: true };
  }
  context.progress(1, STEPS, name);
  const row = rowOf(name, indexFile(content));
  context.check();
  context.progress(2, STEPS, name);
  await store(row);
  context.progress(STEPS, STEPS, name);
  return { thread: threadId, bytes: content.length, skipped: false };
}
