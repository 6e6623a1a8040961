/** `map`: a payload is taken from its source only when there is a place for its result, so a consumer that pauses pauses the source. */
import { AsyncResource } from 'node:async_hooks';
import { show } from '../shared/index.ts';
import { RunnerClosedError, ScopeClosedError } from './errors.ts';
import type { Job } from './job.ts';
import type { JobLimits } from './options.ts';
import { patiently } from './patience.ts';
import type { Abortable, Signals } from './signals.ts';

export interface MapSettings {
  readonly concurrency: number;
  readonly ordered: boolean;
  readonly settle: boolean;
  /** How long its end waits for the source to close, in ms. */
  readonly grace: number;
  /** Of each job; the signal is for all of the map. */
  readonly limits: JobLimits;
}

interface Wanting {
  resolve(result: IteratorResult<unknown>): void;
  reject(error: unknown): void;
}

const DONE = { done: true, value: undefined } as const;

export class MapRun implements AsyncIterableIterator<any>, Abortable {
  readonly #settings: MapSettings;
  readonly #limits: JobLimits;
  readonly #signals: Signals;
  readonly #submit: (payload: unknown, limits: JobLimits) => Job;
  readonly #open: () => Iterator<unknown> | AsyncIterator<unknown>;
  #source: Iterator<unknown> | AsyncIterator<unknown> | undefined;
  readonly #isAsync: boolean;
  readonly #caller = new AsyncResource('cenote.map', { requireManualDestroy: true });
  readonly #jobs = new Set<Job>();
  /** Payloads taken, and results given, so far. */
  #taken = 0;
  #given = 0;
  /** Finished, by number, and not taken by the consumer. */
  readonly #results = new Map<number, unknown>();
  readonly #wanting: Wanting[] = [];
  #hasBegun = false;
  #isTaking = false;
  #isSubmitting = false;
  #isExhausted = false;
  /** It ends before the source does: the consumer has left, or with this error, which is told once. */
  #stopped: { readonly error?: { readonly error: unknown } } | undefined;
  #isTold = false;
  /** What its jobs are cancelled with. */
  #reason: unknown;
  #closing: Promise<void> | undefined;
  #whenStill: (() => void)[] = [];

  constructor(
    payloads: Iterable<unknown> | AsyncIterable<unknown>,
    settings: MapSettings,
    signals: Signals,
    submit: (payload: unknown, limits: JobLimits) => Job,
  ) {
    const { [Symbol.asyncIterator]: later, [Symbol.iterator]: now } = Object(payloads) as Partial<
      AsyncIterable<unknown> & Iterable<unknown>
    >;
    if (typeof later !== 'function' && typeof now !== 'function')
      throw new TypeError(`map takes an iterable of payloads, not ${show(payloads)}`);
    this.#isAsync = typeof later === 'function';
    this.#open = () => ((later ?? now) as () => Iterator<unknown>).call(payloads);
    this.#settings = settings;
    this.#limits = { ...settings.limits, signal: undefined };
    this.#signals = signals;
    this.#submit = submit;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  // ── the consumer

  next(): Promise<IteratorResult<any>> {
    if (!this.#hasBegun) this.#heed();
    return new Promise((resolve, reject) => {
      this.#wanting.push({ resolve, reject });
      this.#advance();
    });
  }

  /** From the first call on: a map that nothing iterates leaves nothing behind at its signal. */
  #heed(): void {
    this.#hasBegun = true;
    const { signal } = this.#settings.limits;
    if (signal !== undefined && this.#stopped === undefined) this.#signals.add(signal, this);
  }

  /** The consumer leaves. */
  async return(): Promise<IteratorResult<any>> {
    this.#stopped ??= {};
    this.#isTold = true;
    this.#cancelAll(new DOMException('the consumer of map has left', 'AbortError'));
    await this.#still();
    return DONE;
  }

  async throw(error: unknown): Promise<IteratorResult<any>> {
    await this.return();
    throw error;
  }

  /** By its signal. */
  cancel(reason: unknown): void {
    this.#stop(reason);
  }

  // ── from the source to the runner

  #advance(): void {
    this.#give();
    if (this.#mayTake) this.#caller.runInAsyncScope(this.#take, this);
    this.#give();
  }

  get #mayTake(): boolean {
    if (this.#isTaking || this.#isExhausted || this.#stopped !== undefined) return false;
    return this.#jobs.size + this.#results.size < this.#settings.concurrency;
  }

  #take(): void {
    while (this.#mayTake) {
      this.#isTaking = true;
      let step: IteratorResult<unknown> | PromiseLike<IteratorResult<unknown>>;
      try {
        this.#source ??= this.#open();
        step = this.#source.next() as typeof step;
      } catch (error) {
        return this.#sourceFailed(error);
      }
      if (this.#isAsync || isThenable(step)) return this.#takeLater(step);
      try {
        const { done, value } = checked(step as IteratorResult<unknown>);
        // As `for await` does it.
        if (isThenable(value)) return this.#takeValue(value, done === true);
        this.#isTaking = false;
        this.#took(done === true, value);
      } catch (error) {
        return this.#sourceFailed(error);
      }
    }
  }

  #takeLater(step: IteratorResult<unknown> | PromiseLike<IteratorResult<unknown>>): void {
    Promise.resolve(step)
      .then(checked)
      .then(
        ({ done, value }) => this.#tookLater(done === true, value),
        (error) => this.#sourceFailed(error),
      );
  }

  /** What a source gives that is not asynchronous itself. If it rejects, the source goes on, so it is closed. */
  #takeValue(promise: PromiseLike<unknown>, isDone: boolean): void {
    Promise.resolve(promise).then(
      (value) => this.#tookLater(isDone, value),
      (error) => {
        this.#isTaking = false;
        this.#stop(error);
      },
    );
  }

  #tookLater(isDone: boolean, value: unknown): void {
    this.#isTaking = false;
    this.#took(isDone, value);
    this.#advance();
    this.#look();
  }

  #sourceFailed(error: unknown): void {
    this.#isTaking = false;
    // It is at its end, so it is not closed.
    this.#isExhausted = true;
    this.#stop(error);
  }

  #took(isDone: boolean, payload: unknown): void {
    if (isDone) this.#isExhausted = true;
    else if (this.#stopped === undefined) this.#begin(this.#taken++, payload);
  }

  #begin(number: number, payload: unknown): void {
    let job: Job;
    // To clone the payload may run any code, which may also end this.
    this.#isSubmitting = true;
    try {
      job = this.#submit(payload, this.#limits);
    } catch (error) {
      this.#isSubmitting = false;
      // Its end may have waited for this.
      this.#look();
      // No later payload would fare better.
      if (error instanceof RunnerClosedError || error instanceof ScopeClosedError) return this.#stop(error);
      return this.#failed(number, error);
    }
    this.#isSubmitting = false;
    this.#jobs.add(job);
    if (this.#stopped !== undefined) job.cancel(this.#reason);
    job.promise.then(
      (value) => {
        this.#jobs.delete(job);
        this.#results.set(number, this.#settings.settle ? { status: 'fulfilled', value } : value);
        this.#advance();
        this.#look();
      },
      (error) => {
        this.#jobs.delete(job);
        this.#failed(number, error);
        this.#advance();
        this.#look();
      },
    );
  }

  #failed(number: number, error: unknown): void {
    if (this.#settings.settle) this.#results.set(number, { status: 'rejected', reason: error });
    else this.#stop(error);
  }

  // ── to the consumer

  #give(): void {
    while (this.#wanting.length > 0 && this.#stopped === undefined) {
      const number = this.#settings.ordered ? this.#given : this.#results.keys().next().value;
      if (number === undefined || !this.#results.has(number)) break;
      const value = this.#results.get(number);
      this.#results.delete(number);
      this.#given++;
      this.#wanting.shift()!.resolve({ done: false, value });
    }
    if (!this.#isOver) return;
    this.#finish();
    const error = this.#stopped?.error;
    if (error !== undefined && !this.#isTold && this.#wanting.length > 0) {
      this.#isTold = true;
      this.#wanting.shift()!.reject(error.error);
    }
    for (const { resolve } of this.#wanting.splice(0)) resolve(DONE);
  }

  /** Nothing is under way any more, and nothing comes. A source that has been left may still be about to give something. */
  get #isOver(): boolean {
    if (this.#jobs.size > 0 || this.#isSubmitting) return false;
    if (this.#stopped !== undefined) return this.#closing === undefined;
    return this.#isExhausted && this.#results.size === 0;
  }

  // ── the end before the end

  #stop(error: unknown): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = { error: { error } };
    this.#cancelAll(error);
    this.#advance();
  }

  #cancelAll(reason: unknown): void {
    this.#reason = reason;
    for (const job of [...this.#jobs]) job.cancel(reason);
    this.#results.clear();
    this.#closeSource();
  }

  #closeSource(): void {
    const source = this.#source;
    if (source === undefined || this.#isExhausted) return;
    this.#isExhausted = true;
    const closed = this.#caller
      .runInAsyncScope(async () => void (await source.return?.()))
      // The first error is the one to tell.
      .catch(() => {});
    this.#closing = patiently(closed, this.#settings.grace).then(() => {
      this.#closing = undefined;
      this.#advance();
      this.#look();
    });
  }

  #finish(): void {
    const { signal } = this.#settings.limits;
    if (signal !== undefined) this.#signals.remove(signal, this);
  }

  /** Resolves when nothing is under way. */
  #still(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenStill.push(resolve);
      this.#advance();
      this.#look();
    });
  }

  #look(): void {
    if (this.#isOver) for (const then of this.#whenStill.splice(0)) then();
  }
}

function checked<R>(result: R): R {
  if (typeof result !== 'object' || result === null) throw new TypeError(`the source of map has given ${show(result)}, which is no result`);
  return result;
}

const isThenable = (value: unknown): value is PromiseLike<any> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
