/**
 * The threads of a runner: Piscina makes them, with what its options say of them, and carries one task to each, which loads the job's
 * file. Jobs go by a port of the thread's own (runner-thread.ts), as a task of Piscina costs more than twice as much. How many threads
 * there are, and when one is ended, is decided here, so Piscina has neither a least number of threads nor an idle time, and its balancer
 * says what it was told.
 *
 * A thread that is to be replaced goes on until another has taken over from it. Those two count as one: so no more than `maxThreads` work,
 * which are at most twice as many threads as long as others take over, and one more may be on its way out. Where there is no place for one
 * more, at least one is on its way out, and its end is looked out for.
 *
 * A thread that is loading is never ended: on Node 20 that may take the whole process along.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { asError, clearTimeout, setTimeout, type WireError } from '../shared/index.ts';
import type { PoolHandle } from '../worker/index.ts';
import { JobLostError, JobResultError, RunnerClosedError, received, sent } from './errors.ts';
import type { Settings } from './options.ts';
import { patiently } from './patience.ts';
import { type Setup, THREW } from './protocol.ts';
import { Reclaiming } from './reclaiming.ts';
import { RunnerThread } from './runner-thread.ts';
import { OF_THREAD, SetupQueue } from './setup-queue.ts';
import type { ThreadEnd } from './types.ts';

const ENTRY = fileURLToPath(new URL('./entry.cjs', import.meta.url));
/** How long to wait after a thread that did not come to load the file, in ms: twice as long each time. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;
/** How long an end waits for a thread to load, in ms: a file whose top level never ends is not loading any more, but waiting. */
const LOADING = 10_000;

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
  readonly #setups = new SetupQueue();
  readonly #reclaiming: Reclaiming;
  /** All that are not gone. */
  readonly #all = new Set<RunnerThread>();
  /** How many of them there may be: Piscina keeps to the same number, and each thread that it has is one of these. */
  readonly #most: number;
  /** Threads in a row that did not come to load the file, and when the next may be begun. */
  #failures = 0;
  #notBefore = 0;
  #timer: NodeJS.Timeout | undefined;
  #lastReported: string | undefined;
  #isShut = false;
  #isClosing = false;
  killed = 0;
  recycled = 0;

  constructor(settings: Settings, workerData: unknown, owner: ThreadsOwner) {
    this.#settings = settings;
    this.#owner = owner;
    this.#reclaiming = new Reclaiming(settings.pools);
    this.#most = 2 * settings.maxThreads + 1;
    const Pool = loadPiscina();
    this.#piscina = new Pool({
      ...settings.rest,
      filename: ENTRY,
      workerData,
      // A thread that slept on Piscina's word between its tasks would not hear of a job.
      atomics: 'disabled',
      minThreads: 0,
      maxThreads: this.#most,
      idleTimeout: Number.POSITIVE_INFINITY,
      taskQueue: this.#setups,
      loadBalancer: (task, workers) => this.#place((task as unknown as OwnTask)[OF_THREAD], workers),
    });
    // Each thread is listened to by itself.
    this.#piscina.on('error', () => {});
  }

  /** Threads that are there or on their way, and are not being ended. */
  get count(): number {
    return this.#count(({ state }) => state !== 'ending');
  }

  /** Those that count for `maxThreads`: the others only finish what they have. One that takes over counts with the one that it is for. */
  get working(): number {
    return this.#count(({ state, successor }) => state === 'loading' || (state === 'ready' && successor === undefined));
  }

  /** May there be one more? */
  get hasPlace(): boolean {
    return this.#all.size < this.#most;
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
      if (thread.hasRoom && !this.#isUsedUp(thread) && (best === undefined || thread.running < best.running)) best = thread;
    return best;
  }

  /** It has done all the jobs that it may do. */
  #isUsedUp({ given }: RunnerThread): boolean {
    return given >= this.#settings.recycleJobs;
  }

  // ── beginning

  /**
   * Begins one, unless it is too soon after one that failed; then `pump` is called when it is not any more. If a job waits for it, that
   * keeps the process alive until then.
   */
  begin(isAwaited: boolean, predecessor?: RunnerThread): void {
    const left = this.#notBefore - performance.now();
    if (left <= 0) return void this.start(predecessor);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#owner.pump();
    }, Math.ceil(left)).unref();
    if (isAwaited) this.#timer.ref();
  }

  /** There is a place. One that cannot be made is one that does not load. */
  start(predecessor?: RunnerThread): RunnerThread {
    if (this.#isClosing) throw new RunnerClosedError('this runner is closed', { job: 0 });
    const { port1, port2 } = new MessageChannel();
    const thread = new RunnerThread(this.#settings.seats, port1);
    this.#all.add(thread);
    thread.predecessor = predecessor;
    if (predecessor !== undefined) predecessor.successor = thread;
    thread.loaded = this.#make(thread, port2);
    void thread.loaded.then((failure) => this.#loaded(thread, failure));
    return thread;
  }

  /** Gives its `loaded`. */
  #make(thread: RunnerThread, port: MessagePort): Promise<Loaded> {
    const { file, pools, progressInterval, recycleHeap } = this.#settings;
    const setup: Setup & OwnTask = {
      [OF_THREAD]: thread,
      file,
      seats: thread.seats.length,
      buffer: thread.buffer,
      port,
      pools: Object.entries(pools).map(([name, pool]) => ({ name, isPg: isPg(pool), handle: pool.handle as PoolHandle<unknown> })),
      progressInterval,
      notesHeap: recycleHeap !== Number.POSITIVE_INFINITY,
    };
    const known = new Set(this.#piscina.threads);
    let answer: Promise<WireError | undefined>;
    try {
      answer = this.#setups.begin(() => this.#piscina.run(setup, { transferList: [port] }));
    } catch (error) {
      // The system has no more threads, or there are none with such options.
      this.#setups.drop(thread);
      thread.unmade = { error };
      return Promise.resolve(thread.unmade);
    }
    thread.worker = this.#piscina.threads.find((worker) => !known.has(worker))!;
    this.#listen(thread, thread.worker);
    const gone = thread.gone.then((): Loaded => (thread.hasLoaded ? undefined : { error: this.#whyGone(thread) }));
    const answered = answer.then(
      (wire): Loaded => (wire === undefined ? undefined : { error: received(wire) }),
      (error): Loaded | Promise<Loaded> => (thread.state === 'loading' ? { error } : gone),
    );
    // One that has ended before it was given its setup does not answer.
    return Promise.race([answered, gone]);
  }

  /** A thread that is only about to be made has no id: then Piscina makes it. */
  #place<W extends { readonly id: number }>(own: RunnerThread | undefined, workers: readonly W[]): W | null {
    return workers.find(({ id }) => id === own?.threadId) ?? null;
  }

  #listen(thread: RunnerThread, worker: Worker): void {
    thread.port.on('messageerror', (error: unknown) => this.#garbled(thread, error));
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
      void this.#bury(thread);
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
    // Piscina does not have it any more, or will not for long.
    this.#setups.drop(thread);
  }

  /** It has exited: no code of it runs any more. */
  async #bury(thread: RunnerThread): Promise<void> {
    clearTimeout(thread.idleTimer);
    // What it said last.
    for (let got = receiveMessageOnPort(thread.port); got !== undefined; got = receiveMessageOnPort(thread.port))
      thread.receive(got.message);
    thread.port.close();
    await this.#reclaiming.of(thread.threadId);
    thread.state = 'gone';
    this.#all.delete(thread);
    thread.isGone();
    // No job is there to be told of it: what has thrown was left behind by one that has ended, or by the file.
    if (thread.uncaught !== undefined && thread.hasLoaded && thread.jobs.length === 0) this.#owner.report(asError(thread.uncaught.error));
    if (thread.unmade === undefined) this.#owner.threadMoved(thread, 'end', thread.reason ?? 'died');
    for (const job of thread.jobs) job.bereft();
    // Behind `#loaded`: if it has not come to load the file, that is known then, and no other is begun too soon.
    void thread.loaded.then(() => this.#owner.pump());
  }

  #loaded(thread: RunnerThread, failure: Loaded): void {
    const { predecessor } = thread;
    thread.predecessor = undefined;
    if (predecessor !== undefined) predecessor.successor = undefined;
    if (failure === undefined) {
      thread.hasLoaded = true;
      this.#failures = 0;
      this.#notBefore = 0;
      if (thread.state !== 'loading') return;
      thread.state = 'ready';
      if (predecessor !== undefined) this.retire(predecessor, predecessor.isDue ? 'recycled' : 'reloaded');
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
    // Jobs that wait may wait for a thread that is there, unless it has done all that it may do, and is only there until another is.
    const canServe = this.#count((thread) => thread.state === 'ready' && !this.#isUsedUp(thread)) > 0;
    if (!canServe && this.#owner.loadFailed(error)) return;
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

  // ── taking over

  /** Another is to take over from it, and it goes on until then; but if it is used up, it gets no more jobs. */
  recycle(thread: RunnerThread): void {
    if (thread.state !== 'ready') return;
    thread.isDue = true;
    this.#replace(thread, false);
  }

  /** Looks anew at those that are due: there may be a place for their successors, or it may be time for another attempt. */
  replaceDue(isAwaited: boolean): void {
    for (const thread of this.#all) if (thread.isDue) this.#replace(thread, isAwaited);
  }

  #replace(thread: RunnerThread, isAwaited: boolean): void {
    if (thread.state !== 'ready' || thread.successor !== undefined) return;
    if (this.#isShut) this.retire(thread, 'recycled');
    else if (!this.hasPlace) {
      // It may do nothing more, so the place that its successor waits for may be its own.
      if (thread.running === 0 && this.#isUsedUp(thread)) this.retire(thread, 'recycled');
    } else if (!this.isFailing) this.start(thread);
    else if (this.loading === 0) this.begin(isAwaited, thread);
  }

  /** Nothing takes over any more. What is due goes, and others are begun only where jobs wait. */
  shut(): void {
    this.#isShut = true;
    this.replaceDue(false);
  }

  // ── ending

  /** The thread has nothing to do: it is ended if that stays so, and there are more than `minThreads`. */
  idle(thread: RunnerThread): void {
    clearTimeout(thread.idleTimer);
    const { idleTimeout, minThreads } = this.#settings;
    if (thread.running > 0) return;
    if (thread.isDue) this.#replace(thread, false);
    if (thread.state === 'retiring') return this.#terminate(thread, thread.reason);
    if (thread.state !== 'ready' || idleTimeout === Number.POSITIVE_INFINITY || this.working <= minThreads) return;
    thread.idleTimer = setTimeout(() => {
      const isIdle = thread.state === 'ready' && thread.running === 0 && thread.successor === undefined;
      if (isIdle && this.working > minThreads) this.#terminate(thread, 'idle');
    }, idleTimeout).unref();
  }

  /** It gets no more jobs, and is ended when it has none. */
  retire(thread: RunnerThread, reason: ThreadEnd): void {
    if (thread.state !== 'ready') return;
    thread.state = 'retiring';
    thread.reason = reason;
    if (reason === 'recycled') this.recycled++;
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
    if (thread.unmade !== undefined) void this.#bury(thread);
    else void thread.worker!.terminate();
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
