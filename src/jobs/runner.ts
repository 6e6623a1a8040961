/** JobRunner: what a program sees of all this. */
import { clearTimeout, setTimeout } from '../shared/index.ts';
import { RUNNING_JOBS, type RunsJobs } from '../shared/observing/running-jobs.ts';
import { Dispatcher } from './dispatcher.ts';
import type { Job } from './job.ts';
import { Listeners } from './listeners.ts';
import { MapRun } from './map.ts';
import { checkBody, checkEnding, checkMap, checkRun, checkScope, settingsOf } from './options.ts';
import { Reloading } from './reloading.ts';
import { Scope } from './scope.ts';
import type { JobScope, JobStats, MapOptions, RunnerEvents, RunnerOptions, RunnerPool, RunOptions, ScopeOptions } from './types.ts';

const NONE = {};

/** The jobs of a runner that run now. */
export let runningJobs: (runner: JobRunner<any>) => Iterable<Job>;

/**
 * Runs jobs in threads, on Piscina, in scopes that end. The queue is the runner's own: Piscina is given only what can start. Piscina's
 * options pass through, but for those of its queue. The constructor throws TypeError or RangeError for bad options, and an Error where
 * the package piscina is not there.
 */
export class JobRunner<Pools extends Record<string, RunnerPool> = Record<never, never>> implements AsyncDisposable {
  readonly #dispatcher: Dispatcher;
  readonly #listeners: Listeners = new Listeners(() => this.#dispatcher.wantsProgress());
  readonly #reloading: Reloading;
  #closing: Promise<void> | undefined;

  static {
    runningJobs = (runner) => runner.#dispatcher.running;
    // For a dashboard, which does not know this class.
    const value: RunsJobs[typeof RUNNING_JOBS] = function (this: JobRunner<any>) {
      return Array.from(runningJobs(this), ({ job }) => job);
    };
    Object.defineProperty(JobRunner.prototype, RUNNING_JOBS, { value });
  }

  constructor(options: RunnerOptions<Pools>) {
    this.#dispatcher = new Dispatcher(settingsOf(options), options.workerData, this.#listeners);
    this.#reloading = new Reloading(this.#dispatcher.threads, () => this.#dispatcher.assertOpen());
  }

  /**
   * Runs one job. Its promise settles when its function has ended, or its thread has. A cancel that comes while it waits is its end; one
   * that comes while it runs reaches it as `context.cancelled` and `context.signal`, ends what it waits for in a pool, and after `grace`
   * its thread. A value that it still returns is delivered; if it fails instead, the promise rejects with the reason of the cancel. The
   * payload is cloned at the call. Rejects at once, and nothing was submitted, with DataCloneError, JobQueueFullError, RunnerClosedError,
   * the reason of a signal that has aborted, or TypeError or RangeError for bad options.
   */
  run<In = any, Out = any>(payload: In, options?: RunOptions): Promise<Out> {
    try {
      const limits = options === undefined ? NO_LIMITS : checkRun(options);
      return this.#dispatcher.submit({ payload, limits, transferList: limits.transferList }).promise as Promise<Out>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Runs a job for each payload, at most `concurrency` in flight; takes payloads only as fast as results are taken. Results in order
   * unless `ordered: false`. The first error stops the rest, unless `settle: true`. Leaving the loop cancels what is in flight and closes
   * the source. Throws TypeError for what is no iterable.
   */
  map<In = any, Out = any>(
    payloads: Iterable<In> | AsyncIterable<In>,
    options?: MapOptions & { settle?: false },
  ): AsyncIterableIterator<Out>;
  /** With `settle`, each result is `{ status, value }` or `{ status, reason }`, and no failure stops the rest. */
  map<In = any, Out = any>(
    payloads: Iterable<In> | AsyncIterable<In>,
    options: MapOptions & { settle: true },
  ): AsyncIterableIterator<PromiseSettledResult<Out>>;
  map(payloads: Iterable<unknown> | AsyncIterable<unknown>, options: MapOptions = NONE): AsyncIterableIterator<any> {
    const { concurrency, ordered, settle, ...limits } = checkMap(options, 2 * this.#dispatcher.settings.maxThreads);
    const grace = limits.grace ?? this.#dispatcher.settings.grace;
    return new MapRun(payloads, { concurrency, ordered, settle, grace, limits }, this.#dispatcher.signals, (payload, each) =>
      this.#dispatcher.submit({ payload, limits: each, isPaced: true }),
    );
  }

  /**
   * Resolves with the body's value when every job and inner scope in its scope has ended, those included that a caller begins as soon as
   * another has ended, after however many promises; what waits for anything else meanwhile has to be awaited by the body. If the body
   * throws, or a job fails (unless `mode: 'independent'`), the rest is cancelled and awaited, and the first error is thrown. `timeout`
   * rejects with JobTimeoutError, `signal` with its reason. Rejects with RunnerClosedError on a closed runner.
   */
  async scope<V>(body: (scope: JobScope) => V | PromiseLike<V>, options: ScopeOptions = NONE): Promise<V> {
    checkBody(body);
    return new Scope(this.#dispatcher, checkScope(options), undefined).execute(body);
  }

  /**
   * New threads, one for one; jobs under way finish where they are. When it resolves no thread is older than the call: calls made while
   * one is under way share one more round. Rejects with the error of a thread that will not start, and keeps the old ones; and with
   * JobTimeoutError after `timeout` ms, when it goes on all the same.
   */
  async reload(options: { timeout?: number } = NONE): Promise<void> {
    const { timeout } = checkEnding('reload', options, ['timeout']);
    this.#dispatcher.assertOpen();
    await this.#reloading.reload(timeout);
  }

  /**
   * Refuses new jobs. Running ones finish; waiting ones are rejected with RunnerClosedError (default), or finished. At `timeout` ms
   * (default 0: no limit) running ones are cancelled, with RunnerClosedError as the reason. Resolves when all threads have ended. The
   * same promise for each call; it waits for no scope's body.
   */
  close(options: { timeout?: number; queued?: 'reject' | 'finish' } = NONE): Promise<void> {
    let checked: ReturnType<typeof checkEnding>;
    try {
      checked = checkEnding('close', options, ['timeout', 'queued']);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#closing ??= this.#close(checked);
    return this.#closing;
  }

  async #close({ timeout, queued }: ReturnType<typeof checkEnding>): Promise<void> {
    this.#dispatcher.shut(queued === 'finish');
    const late = (): void => {
      this.#dispatcher.cancelWaiting();
      this.#dispatcher.cancelRunning();
    };
    const timer = timeout > 0 ? setTimeout(late, timeout) : undefined;
    await this.#dispatcher.quiet();
    clearTimeout(timer);
    await this.#dispatcher.end();
  }

  /** Closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One snapshot. At any moment submitted = waiting + running + completed + failed + cancelled + lost. */
  stats(): JobStats {
    return this.#dispatcher.stats();
  }

  /** Adds a listener. */
  on<E extends keyof RunnerEvents>(event: E, listener: (...args: RunnerEvents[E]) => void): this {
    this.#listeners.add(event, listener, false);
    return this;
  }

  /** Adds a listener for one event. */
  once<E extends keyof RunnerEvents>(event: E, listener: (...args: RunnerEvents[E]) => void): this {
    this.#listeners.add(event, listener, true);
    return this;
  }

  /** Removes a listener. */
  off<E extends keyof RunnerEvents>(event: E, listener: (...args: RunnerEvents[E]) => void): this {
    this.#listeners.remove(event, listener);
    return this;
  }
}

const NO_LIMITS = checkRun(NONE);
