/** A thread of a run: the owner, a borrower, or a user of the naive semaphore. Does what the conductor says, and nothing in between. */
import { parentPort, threadId, workerData } from 'node:worker_threads';
import type { Pool, PoolHandle } from 'cenote';
import type { AttachedPool } from 'cenote/worker';
import { ControlBlock } from '../../src/shared/words/control-block.ts';
import { cellState, cellThread, MARK_SYNC, WAITING } from '../../src/shared/words/line.ts';
import type { Configuration } from './configuration.ts';
import { naive } from './naive.ts';
import { windOn } from './near-end.ts';
import { Program } from './program.ts';
import { Record, Recorder } from './recorder.ts';
import { beRestless } from './restless.ts';
import { onWorker, type Resource, type Subject } from './subject.ts';

export interface ThreadData {
  /** 0: the owner. */
  readonly index: number;
  readonly threads: number;
  readonly record: SharedArrayBuffer;
  /** By index: the number of the thread's record in the pool. */
  readonly numbers: Int32Array;
  /** Where the pool's code is: what is shipped, or a copy that was broken on purpose. */
  readonly code: string;
}

export type Order =
  | { readonly type: 'open'; readonly configuration: Configuration }
  | { readonly type: 'attach'; readonly configuration: Configuration; readonly handle: PoolHandle<Resource> }
  | { readonly type: 'naive'; readonly configuration: Configuration; readonly words: Int32Array }
  | { readonly type: 'run'; readonly seed: number; readonly threads: number }
  | { readonly type: 'rest' }
  | { readonly type: 'close' };

export type News =
  | { readonly type: 'opened'; readonly handle: PoolHandle<Resource> }
  | { readonly type: 'rests'; readonly idle: readonly number[]; readonly empty: number }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly why: string };

const { index, threads, record, numbers, code } = workerData as ThreadData;
const recorder = new Recorder(new Record(threads, record), index);

let configuration: Configuration;
let subject: Subject;
let pool: Pool<Resource> | undefined;
let attached: AttachedPool<Resource> | undefined;
const live = new Map<number, Resource>();

async function open(): Promise<PoolHandle<Resource>> {
  const { createPool } = (await import(`${code}/main/index.js`)) as typeof import('cenote');
  let made = 0;
  pool = await createPool<Resource>({
    name: 'linear',
    max: configuration.capacity,
    min: configuration.min,
    maxWaiting: 32,
    share: (resource) => resource.number,
    factory: () => {
      const number = ++made;
      const resource = { number, id: () => number };
      live.set(number, resource);
      return resource;
    },
    destructor: ({ number }) => void live.delete(number),
    ...(configuration.beforeAcquire && { beforeAcquire: () => true }),
    ...(configuration.beforeRelease && { beforeRelease: () => true }),
  });
  if (configuration.nearEnd) windOn(pool.handle.buffer);
  const { acquire, tryAcquire, release, destroy } = pool;
  const none = (): never => {
    throw new Error('the owner does not sleep');
  };
  subject = {
    acquire: async (options) => (await acquire.call(pool, options)).number,
    tryAcquire: async () => (await tryAcquire.call(pool))?.number ?? null,
    release: (number) => release.call(pool, live.get(number)!),
    destroy: (number) => destroy.call(pool, live.get(number)!),
    acquireSync: none,
    tryAcquireSync: none,
    call: none,
    isInLine: lineOf(pool.handle),
  };
  return pool.handle;
}

async function attach(handle: PoolHandle<Resource>): Promise<void> {
  const { attachPool } = (await import(`${code}/worker/index.js`)) as typeof import('cenote/worker');
  attached = await attachPool(handle);
  const block = ControlBlock.attach(handle.buffer);
  for (let number = 1; number < block.threads.count; number++)
    if (block.threads.isAttached(number) && block.threads.threadId(number) === threadId) numbers[index] = number;
  subject = onWorker(attached, lineOf(handle));
}

/** Sees sleepers in line, as the control block shows them. */
function lineOf(handle: PoolHandle<Resource>): Subject['isInLine'] {
  const { line } = ControlBlock.attach(handle.buffer);
  const cells = Math.min(line.count, 16);
  return (thread) => {
    for (let cell = 0; cell < cells; cell++) {
      const word = line.load(cell);
      if (cellState(word) === WAITING && cellThread(word) === numbers[thread] && (line.mark(cell) & MARK_SYNC) !== 0) return true;
    }
    return false;
  };
}

async function rest(): Promise<News> {
  const end = performance.now() + 60_000;
  for (;;) {
    const { idle, count, waiting, acquired, released, max } = pool!.stats();
    if (idle === count && waiting === 0 && acquired === released && count === live.size)
      return { type: 'rests', idle: [...live.keys()], empty: max - count };
    if (performance.now() > end) throw new Error(`the pool does not come to rest: ${JSON.stringify(pool!.stats())}, ${live.size} live`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function obey(order: Order): Promise<News> {
  if ('configuration' in order) configuration = order.configuration;
  switch (order.type) {
    case 'open':
      return { type: 'opened', handle: await open() };
    case 'attach':
      await attach(order.handle);
      break;
    case 'naive':
      subject = naive(order.words, configuration.capacity, index);
      break;
    case 'run': {
      const program = new Program(subject, recorder, configuration, configuration.ways[index], order.seed + index * 1000);
      recorder.record.meet(order.threads);
      beRestless(configuration.restless, order.seed + index);
      await program.run(index === 0);
      beRestless(0, 0);
      break;
    }
    case 'rest':
      return rest();
    case 'close':
      await attached?.detach();
      await pool?.close();
      attached = pool = undefined;
      break;
  }
  return { type: 'done' };
}

parentPort!.on('message', async (order: Order) => {
  try {
    parentPort!.postMessage(await obey(order));
  } catch (error) {
    parentPort!.postMessage({ type: 'failed', why: `thread ${index}: ${(error as Error).stack ?? error}` } satisfies News);
  }
});
