/** Real threads for the tests: each attaches to a pool and then does what the test tells it to. */
import { type ResourceLimits, Worker } from 'node:worker_threads';
import type { Pool, PoolHandle } from 'cenote';
import type { AttachedPool, attachPool, Remote, SyncRemote } from 'cenote/worker';
import { onTestFinished } from 'vitest';
import { settled } from './wait.ts';

/** An error as a thread describes it. `lineage`: the names of its classes, nearest first. */
export interface Described {
  name: string;
  message: string;
  stack: string;
  code: unknown;
  pool: unknown;
  lineage: string[];
  own: Record<string, unknown>;
  cause?: Described;
  errors?: Described[];
  /** Instead of all that: what was thrown, when it was no error. */
  thrown?: unknown;
}
export type Attempt<V> = { ok: true; value: V; error?: undefined } | { ok: false; value?: undefined; error: Described };

/** What a function that runs on a thread can use. Nothing else: it is sent as text, so it sees no variable of the test. */
export interface Scope<T> {
  readonly threadId: number;
  readonly handle: PoolHandle<T>;
  /** The pool this thread is attached to. */
  readonly pool: AttachedPool<T>;
  /** Shared with the test as thread.flags. */
  readonly flags: Int32Array;
  /** These three live as long as the thread: what one run leaves there, the next one finds. */
  readonly held: Remote<T>[];
  readonly syncHeld: SyncRemote<T>[];
  readonly pending: Record<string, Promise<unknown>>;
  keep<V>(name: string, value: V): V;
  kept<V>(name: string): V;
  readonly attachPool: typeof attachPool;
  cenote(): Promise<typeof import('cenote')>;
  /** A module, by a name that any program could use. */
  load(name: string): Promise<unknown>;
  /** Arrives in thread.told, even if this thread blocks right afterwards. */
  tell(value: unknown): void;
  sleep(ms: number): Promise<void>;
  /** Blocks the thread, event loop and all, until flags[index] is not zero. */
  block(index: number): void;
  /** Runs a function on a thread which this thread starts, attached to the handle. */
  nested<U, V>(handle: PoolHandle<U>, body: (scope: Scope<U>) => V | PromiseLike<V>): Promise<V>;
  /** What the pool sends to its owner while `body` runs, message by message. */
  sent(body: () => unknown): Promise<unknown[][]>;
  /** What becomes of a promise, as plain data. */
  outcome<V>(promise: V | PromiseLike<V>): Promise<Attempt<V>>;
  /** The same for a function that may also throw at once. */
  attempt<V>(body: () => V | PromiseLike<V>): Promise<Attempt<V>>;
}

export interface Thread<T> {
  readonly id: number;
  readonly flags: Int32Array;
  readonly told: unknown[];
  /** Runs a function on the thread. Rejects with what it throws there (an Error with name, code, pool ... as they were there). */
  run<A extends unknown[], V>(body: (scope: Scope<T>, ...args: A) => V | PromiseLike<V>, ...args: A): Promise<V>;
  /** Borrows one and keeps it as the last of scope.held. */
  hold(n?: number): Promise<void>;
  /** Gives back what hold() borrowed last. */
  giveBack(): Promise<void>;
  /** Sets flags[index], and wakes whoever blocks on it. */
  raise(index: number): void;
  /** Lets the thread end by itself when nothing else keeps it. */
  finish(): void;
  terminate(): Promise<number>;
  /** The exit code. Asking for it says that this thread is expected to end, however it does. */
  readonly exited: Promise<number>;
  /** What it died of. */
  readonly fatal: () => unknown;
}

/** Of support/thread-entry.js, bundled (support/build.ts). */
const ENTRY = new URL('../../dist.threads/thread-entry.js', import.meta.url);

export class ThreadEnded extends Error {}

function revive(described: Described): unknown {
  if ('thrown' in described) return described.thrown;
  const error = new Error(described.message);
  const { name, stack, code, pool, lineage, own, cause, errors } = described;
  return Object.assign(error, own, {
    name,
    stack,
    code,
    pool,
    lineage,
    ...(cause && { cause: revive(cause) }),
    ...(errors && { errors: errors.map(revive) }),
  });
}

/** Starts a thread that is attached to the handle (or to nothing). It is terminated when the test has finished. */
export async function thread<T>(target?: PoolHandle<T> | Pool<T>, options: { resourceLimits?: ResourceLimits } = {}): Promise<Thread<T>> {
  const handle = target && 'handle' in target ? target.handle : target;
  const flags = new Int32Array(new SharedArrayBuffer(64));
  const worker = new Worker(ENTRY, { workerData: { handle, flags }, execArgv: [], ...options });
  const told: unknown[] = [];
  const calls = new Map<number, { resolve(value: never): void; reject(error: unknown): void; promise: Promise<unknown> }>();
  let lastCall = 0;
  let fatal: unknown;
  let expected = false;

  let begin: (value: undefined) => void;
  let refuse: (error: unknown) => void;
  const begun = new Promise<undefined>((resolve, reject) => {
    begin = resolve;
    refuse = reject;
  });
  const exit = new Promise<number>((resolve) => {
    worker.on('exit', (code) => {
      const error = new ThreadEnded(`the thread has ended with code ${code}`, { cause: fatal });
      refuse(error);
      for (const { reject, promise } of calls.values()) {
        // A test need not wait for what it has killed.
        promise.catch(() => {});
        reject(error);
      }
      calls.clear();
      resolve(code);
    });
  });
  worker.on('error', (error) => {
    fatal = error;
  });
  worker.on('message', (message) => {
    if ('told' in message) told.push(message.told);
    else if ('ready' in message) message.ready ? begin(undefined) : refuse(revive(message.error));
    else {
      const call = calls.get(message.id);
      calls.delete(message.id);
      if (message.ok) call?.resolve(message.value as never);
      else call?.reject(revive(message.error));
    }
  });
  onTestFinished(async () => {
    const unforeseen = fatal;
    await worker.terminate();
    if (unforeseen !== undefined && !expected) throw new Error('a thread died unforeseen', { cause: unforeseen });
  });
  const id = worker.threadId;
  await settled(begun);

  const self: Thread<T> = {
    id,
    flags,
    told,
    run(body, ...args) {
      const id = ++lastCall;
      let call: { resolve(value: never): void; reject(error: unknown): void } | undefined;
      const promise = new Promise<never>((resolve, reject) => {
        call = { resolve, reject };
      });
      calls.set(id, { ...call!, promise });
      worker.postMessage({ id, code: String(body), args });
      return promise;
    },
    hold: (n = 1) =>
      self.run(async ({ pool, held }, count) => {
        for (let i = 0; i < count; i++) held.push(await pool.acquire({ timeout: 60_000 }));
      }, n),
    giveBack: () => self.run(({ pool, held }) => pool.release(held.pop()!)),
    raise(index) {
      Atomics.store(flags, index, 1);
      Atomics.notify(flags, index);
    },
    finish() {
      worker.postMessage({ finish: true });
    },
    terminate() {
      expected = true;
      return worker.terminate();
    },
    get exited() {
      expected = true;
      return exit;
    },
    fatal: () => fatal,
  };
  return self;
}

/** Several at once. */
export const threads = <T>(n: number, target?: PoolHandle<T> | Pool<T>): Promise<Thread<T>[]> =>
  Promise.all(Array.from({ length: n }, () => thread(target)));
