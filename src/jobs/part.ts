/**
 * A job as its thread has it: whether it is cancelled, and what of it ends then. What the program sees of it is its context (context.ts).
 */
import type { MessagePort } from 'node:worker_threads';
import type { Cancellation } from '../shared/index.ts';
import { nameOf } from './errors.ts';
import { SAID, type ToRunner } from './protocol.ts';
import type { Seat } from './seat.ts';

interface Box {
  readonly reason: unknown;
}

/** What all jobs of a thread have in common. */
export interface Host {
  readonly port: MessagePort;
  readonly progressInterval: number;
  readonly pools: Readonly<Record<string, unknown>>;
  /** Takes what lies in the port: the reason of a cancel comes by it. */
  drain(): void;
  /** A rejection with this reason is no error of the program: its job is at an end. */
  excuse(reason: unknown): void;
}

export class Part implements Cancellation {
  /** Which seat is its. */
  readonly seat: number;
  readonly job: number;
  readonly name: string | undefined;
  readonly attempt: number;
  readonly startedAt = performance.now();
  readonly #host: Host;
  readonly #seat: Seat;
  #cancelled: Box | undefined;
  /** The job has been told: by its signal, or by an error that was thrown. */
  #isTold = false;
  #hasEnded = false;
  /** Why what it has left behind ends. Made when it is asked for: an error costs more than the rest of an empty job. */
  #ended: Box | undefined;
  #protected = 0;
  /** What the program has. */
  #own: AbortController | undefined;
  /** What ends waits in pools: at the end of the job, too. */
  #waits: AbortController | undefined;
  /** For what begins between an error that has told the job and the abort of `#waits`. */
  #told: AbortSignal | undefined;
  #unsaid: string | undefined;
  #saidAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(host: Host, seat: Seat, index: number, job: number, attempt: number, name: string | undefined) {
    this.#host = host;
    this.#seat = seat;
    this.seat = index;
    this.job = job;
    this.attempt = attempt;
    this.name = name;
  }

  get tag(): number {
    return this.job;
  }

  get pools(): Readonly<Record<string, unknown>> {
    return this.#host.pools;
  }

  // ── being cancelled

  /** The word has been set, or the reason has come already, which goes ahead of the word. */
  get isCancelled(): boolean {
    return this.#seat.isCancelled || this.#cancelled !== undefined;
  }

  /** The reason has come. `isAtOnce` false: listeners are not to run in the middle of what this thread is doing. */
  cancel(reason: unknown, isAtOnce: boolean): void {
    if (this.#cancelled !== undefined || this.#hasEnded) return;
    this.#cancelled = { reason };
    this.#host.excuse(reason);
    if (isAtOnce) this.#deliver();
    else queueMicrotask(() => this.#deliver());
  }

  /** Aborts the signals, unless that is held back. */
  #deliver(): void {
    if (this.#cancelled === undefined || this.#protected > 0 || this.#hasEnded) return;
    const { reason } = this.#cancelled;
    this.#isTold = true;
    this.#waits?.abort(reason);
    this.#own?.abort(reason);
  }

  cancelled(): Box | undefined {
    if (this.#hasEnded) return this.#end;
    if (!this.isCancelled || this.#protected > 0) return undefined;
    return this.#reason();
  }

  untold(): Box | undefined {
    const box = this.#isTold && !this.#hasEnded ? undefined : this.cancelled();
    if (box !== undefined) this.#isTold = true;
    return box;
  }

  /** The word is set, so the reason lies in the port, unless it has been taken. */
  #reason(): Box {
    if (this.#cancelled === undefined) this.#host.drain();
    return this.#cancelled ?? { reason: new Error(`${nameOf(this)} is cancelled`) };
  }

  /** Asked in the job's innermost loop, so it glances. */
  check(): void {
    if ((this.#cancelled === undefined && !this.#seat.glance()) || this.#protected > 0) return;
    const { reason } = this.#reason();
    this.#isTold = true;
    throw reason;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** What ends waits in a pool. */
  get signal(): AbortSignal | undefined {
    if (this.#protected > 0) return undefined;
    // It was told by an error, and the signal aborts later: what it does meanwhile is to clean up.
    if (this.#isTold && this.#cancelled !== undefined && this.#waits?.signal.aborted === false)
      return (this.#told ??= AbortSignal.abort(this.#cancelled.reason));
    if (this.#waits === undefined) {
      this.#waits = new AbortController();
      const box = this.cancelled();
      if (box !== undefined) this.#waits.abort(box.reason);
    }
    return this.#waits.signal;
  }

  get ownSignal(): AbortSignal {
    if (this.#own === undefined) {
      this.#own = new AbortController();
      const box = this.#protected > 0 ? undefined : this.#hasEnded ? this.#cancelled : this.cancelled();
      if (box !== undefined) this.#own.abort(box.reason);
    }
    return this.#own.signal;
  }

  async protect<V>(body: () => V | PromiseLike<V>): Promise<V> {
    this.#protected++;
    try {
      return await body();
    } finally {
      if (--this.#protected === 0 && this.isCancelled && !this.#hasEnded) {
        this.#reason();
        this.#deliver();
      }
    }
  }

  // ── progress

  progress(done: number, total: number | undefined, message: string | undefined): void {
    if (this.#hasEnded) return;
    this.#seat.report(Number(done), total === undefined ? Number.NaN : Number(total));
    if (message !== undefined) this.#say(String(message));
  }

  /** The last message of an interval, not each. */
  #say(message: string): void {
    this.#unsaid = message;
    const left = this.#saidAt + this.#host.progressInterval - performance.now();
    if (left <= 0) this.#flush();
    else
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#flush();
      }, left).unref();
  }

  #flush(): void {
    if (this.#unsaid === undefined) return;
    this.#host.port.postMessage([SAID, this.seat, this.#unsaid] satisfies ToRunner);
    this.#unsaid = undefined;
    this.#saidAt = performance.now();
  }

  // ── the end

  /** The job's function has ended: what it has left waiting waits no longer, and takes nothing any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#flush();
    this.#protected = 0;
    this.#hasEnded = true;
    if (this.#waits === undefined || this.#waits.signal.aborted) return;
    const { reason } = this.#end;
    this.#host.excuse(reason);
    this.#waits.abort(reason);
  }

  get #end(): Box {
    this.#ended ??= { reason: this.#cancelled?.reason ?? new Error(`${nameOf(this)} has ended`) };
    return this.#ended;
  }
}
