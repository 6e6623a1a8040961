/** A scope: jobs, and scopes in it, that end together. What it is given back by has ended, or its thread has. */
import { abortReason, clearTimeout, setImmediate, setTimeout } from '../shared/index.ts';
import type { Dispatcher } from './dispatcher.ts';
import { JobTimeoutError, ScopeClosedError } from './errors.ts';
import { Gate } from './gate.ts';
import type { Job, JobGroup } from './job.ts';
import { MapRun } from './map.ts';
import { checkBody, checkMap, checkRun, checkScope, type ScopeLimits } from './options.ts';
import { patiently } from './patience.ts';
import type { Abortable } from './signals.ts';
import type { JobScope, MapOptions, RunOptions, ScopeOptions } from './types.ts';

interface Failure {
  readonly error: unknown;
}

type BodyEnd<V> = { readonly value: V } | { readonly error: unknown };

const NONE = {};

export class Scope implements JobScope, JobGroup, Abortable {
  readonly #dispatcher: Dispatcher;
  readonly #limits: ScopeLimits;
  readonly #outer: Scope | undefined;
  readonly #gate: Gate<Job> | undefined;
  /** In ms. */
  readonly #grace: number;
  readonly #jobs = new Set<Job>();
  readonly #inner = new Set<Scope>();
  #controller: AbortController | undefined;
  #state: 'open' | 'cancelled' | 'ended' = 'open';
  #reason: unknown;
  /** The first that has gone wrong. */
  #failure: Failure | undefined;
  #whenCancelled: () => void = () => {};
  #whenQuiet: (() => void)[] = [];

  constructor(dispatcher: Dispatcher, limits: ScopeLimits, outer: Scope | undefined) {
    this.#dispatcher = dispatcher;
    this.#limits = limits;
    this.#outer = outer;
    this.#grace = limits.grace ?? outer?.grace ?? dispatcher.settings.grace;
    this.#gate = limits.concurrency > 0 ? new Gate(limits.concurrency, outer?.gate) : outer?.gate;
  }

  get gate(): Gate<Job> | undefined {
    return this.#gate;
  }

  get grace(): number {
    return this.#grace;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#state === 'cancelled') this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get active(): number {
    let active = this.#jobs.size;
    for (const scope of this.#inner) active += scope.active;
    return active;
  }

  // ── what the body does

  run(payload: unknown, options: RunOptions = NONE): Promise<any> {
    let job: Job;
    try {
      const limits = checkRun(options);
      this.#assertOpen();
      const { signal } = limits;
      if (signal?.aborted) return this.#handled(Promise.reject(abortReason(signal)));
      job = this.#submit({ payload, limits, transferList: limits.transferList, group: this });
    } catch (error) {
      // A job that could not be submitted is one that has failed, or nothing would tell of it where no caller handles it.
      if (!(error instanceof ScopeClosedError)) this.#fail(error);
      return this.#handled(Promise.reject(error));
    }
    return this.#handled(job.promise);
  }

  map(payloads: Iterable<any> | AsyncIterable<any>, options: MapOptions = NONE): AsyncIterableIterator<any> {
    const { concurrency, ordered, settle, ...limits } = checkMap(options, 2 * this.#dispatcher.settings.maxThreads);
    const group = settle ? { admit: (job: Job) => this.admit(job), over: (job: Job) => this.over(job, undefined) } : this;
    return new MapRun(
      payloads,
      { concurrency, ordered, settle, grace: limits.grace ?? this.#grace, limits },
      this.#dispatcher.signals,
      (payload, each) => {
        this.#assertOpen();
        return this.#submit({ payload, limits: each, group, isPaced: true });
      },
    );
  }

  async scope<V>(body: (scope: JobScope) => V | PromiseLike<V>, options: ScopeOptions = NONE): Promise<V> {
    checkBody(body);
    const limits = checkScope(options);
    this.#assertOpen();
    return new Scope(this.#dispatcher, limits, this).execute(body);
  }

  #submit(submission: Parameters<Dispatcher['submit']>[0]): Job {
    return this.#dispatcher.submit({ ...submission, gate: this.#gate, grace: this.#grace });
  }

  #assertOpen(): void {
    if (this.#state === 'open') return;
    const why = this.#state === 'ended' ? 'has ended' : 'was cancelled';
    const called = this.#limits.name === undefined ? 'this scope' : `scope ${JSON.stringify(this.#limits.name)}`;
    throw new ScopeClosedError(`${called} ${why}, and takes no more jobs`, { job: 0, name: this.#limits.name }, { cause: this.#reason });
  }

  /** Where jobs fail together, the error is the scope's, and need not be handled here. */
  #handled<V>(promise: Promise<V>): Promise<V> {
    if (this.#limits.isTogether) promise.catch(() => {});
    return promise;
  }

  // ── from the beginning to the end

  async execute<V>(body: (scope: JobScope) => V | PromiseLike<V>): Promise<V> {
    const { signal, timeout } = this.#limits;
    if (signal?.aborted) throw abortReason(signal);
    this.#dispatcher.assertOpen();
    this.#outer?.enter(this);
    const onSignal: Abortable = { cancel: (reason) => this.#fail(reason) };
    if (signal !== undefined) this.#dispatcher.signals.add(signal, onSignal);
    const timer = timeout > 0 ? setTimeout(() => this.#fail(this.#late(timeout)), timeout) : undefined;
    try {
      return this.#conclude(await this.#run(body));
    } finally {
      clearTimeout(timer);
      if (signal !== undefined) this.#dispatcher.signals.remove(signal, onSignal);
      this.#state = 'ended';
      this.#outer?.leave(this);
    }
  }

  /** The body, until it and all that it began have ended. Undefined: the scope was cancelled, and the body has not ended within `grace`. */
  async #run<V>(body: (scope: JobScope) => V | PromiseLike<V>): Promise<BodyEnd<V> | undefined> {
    const running = (async () => body(this))().then(
      (value): BodyEnd<V> => ({ value }),
      (error: unknown): BodyEnd<V> => ({ error }),
    );
    const cancelled = new Promise<undefined>((resolve) => {
      this.#whenCancelled = () => resolve(undefined);
      if (this.#state === 'cancelled') resolve(undefined);
    });
    let ended = await Promise.race([running, cancelled]);
    if (ended !== undefined && 'error' in ended) this.#fail(ended.error);
    if (ended === undefined) {
      await this.quiet();
      ended = await patiently(running, this.#grace);
    }
    await this.#shut();
    return ended;
  }

  /**
   * Until nothing is in it, and then nothing comes any more, from the same step on. What a caller does next when a job has ended it does in
   * microtasks, however many: they are over with this turn of the event loop, and what it has begun is in the scope by then.
   */
  async #shut(): Promise<void> {
    do {
      await this.quiet();
      await new Promise((resolve) => setImmediate(resolve));
    } while (!this.#isQuiet);
    this.#state = 'ended';
  }

  #conclude<V>(ended: BodyEnd<V> | undefined): V {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (ended === undefined) throw this.#reason;
    if ('error' in ended) throw ended.error;
    return ended.value;
  }

  #late(timeout: number): JobTimeoutError {
    const { name } = this.#limits;
    const called = name === undefined ? 'the scope' : `scope ${JSON.stringify(name)}`;
    return new JobTimeoutError(`${called} has taken more than ${timeout} ms`, { job: 0, name });
  }

  // ── what becomes of its jobs

  admit(job: Job): void {
    this.#assertOpen();
    this.#jobs.add(job);
  }

  over(job: Job, failure: Failure | undefined): void {
    this.#jobs.delete(job);
    if (failure !== undefined && this.#limits.isTogether) this.#fail(failure.error);
    this.#look();
  }

  enter(scope: Scope): void {
    this.#inner.add(scope);
  }

  leave(scope: Scope): void {
    this.#inner.delete(scope);
    this.#look();
  }

  #fail(error: unknown): void {
    if (this.#state === 'ended') return;
    // What the rest is cancelled with comes back as its error.
    if (this.#failure === undefined && !(this.#state === 'cancelled' && error === this.#reason)) this.#failure = { error };
    void this.cancel(error);
  }

  cancel(reason: unknown = new DOMException('This operation was aborted', 'AbortError')): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'cancelled';
      this.#reason = reason;
      for (const job of [...this.#jobs]) this.#dispatcher.cancelJob(job, reason);
      for (const scope of [...this.#inner]) void scope.cancel(reason);
      this.#controller?.abort(reason);
      this.#whenCancelled();
    }
    return this.quiet();
  }

  /** Resolves when no job and no scope is in it. */
  quiet(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenQuiet.push(resolve);
      this.#look();
    });
  }

  get #isQuiet(): boolean {
    return this.#jobs.size === 0 && this.#inner.size === 0;
  }

  #look(): void {
    if (this.#isQuiet) for (const then of this.#whenQuiet.splice(0)) then();
  }
}
