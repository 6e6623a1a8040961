/**
 * The threads of a runner: Piscina makes them, with what its options say of them, and carries one task to each, which loads the job's
 * file. Jobs go by a port of the thread's own (runner-thread.ts), as a task of Piscina costs more than twice as much. How many threads
 * there are, and when one is ended, is decided here, so Piscina has neither a least number of threads nor an idle time, and its balancer
 * says what it was told.
 *
 * A thread that is loading is never ended: on Node 20 that may take the whole process along.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { MessageChannel, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { asError, clearTimeout, setTimeout } from '../shared/index.ts';
import type { PoolHandle } from '../worker/index.ts';
import { JobLostError, JobResultError, RunnerClosedError, received, sent } from './errors.ts';
import type { Settings } from './options.ts';
import { patiently } from './patience.ts';
import { type Setup, THREW } from './protocol.ts';
import { Reclaiming } from './reclaiming.ts';
import { RunnerThread } from './runner-thread.ts';
import type { ThreadEnd } from './types.ts';

const ENTRY = fileURLToPath(new URL('./entry.cjs', import.meta.url));
/** How long to wait after a thread that did not come to load the file, in ms: twice as long each time. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;
/** How long an end waits for a thread to load, in ms: a file whose top level never ends is not loading any more, but waiting. */
const LOADING = 10_000;

/** Where a task says for which thread it is: a symbol is not sent, and Piscina shows this one to its balancer. */
const OF_THREAD = Symbol.for('Piscina.queueOptions');

interface OwnTask {
  readonly [OF_THREAD]?: RunnerThread;
}

type Loaded = { readonly error: unknown } | undefined;

/** What the threads do for the runner. */
export interface ThreadsOwner {
  /** A thread is ready, or has gone, or may be begun again: there may be something to do. */
  pump(): void;
  /** A thread is ready, or has ended. */
  threadMoved(thread: RunnerThread, event: 'start' | 'end', reason?: ThreadEnd): void;
  /** No thread can load the file, so its waiters wait in vain. True: at least one was told. */
  loadFailed(error: unknown): boolean;
  /** No waiter was told. */
  report(error: Error): void;
}

export class Threads {
  readonly #settings: Settings;
  readonly #owner: ThreadsOwner;
  readonly #piscina: Piscina;
  readonly #reclaiming: Reclaiming;
  /** All that are not gone. */
  readonly #all = new Set<RunnerThread>();
  /** Threads in a row that did not come to load the file, and when the next may be begun. */
  #failures = 0;
  #notBefore = 0;
  #timer: NodeJS.Timeout | undefined;
  #lastReported: string | undefined;
  #isClosing = false;
  killed = 0;
  recycled = 0;

  constructor(settings: Settings, workerData: unknown, owner: ThreadsOwner) {
    this.#settings = settings;
    this.#owner = owner;
    this.#reclaiming = new Reclaiming(settings.pools);
    const Pool = loadPiscina();
    this.#piscina = new Pool({
      ...settings.rest,
      filename: ENTRY,
      workerData,
      // A thread that slept on Piscina's word between its tasks would not hear of a job.
      atomics: 'disabled',
      minThreads: 0,
      // A thread that takes over is there beside the one that goes, which may still have a job.
      maxThreads: 2 * settings.maxThreads + 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      loadBalancer: (task, workers) => this.#place((task as unknown as OwnTask)[OF_THREAD], workers),
    });
    // Each thread is listened to by itself.
    this.#piscina.on('error', () => {});
  }

  /** Threads that are there or on their way, and are not being ended. */
  get count(): number {
    return this.#count(({ state }) => state !== 'ending');
  }

  /** Those that count for `maxThreads`: the others only finish what they have. */
  get working(): number {
    return this.#count(({ state }) => state === 'loading' || state === 'ready');
  }

  get loading(): number {
    return this.#count(({ state }) => state === 'loading');
  }

  #count(is: (thread: RunnerThread) => boolean): number {
    let count = 0;
    for (const thread of this.#all) if (is(thread)) count++;
    return count;
  }

  [Symbol.iterator](): IterableIterator<RunnerThread> {
    return this.#all.values();
  }

  /** The one with fewest jobs that has room for one more. */
  withRoom(): RunnerThread | undefined {
    let best: RunnerThread | undefined;
    for (const thread of this.#all)
      if (thread.hasRoom && thread.given < this.#settings.recycleJobs && (best === undefined || thread.running < best.running))
        best = thread;
    return best;
  }

  // ── beginning

  /** Begins one, unless it is too soon after one that failed; then `pump` is called when it is not any more. */
  begin(): void {
    const left = this.#notBefore - performance.now();
    if (left <= 0) this.start();
    else
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#owner.pump();
      }, Math.ceil(left));
  }

  start(): RunnerThread {
    if (this.#isClosing) throw new RunnerClosedError('this runner is closed', { job: 0 });
    const { file, seats, pools, progressInterval, recycleHeap } = this.#settings;
    const { port1, port2 } = new MessageChannel();
    const thread = new RunnerThread(seats, port1);
    this.#all.add(thread);
    const setup: Setup & OwnTask = {
      [OF_THREAD]: thread,
      file,
      seats,
      buffer: thread.buffer,
      port: port2,
      pools: Object.entries(pools).map(([name, pool]) => ({ name, isPg: isPg(pool), handle: pool.handle as PoolHandle<unknown> })),
      progressInterval,
      notesHeap: recycleHeap !== Number.POSITIVE_INFINITY,
    };
    const known = new Set(this.#piscina.threads);
    // With a signal it stands aside in Piscina, where jobs do not stand behind it. It is used only if the thread is gone before it could be
    // given its task.
    const stale = new AbortController();
    const answer = this.#piscina.run(setup, { transferList: [port2], signal: stale.signal });
    thread.worker = this.#piscina.threads.find((worker) => !known.has(worker));
    this.#listen(thread, thread.worker, stale);
    thread.loaded = answer.then(
      (wire): Loaded => (wire === undefined ? undefined : { error: received(wire) }),
      async (error): Promise<Loaded> => {
        if (thread.state === 'loading') return { error };
        await thread.gone;
        return { error: this.#whyGone(thread) };
      },
    );
    void thread.loaded.then((failure) => this.#loaded(thread, failure));
    return thread;
  }

  /** A thread that is only about to be made has no id: then Piscina makes it. */
  #place<W extends { readonly id: number }>(own: RunnerThread | undefined, workers: readonly W[]): W | null {
    return workers.find(({ id }) => id === own?.threadId) ?? null;
  }

  #listen(thread: RunnerThread, worker: Worker | undefined, stale: AbortController): void {
    thread.port.on('messageerror', (error: unknown) => this.#garbled(thread, error));
    if (worker === undefined) return;
    thread.threadId = worker.threadId;
    // Its port has kept the process alive for its jobs. They are told when it has exited.
    thread.port.on('close', () => worker.ref());
    worker.on('error', (error: unknown) => {
      thread.uncaught ??= { error };
      this.#leaves(thread);
    });
    worker.on('exit', (code) => {
      thread.exitCode = code;
      this.#leaves(thread);
      void this.#bury(thread, stale);
    });
  }

  /** An answer of it cannot be read, and does not say whose it was. */
  #garbled(thread: RunnerThread, cause: unknown): void {
    const said = 'the answer of a job cannot be read on the runner’s thread: it may be too deep for its stack';
    const [job, ...others] = thread.jobs;
    if (others.length > 0) {
      thread.uncaught ??= { error: new Error(said, { cause }) };
      this.#terminate(thread, undefined);
    } else job?.answered([THREW, job.seat, sent(new JobResultError(said, job, { cause })), undefined]);
  }

  #leaves(thread: RunnerThread): void {
    if (thread.state === 'ending' || thread.state === 'gone') return;
    thread.company = thread.running;
    thread.state = 'ending';
  }

  /** It has exited: no code of it runs any more. */
  async #bury(thread: RunnerThread, stale: AbortController): Promise<void> {
    clearTimeout(thread.idleTimer);
    // What it said last.
    for (let got = receiveMessageOnPort(thread.port); got !== undefined; got = receiveMessageOnPort(thread.port))
      thread.receive(got.message);
    thread.port.close();
    await this.#reclaiming.of(thread.threadId);
    thread.state = 'gone';
    this.#all.delete(thread);
    thread.isGone();
    stale.abort();
    // No job is there to be told of it: what has thrown was left behind by one that has ended, or by the file.
    if (thread.uncaught !== undefined && thread.hasLoaded && thread.jobs.length === 0) this.#owner.report(asError(thread.uncaught.error));
    this.#owner.threadMoved(thread, 'end', thread.reason ?? 'died');
    for (const job of thread.jobs) job.bereft();
    this.#owner.pump();
  }

  #loaded(thread: RunnerThread, failure: Loaded): void {
    if (failure === undefined) {
      thread.hasLoaded = true;
      this.#failures = 0;
      this.#notBefore = 0;
      if (thread.state !== 'loading') return;
      thread.state = 'ready';
      this.#owner.threadMoved(thread, 'start');
      this.idle(thread);
    } else {
      // It has loaded what it could: it may be ended now.
      if (thread.state === 'loading') this.#terminate(thread, undefined);
      this.#failed(failure.error);
    }
    this.#owner.pump();
  }

  #failed(error: unknown): void {
    if (this.#isClosing) return;
    this.#failures++;
    this.#notBefore = performance.now() + Math.min(FIRST_PAUSE * 2 ** (this.#failures - 1), LONGEST_PAUSE);
    if (this.#count(({ state }) => state === 'ready' || state === 'retiring') === 0 && this.#owner.loadFailed(error)) return;
    const said = String(error);
    if (said === this.#lastReported) return;
    this.#lastReported = said;
    this.#owner.report(asError(error));
  }

  /** The file has failed to load last time. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  #whyGone(thread: RunnerThread): unknown {
    if (thread.uncaught !== undefined && !isOutOfMemory(thread.uncaught.error)) return thread.uncaught.error;
    return lostError(thread, { job: 0 }, `while it loaded ${this.#settings.file}`);
  }

  // ── ending

  /** The thread has nothing to do: it is ended if that stays so, and there are more than `minThreads`. */
  idle(thread: RunnerThread): void {
    clearTimeout(thread.idleTimer);
    const { idleTimeout, minThreads } = this.#settings;
    if (thread.running > 0) return;
    if (thread.state === 'retiring') return this.#terminate(thread, thread.reason);
    if (thread.state !== 'ready' || idleTimeout === Number.POSITIVE_INFINITY || this.working <= minThreads) return;
    thread.idleTimer = setTimeout(() => {
      const isIdle = thread.state === 'ready' && thread.running === 0 && !thread.isReplaced;
      if (isIdle && this.working > minThreads) this.#terminate(thread, 'idle');
    }, idleTimeout).unref();
  }

  /** It gets no more jobs, and is ended when it has none. */
  retire(thread: RunnerThread, reason: ThreadEnd): void {
    if (thread.state !== 'ready') return;
    thread.state = 'retiring';
    thread.reason = reason;
    this.idle(thread);
  }

  /** A job on it does not end. */
  kill(thread: RunnerThread): void {
    if (thread.state === 'ending' || thread.state === 'gone') return;
    this.killed++;
    this.#terminate(thread, 'killed');
  }

  #terminate(thread: RunnerThread, reason: ThreadEnd | undefined): void {
    this.#leaves(thread);
    thread.reason = reason;
    void thread.worker?.terminate();
  }

  /** Ends all, whatever they do. Resolves when they are gone. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    await Promise.all(
      [...this.#all].map(async (thread) => {
        if (thread.state === 'loading') await patiently(thread.loaded, LOADING);
        if (thread.state !== 'ending' && thread.state !== 'gone') this.#terminate(thread, 'closed');
        await thread.gone;
      }),
    );
    await this.#piscina.destroy();
    this.#reclaiming.stop();
  }
}

/** What to say to the job of a thread that has ended under it. */
export function lostError(thread: RunnerThread, about: { job: number; name?: string | undefined }, when: string): JobLostError {
  const { uncaught, exitCode, reason } = thread;
  if (uncaught !== undefined && isOutOfMemory(uncaught.error))
    return new JobLostError(`the thread ran out of memory ${when}`, about, { because: 'memory', cause: uncaught.error });
  if (uncaught !== undefined)
    return new JobLostError(`the thread died of an uncaught error ${when}: ${asError(uncaught.error).message}`, about, {
      because: 'died',
      exitCode,
      cause: uncaught.error,
    });
  if (reason === 'killed')
    return new JobLostError(`the thread was ended ${when}, as another job on it did not end when it was cancelled`, about, {
      because: 'neighbour',
    });
  return new JobLostError(`the thread ended with exit code ${exitCode} ${when}`, about, { because: 'died', exitCode });
}

const isOutOfMemory = (error: unknown): boolean => (error as { code?: unknown } | null | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY';

/** What createPgPool gives has the pool of its connections. */
const isPg = (pool: object): boolean => 'pool' in pool && 'query' in pool;

/** At once, as a constructor needs it. */
function loadPiscina(): typeof Piscina {
  let module: { Piscina: typeof Piscina; version?: string };
  try {
    module = createRequire(import.meta.url)('piscina');
  } catch (cause) {
    throw new Error('cenote/jobs needs the package piscina, 5 or later: npm install piscina', { cause });
  }
  const version = module.version ?? module.Piscina.version;
  if (Number.parseInt(version, 10) < 5)
    throw new Error(`cenote/jobs needs piscina 5 or later, and has found ${version}: npm install piscina@5`);
  return module.Piscina;
}
