import { readFile } from 'node:fs/promises';
import { parentPort, threadId } from 'node:worker_threads';
import type { SourceFile } from './files.ts';
import { indexFile } from './index-file.ts';
import { rowOf } from './table.ts';

export interface Done {
  thread: number;
  bytes: number;
  /** The file vanished, or would not be read any more. */
  skipped: boolean;
}

/** PostgreSQL's code, with which a job's error message begins: codes do not cross from thread to thread, messages do. */
export const TOO_MANY_CONNECTIONS = '53300';

/** What a thread says once, when it can begin. */
export type Greeting = 'ready' | { failed: string };

/** One file, from the disk into the database. The two ways differ in nothing but `store`. */
export async function indexAndStore({ path, name }: SourceFile, store: (row: unknown[]) => Promise<unknown>): Promise<Done> {
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch {
    return { thread: threadId, bytes: 0, skipped: true };
  }
  await store(rowOf(name, indexFile(content)));
  return { thread: threadId, bytes: content.length, skipped: false };
}

export function greet(prepared: Promise<unknown>): void {
  prepared.then(
    () => parentPort?.postMessage('ready' satisfies Greeting),
    (error: Error) => parentPort?.postMessage({ failed: error.message } satisfies Greeting),
  );
}
