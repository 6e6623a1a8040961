// The explorer's threads as the main thread sees them. They are kept from one exploration to the next: to start one takes longer than a hundred schedules.
import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { type Compiled, compileThreads } from '../../support/threads/compile.ts';
import type { Reply, Request } from './messages.ts';

const threads: Worker[] = [];

const root = new URL('../../../', import.meta.url);
let compiled: Compiled | undefined;
process.on('exit', () => compiled?.remove());

/** A file of test/interleave as the threads load it: compiled, all of them at once. */
export function asTheyLoadIt(url: string): URL {
  if (compiled === undefined) {
    const files = readdirSync(new URL('test/interleave', root), { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('.ts'),
    );
    compiled = compileThreads(...files.map((path) => `test/interleave/${path.replaceAll('\\', '/')}`));
  }
  return compiled.url(url.slice(root.href.length));
}

/** So many threads, started as needed. They do not keep the process alive. */
export function crew(count: number): Worker[] {
  while (threads.length < count) {
    const worker = new Worker(asTheyLoadIt(new URL('./thread.ts', import.meta.url).href), {
      // For CENOTE_INTERLEAVE_SOURCE, which is TypeScript. All that these threads load would take its time with it.
      execArgv: process.env.CENOTE_INTERLEAVE_SOURCE ? ['--import', new URL('scripts/typescript.js', root).href] : [],
      env: { ...process.env, CENOTE_INTERLEAVE_THREAD: '1' },
    });
    worker.setMaxListeners(0);
    worker.unref();
    threads.push(worker);
  }
  return threads.slice(0, count);
}

/** After one of them got stuck: the next exploration starts new ones. */
export async function dismiss(): Promise<void> {
  await Promise.all(threads.splice(0).map((worker) => worker.terminate()));
}

/** One request, one reply. */
export function ask(worker: Worker, request: Request): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      worker.unref();
      settle();
    };
    const onMessage = (reply: Reply): void =>
      done(() => (reply.type === 'broken' ? reject(Object.assign(new Error(reply.message), { stack: reply.stack })) : resolve(reply)));
    const onError = (error: Error): void => done(() => reject(error));
    const onExit = (): void => done(() => reject(new Error('A thread of the explorer has ended')));
    worker.ref();
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    worker.postMessage(request);
  });
}
