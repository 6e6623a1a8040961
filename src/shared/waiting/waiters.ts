/** The waiters of one thread that do not block it: a promise for each cell. */

import { now } from '../clock.ts';
import type { AcquireTimeoutError } from '../errors.ts';
import { COUNTER_FROM_LINE, COUNTER_REJECTED, COUNTER_TIMED_OUT } from '../layout.ts';
import type { Lending } from '../lending/lending.ts';
import { type Ended, ended } from '../lending/outcome.ts';
import { clearTimeout, queueMicrotask, setTimeout } from '../node.ts';
import { cellState, GRANTED, MARK_TRIES, NONE, REASON_CLOSED, REASON_FACTORY } from '../words/line.ts';
import { abortReason, SharedAbortListeners } from './abort-signals.ts';
import { type Cancellation, canceller } from './cancellation.ts';
import type { KeepAlive } from './keep-alive.ts';

/** What to say to a waiter that gets nothing. */
export interface WaiterErrors {
  /** For a REASON_ of line.ts. The cell and its ticket tell which waiter it is. */
  refusal(reason: number, cell: number, ticket: number): unknown;
  /** `thread`: the thread that has waited, or on whose behalf this one has. */
  timedOut(timeout: number, thread: number, knot: AcquireTimeoutError['knot']): Error;
  /** The deadlock that it stands behind, while it still does. */
  knot(): AcquireTimeoutError['knot'];
}

/** A waiter that is no promise. */
export interface Stander {
  /** It has that slot now. Must not throw. */
  granted(slot: number): void;
  /** It gets none, and stands in line no more. */
  refused(error: unknown): void;
}

/** Its place in the line. */
export interface Standing {
  /** Leaves the line. False: it was granted a slot or refused before, and hears of that. */
  leave(): boolean;
  /** Leaves the line in any case, and hears nothing more: what it was granted goes to the next. */
  withdraw(): void;
}

/** What waits by a promise, and may have to leave the line. */
export interface Leaver {
  /** It waits from now on. `leave` takes it out of the line, if it still stands there, and rejects its promise with `reason`. */
  waits(leave: (reason: unknown) => void): void;
}

interface Waiter {
  /** May change: see `exchange`. */
  cell: number;
  ticket: number;
  /** The thread on whose behalf it waits. */
  readonly thread: number;
  readonly tries: boolean;
  /** Undefined: how long it waits is not recorded here. */
  readonly since: number | undefined;
  readonly deliver: (slot: number) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  timer: NodeJS.Timeout | undefined;
  /** Those that end it: the caller's, and that of the part. */
  readonly signals: AbortSignal[];
  /** The part of the program that waits, if it can be cancelled. */
  readonly part: Cancellation | undefined;
  older: Waiter | undefined;
  younger: Waiter | undefined;
  isPending: boolean;
}

export class Waiters {
  readonly #lending: Lending;
  readonly #keepAlive: KeepAlive;
  readonly #errors: WaiterErrors;
  readonly #signals = new SharedAbortListeners((signal) => this.#abort(signal));
  /** By ticket, as the line serves them: a list, since they go from anywhere. */
  #oldest: Waiter | undefined;
  #youngest: Waiter | undefined;
  #size = 0;
  /** Waiters that only try are sent away out of order. */
  #trying = 0;
  #pollQueued = false;

  constructor(lending: Lending, keepAlive: KeepAlive, errors: WaiterErrors) {
    this.#lending = lending;
    this.#keepAlive = keepAlive;
    this.#errors = errors;
  }

  get size(): number {
    return this.#size;
  }

  /** What `deliver` makes of the slot that the waiter in this cell gets, or null if it only `tries` and there is nothing. */
  wait<V>(
    cell: number,
    timeout: number,
    signal: AbortSignal | undefined,
    deliver: (slot: number) => V,
    tries: boolean,
    part?: Cancellation,
    leaver?: Leaver,
  ): Promise<V | null> {
    return new Promise<unknown>((resolve, reject) => {
      const waiter = this.#begin(cell, this.#lending.me, tries, now(), deliver, resolve, reject, part);
      if (timeout > 0) waiter.timer = setTimeout(() => this.#timeOut(waiter, timeout), timeout);
      if (signal !== undefined) this.#endsBy(waiter, signal);
      const ofPart = part?.signal;
      if (ofPart !== undefined && waiter.isPending) this.#endsBy(waiter, ofPart);
      leaver?.waits((reason) => {
        if (waiter.isPending) this.#withdraw(waiter, reason);
      });
    }) as Promise<V | null>;
  }

  /** The same for a waiter that is no promise, has no limits, and may leave. `isTimed`: how long it waits is recorded here. */
  stand(cell: number, stander: Stander, thread: number, isTimed: boolean): Standing {
    const deliver = (slot: number): void => stander.granted(slot);
    const refuse = (error: unknown): void => stander.refused(error);
    const since = isTimed ? now() : undefined;
    const waiter = this.#begin(cell, thread, false, since, deliver, () => {}, refuse, undefined);
    return {
      leave: () => this.#leave(waiter),
      withdraw: () => {
        if (waiter.isPending) this.#leaveAnyway(waiter);
      },
    };
  }

  #begin(
    cell: number,
    thread: number,
    tries: boolean,
    since: number | undefined,
    deliver: Waiter['deliver'],
    resolve: Waiter['resolve'],
    reject: Waiter['reject'],
    part: Cancellation | undefined,
  ): Waiter {
    const waiter: Waiter = {
      cell,
      ticket: this.#lending.block.line.ticket(cell),
      thread,
      tries,
      since,
      deliver,
      resolve,
      reject,
      part,
      timer: undefined,
      signals: [],
      older: undefined,
      younger: undefined,
      isPending: true,
    };
    this.#enter(waiter);
    this.#keepAlive.ref();
    return waiter;
  }

  #leave(waiter: Waiter): boolean {
    if (!waiter.isPending || !this.#lending.leave(waiter.cell)) return false;
    this.#finish(waiter);
    return true;
  }

  #endsBy(waiter: Waiter, signal: AbortSignal): void {
    // Before: one that is not Node's may abort as soon as it is listened to.
    waiter.signals.push(signal);
    try {
      this.#signals.add(signal);
      // Standing in line calls out on the owner: to a factory, or a hook, that may have aborted it.
      if (waiter.isPending && signal.aborted) this.#withdraw(waiter, abortReason(signal));
    } catch (error) {
      // A signal that is not Node's may throw, and then it is not listened to. What this waiter is granted would never be collected.
      waiter.signals.pop();
      if (waiter.isPending) this.#withdraw(waiter, error);
    }
  }

  // ── the list

  /**
   * Most often behind all others. But to stand in line may call out on the owner, to a factory or a hook, and what that asks of the pool
   * comes here first, with a younger ticket.
   */
  #enter(waiter: Waiter): void {
    let older = this.#youngest;
    let younger: Waiter | undefined;
    while (older !== undefined && ((waiter.ticket - older.ticket) | 0) < 0) {
      younger = older;
      older = older.older;
    }
    waiter.older = older;
    waiter.younger = younger;
    if (older === undefined) this.#oldest = waiter;
    else older.younger = waiter;
    if (younger === undefined) this.#youngest = waiter;
    else younger.older = waiter;
    this.#size++;
    if (waiter.tries) this.#trying++;
  }

  #remove(waiter: Waiter): void {
    const { older, younger } = waiter;
    if (older === undefined) this.#oldest = younger;
    else older.younger = younger;
    if (younger === undefined) this.#youngest = older;
    else younger.older = older;
    // It would keep those behind it alive for as long as it has not been collected, and they the next.
    waiter.older = undefined;
    waiter.younger = undefined;
    this.#size--;
    if (waiter.tries) this.#trying--;
  }

  #all(): Waiter[] {
    const all: Waiter[] = [];
    for (let waiter = this.#oldest; waiter !== undefined; waiter = waiter.younger) all.push(waiter);
    return all;
  }

  // ── being served

  /** Settles the waiters that were served. The line serves the oldest first: behind one that has not been served, none has. */
  poll(): void {
    for (let waiter = this.#oldest; waiter !== undefined; ) {
      const { younger } = waiter;
      const outcome = this.#lending.collect(waiter.cell);
      if (outcome.kind === 'pending') {
        // Unless its ticket has been damaged: then it is not first any more.
        if (this.#trying === 0 && this.#lending.block.line.ticket(waiter.cell) === waiter.ticket) return;
        waiter = younger;
        continue;
      }
      this.#conclude(this.#finish(waiter), outcome);
      // Concluding one may end others, or all: its error comes by the port, and so does the end of the pool.
      waiter = younger?.isPending === false ? this.#oldest : younger;
    }
  }

  /** `poll`, soon: after whatever this thread is in the middle of. */
  pollSoon(): void {
    if (this.#pollQueued || this.#size === 0) return;
    this.#pollQueued = true;
    queueMicrotask(() => {
      this.#pollQueued = false;
      this.poll();
    });
  }

  /**
   * For a thread that is about to sleep in line, in `cell`: if one of its other waiters has been granted something, the sleeper takes
   * that and the other gets the sleeper's place. A sleeping thread could not pick it up, and all waiters (of this thread, too) would wait
   * for a slot that lies ready. NONE also if the sleeper itself has been served, or sent away, by now.
   */
  exchange(cell: number): number {
    const { line } = this.#lending.block;
    const { me } = this.#lending;
    // A waiter that only tries has no place to give: the sleeper would be told in it that there is nothing.
    if ((line.mark(cell) & MARK_TRIES) !== 0) return NONE;
    for (const waiter of this.#all()) {
      if (!waiter.isPending || this.#lending.isWaiting(waiter.cell)) continue;
      const tag = line.tag(cell);
      const isGranted = cellState(line.load(waiter.cell)) === GRANTED;
      // Before the slot is this thread's: what has it must not be said to sleep for another. A try would not have waited, so it does not
      // take the sleeper's place. The sleeper leaves that, or a later grant would never be picked up.
      if (isGranted && waiter.tries) this.withdraw(cell);
      else if (isGranted && !line.exchange(cell, waiter.cell, me)) return NONE;
      const outcome = this.#lending.collect(waiter.cell);
      if (outcome.kind !== 'served') {
        this.#conclude(this.#finish(waiter), ended(outcome));
        continue;
      }
      if (waiter.tries) {
        this.#lending.setTag(outcome.slot, tag);
        this.#finish(waiter).resolve(null);
        return outcome.slot;
      }
      this.#remove(waiter);
      waiter.cell = cell;
      waiter.ticket = line.ticket(cell);
      this.#enter(waiter);
      return outcome.slot;
    }
    return NONE;
  }

  // ── leaving

  /**
   * No waiter is served any more: rejects all of them (those that only try get nothing), and passes on what they were granted. A waiter
   * that was refused before hears of that, by the factory's error for instance: the pool may have ended right behind it.
   */
  abandon(error: () => unknown): void {
    for (const waiter of this.#all()) {
      if (!waiter.isPending) continue;
      if (waiter.tries) waiter.resolve(null);
      else this.#countOne(COUNTER_REJECTED);
      // First: see #leaveAnyway.
      this.#finish(waiter);
      const ticket = this.#lending.block.line.ticket(waiter.cell);
      const refused = this.#lending.withdraw(waiter.cell);
      const isOver = refused === undefined || refused.reason === REASON_CLOSED;
      waiter.reject(isOver ? error() : this.#errors.refusal(refused.reason, waiter.cell, ticket));
    }
  }

  #abort(signal: AbortSignal): void {
    for (const waiter of this.#all()) if (waiter.isPending && waiter.signals.includes(signal)) this.#withdraw(waiter, abortReason(signal));
  }

  #withdraw(waiter: Waiter, reason: unknown): void {
    this.#leaveAnyway(waiter);
    waiter.reject(reason);
  }

  #leaveAnyway(waiter: Waiter): void {
    // First: leaving calls out on the owner, and a waiter that joins from there may get this very cell.
    this.#finish(waiter);
    this.withdraw(waiter.cell);
  }

  /** Out of the line, for good: what it was granted is passed on, and what the factory failed with is not kept for it. */
  withdraw(cell: number): void {
    const ticket = this.#lending.block.line.ticket(cell);
    if (this.#lending.withdraw(cell)?.reason === REASON_FACTORY) this.#errors.refusal(REASON_FACTORY, cell, ticket);
  }

  #timeOut(waiter: Waiter, timeout: number): void {
    this.#finish(waiter);
    const knot = this.#errors.knot();
    // Served first: then it has a resource, or its error.
    if (!this.#lending.leave(waiter.cell)) return this.#conclude(waiter, ended(this.#lending.collect(waiter.cell)));
    this.#countOne(COUNTER_TIMED_OUT);
    waiter.reject(this.#errors.timedOut(timeout, waiter.thread, knot));
  }

  // ── the end of a wait

  #conclude(waiter: Waiter, outcome: Ended): void {
    if (outcome.kind === 'served') {
      this.#countOne(COUNTER_FROM_LINE);
      try {
        // This runs in whatever part has served it; what it gets is its own part's.
        return waiter.resolve(
          canceller === undefined ? waiter.deliver(outcome.slot) : canceller.within(waiter.part, () => waiter.deliver(outcome.slot)),
        );
      } catch (error) {
        return waiter.reject(error);
      }
    }
    const { reason } = outcome;
    if (waiter.tries && reason !== REASON_FACTORY) return waiter.resolve(null);
    this.#countOne(COUNTER_REJECTED);
    waiter.reject(this.#errors.refusal(reason, waiter.cell, waiter.ticket));
  }

  #finish(waiter: Waiter): Waiter {
    this.#remove(waiter);
    waiter.isPending = false;
    clearTimeout(waiter.timer);
    for (const signal of waiter.signals) this.#signals.remove(signal);
    this.#keepAlive.unref();
    if (waiter.since !== undefined) this.#lending.block.waitTimes.record(now() - waiter.since);
    return waiter;
  }

  #countOne(counter: number): void {
    this.#lending.block.counters.add(this.#lending.me, counter);
  }
}
