/** The public types of cenote/jobs, for both of its entry points. */
import type { Percentiles } from '../main/index.ts';

type PiscinaOptions = NonNullable<ConstructorParameters<typeof import('piscina').Piscina>[0]>;

/**
 * Options of a JobRunner, and those of Piscina but for the ones of its queue. Durations are milliseconds. A wrong type is a TypeError, a
 * wrong range a RangeError; both name the option and the value. A name that is no option is a TypeError that names the nearest one.
 *
 * Of Piscina's options `minThreads` and `maxThreads` are by default half and one and a half times the processors; `idleTimeout` is 1000 by
 * default, and a thread above `minThreads` that is idle for so long is ended. Jobs go to their thread by a port of its own, so a thread
 * does not freeze between jobs, whatever `atomics` says; `recordTiming`, `workerHistogram` and `stricterFIFO` change nothing either, since
 * the queue and `stats` are the runner's.
 */
export interface RunnerOptions<Pools = Record<string, RunnerPool>>
  extends Omit<PiscinaOptions, 'filename' | 'name' | 'workerData' | 'maxQueue' | 'taskQueue' | 'loadBalancer' | 'closeTimeout'> {
  /** The job's file: a path, or a URL of one. Its default export is what `defineJob` gives. */
  filename: string | URL;
  /** Given to jobs as `context.pools`, attached once per thread: results of createPool or createPgPool. Default: none. */
  pools?: Pools;
  /** What the job's file sees in node:worker_threads. Default: undefined. */
  workerData?: unknown;
  /**
   * Most jobs that may wait, beyond those for which there is a thread. The next `run` rejects with JobQueueFullError. Default 0: no limit.
   */
  maxQueue?: number;
  /** How long a cancelled job may take to end, in ms, before its thread is ended. 0: its thread is ended at once. Default 1000. */
  grace?: number;
  /** Least time between two events of progress of one job, in ms. Default 100. */
  progressInterval?: number;
  /**
   * How often a job is run again whose thread died through no act of its own: a neighbour on the thread had to be ended, it had no memory
   * left, or it died while several jobs ran there. Jobs with something in `transferList` that cannot be copied are not run again. Default
   * 0.
   */
  retryLost?: number;
  /**
   * Ends a thread that has done so many jobs, or has more MB of heap in use after one; another takes over first. While others finish what
   * they have, there are at most 2 x `maxThreads` + 1 threads: the next waits until one of them has ended. If the one that is to take over
   * does not load, that is tried again, after 100 ms, then 200, up to 5 seconds, and the old one goes on. But a thread never does more than
   * `jobs` jobs: where it has done them and there is no other, jobs that wait reject with what is wrong. Default: off.
   */
  recycleAfter?: {
    /** Jobs that a thread does at most. */
    jobs?: number;
    /** Heap in use after a job, in MB, from which a thread is replaced. */
    heapMB?: number;
  };
}

/** Options of one job. */
export interface RunOptions {
  /** For errors, events and progress. Default: none. */
  name?: string;
  /** Cancels the job. Default: none. */
  signal?: AbortSignal;
  /**
   * Cancels the job with JobTimeoutError when it has run for so long, in ms; waiting does not count. At most 2,147,483,647. Default 0: no
   * limit.
   */
  timeout?: number;
  /** What of the payload is moved rather than cloned. Default: nothing. */
  transferList?: readonly unknown[];
  /** As the runner's, for this job. */
  grace?: number;
  /** As the runner's, for this job. */
  retryLost?: number;
}

/** Options of `map`. Those of RunOptions are for each of its jobs; `signal` ends all of it. */
export interface MapOptions extends Omit<RunOptions, 'transferList'> {
  /** Most jobs in flight at once: given to the runner, or finished and not yet taken by the consumer. Default: twice `maxThreads`. */
  concurrency?: number;
  /** Results in the order of the payloads, rather than as they come. Default true. */
  ordered?: boolean;
  /** Each result is a `PromiseSettledResult`, and no failure stops the rest. Default false. */
  settle?: boolean;
}

/** Options of a scope. */
export interface ScopeOptions {
  /** For errors. Default: none. */
  name?: string;
  /**
   * 'fail-together': a job that fails cancels the rest. 'independent': errors are those of the single promises. Default 'fail-together'.
   */
  mode?: 'fail-together' | 'independent';
  /** Cancels the scope with JobTimeoutError after so long, in ms. Default 0: no limit. */
  timeout?: number;
  /** Cancels the scope. Default: none. */
  signal?: AbortSignal;
  /**
   * As the runner's, for the jobs of this scope and of those in it; and how long the body may go on once the scope is cancelled and its
   * jobs have ended.
   */
  grace?: number;
  /** Most jobs of this scope, and of those in it, that run or are in the runner's queue at once. Default 0: no limit. */
  concurrency?: number;
}

/** Jobs that end together. */
export interface JobScope {
  /** Aborts when the scope is cancelled. */
  readonly signal: AbortSignal;
  /** Its jobs that wait or run, and those of the scopes in it. */
  readonly active: number;
  /**
   * As `runner.run`, in this scope. Rejects with ScopeClosedError when the scope has ended or was cancelled. In the mode 'fail-together'
   * its rejection need not be handled: it is the scope's.
   */
  run<In = any, Out = any>(payload: In, options?: RunOptions): Promise<Out>;
  /** As `runner.map`, in this scope. With `settle` the failures of its jobs are none of the scope's. */
  map<In = any, Out = any>(
    payloads: Iterable<In> | AsyncIterable<In>,
    options?: MapOptions & { settle?: false },
  ): AsyncIterableIterator<Out>;
  /** As `runner.map`, in this scope: with `settle` each result says whether it is one, and no failure is the scope's. */
  map<In = any, Out = any>(
    payloads: Iterable<In> | AsyncIterable<In>,
    options: MapOptions & { settle: true },
  ): AsyncIterableIterator<PromiseSettledResult<Out>>;
  /** A scope in this one. When it fails, its promise rejects; this scope goes on if the body takes the error. */
  scope<V>(body: (scope: JobScope) => V | PromiseLike<V>, options?: ScopeOptions): Promise<V>;
  /**
   * Cancels its jobs and the scopes in it; never what is around or beside it. The first reason stands. Default: an AbortError. Resolves
   * when all its jobs have ended; it does not wait for the body that calls it.
   */
  cancel(reason?: unknown): Promise<void>;
}

/** Counts of a runner since its start. At any moment submitted = waiting + running + completed + failed + cancelled + lost. */
export interface JobStats {
  /** Jobs that the runner has accepted. */
  submitted: number;
  /** Jobs that wait for a thread. */
  waiting: number;
  /** Jobs that run. */
  running: number;
  /** Jobs that gave a value, after a cancel, too. */
  completed: number;
  /** Jobs that threw, or took longer than their `timeout`. */
  failed: number;
  /** Jobs that a signal, a scope or `close` has ended. */
  cancelled: number;
  /** Jobs whose thread ended under them. */
  lost: number;
  /** How often a lost job was run again. */
  retried: number;
  /** Threads now. */
  threads: number;
  /** Threads that were ended since a cancelled job did not end within `grace`. */
  killedThreads: number;
  /** Threads that `recycleAfter` has replaced. */
  recycledThreads: number;
  /** The share, from 0 to 1, of what `maxThreads` threads could have done since the start. */
  utilization: number;
  /** Time that jobs ran, in ms, at most 12.5 % off. */
  runTime: Percentiles;
  /** Time that jobs waited for a thread, in ms, at most 12.5 % off. */
  waitTime: Percentiles;
}

/** Events of a runner, with what a listener gets. A listener that throws harms only itself: what it throws is an 'error' event. */
export interface RunnerEvents {
  /**
   * What a job has said of its progress: at most once in `progressInterval`; the last one always, before the job's promise settles. Runs in
   * the async context of the `run`.
   */
  progress: [
    {
      /** The number of the job. */
      job: number;
      /** Its name. */
      name?: string;
      /** How much is done. */
      done: number;
      /** Of how much. */
      total?: number;
      /** What the job has to say. */
      message?: string;
    },
  ];
  /** A thread has loaded the job's file, or has ended. */
  thread: [
    {
      /** Node's id of the thread. */
      threadId: number;
      /** Which of the two. */
      event: 'start' | 'end';
      /** Why it has ended. */
      reason?: ThreadEnd;
    },
  ];
  /** A failure that no caller waits for. Without a listener: a process warning, never a crash. */
  error: [error: Error];
}

/** Why a thread has ended. */
export type ThreadEnd = 'idle' | 'recycled' | 'reloaded' | 'killed' | 'died' | 'closed';

/** What a job's function gets beside its payload. */
export interface JobContext {
  /** The number of the job. */
  readonly job: number;
  /** Its name, if it has one. */
  readonly name?: string | undefined;
  /** Counts from 1: goes up when a job is run again whose thread was lost. */
  readonly attempt: number;
  /** The runner's `pools`, attached: AttachedPool, or PgPool & PgSync for a pool made by createPgPool. */
  readonly pools: Record<string, any>;
  /** Aborts when the job is cancelled, with the reason as the runner's thread has cloned it. */
  readonly signal: AbortSignal;
  /** Read from shared memory: true from the moment of the cancel, in a synchronous loop, too, and while `protect` holds it back. */
  readonly cancelled: boolean;
  /**
   * Throws the reason if the job is cancelled. For inner loops: costs a few nanoseconds, less than an atomic load. In a loop that does
   * nothing that lets the engine look anew, it may take up to 32 calls to see a cancel; all else sees it with the next call.
   */
  check(): void;
  /**
   * Cancelling is held back while `body` runs (a COMMIT, say): the signal does not abort, `check` does not throw, and waits in a pool go
   * on. At most for `grace`, counted from the cancel. Gives the body's value; the cancel is delivered right after.
   */
  protect<V>(body: () => V | PromiseLike<V>): Promise<V>;
  /** Says how much is done. Never throws, never blocks. A write to shared memory, unless a message is given. */
  progress(done: number, total?: number, message?: string): void;
}

/** A pool as a runner takes it: what createPool or createPgPool gives. */
export interface RunnerPool {
  /** The pool's handle. */
  readonly handle: unknown;
}
