/** The waiters of one thread that do not block it: a promise for each cell. */
import { now } from './clock.ts';
import type { KeepAlive } from './keep-alive.ts';
import { TALLY_REJECTED, TALLY_TIMED_OUT } from './layout.ts';
import { isServed, type Lending, PENDING, reasonOf } from './lending.ts';
import { MARK_TRIES, NONE, REASON_FACTORY, REASON_NOTHING } from './line.ts';

/** What to say to a waiter that gets nothing. */
export interface Refusals {
  /** For a REASON_ of line.ts. The cell and its ticket tell which waiter it is. */
  refusal(reason: number, cell: number, ticket: number): unknown;
  timedOut(timeout: number): Error;
}

interface Waiter {
  ticket: number;
  readonly tries: boolean;
  readonly since: number;
  readonly resolve: (slot: number) => void;
  readonly reject: (error: unknown) => void;
  timer: NodeJS.Timeout | undefined;
  readonly signal: AbortSignal | undefined;
}

export class Waiters {
  readonly #lending: Lending;
  readonly #keepAlive: KeepAlive;
  readonly #refusals: Refusals;
  readonly #pending = new Map<number, Waiter>();
  readonly #signals = new Map<AbortSignal, { waiters: number; readonly stop: () => void }>();
  #pollQueued = false;

  constructor(lending: Lending, keepAlive: KeepAlive, refusals: Refusals) {
    this.#lending = lending;
    this.#keepAlive = keepAlive;
    this.#refusals = refusals;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** A slot for the waiter in this cell, or NONE if it only tried. */
  wait(cell: number, timeout: number, signal: AbortSignal | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        ticket: this.#lending.block.line.ticket(cell),
        tries: (this.#lending.block.line.mark(cell) & MARK_TRIES) !== 0,
        since: now(),
        resolve,
        reject,
        timer: undefined,
        signal,
      };
      this.#pending.set(cell, waiter);
      this.#keepAlive.hold();
      // The cell may change under a waiter (`exchange`), so these find it anew.
      if (timeout > 0) waiter.timer = setTimeout(() => this.#timeOut(waiter, timeout), timeout);
      if (signal !== undefined) this.#listenTo(signal);
    });
  }

  /** Settles whoever was served. */
  poll(): void {
    for (const [cell, waiter] of this.#pending) {
      const outcome = this.#lending.collect(cell);
      if (outcome !== PENDING) this.#settle(cell, waiter, outcome);
    }
  }

  /** `poll`, soon: after whatever this thread is in the middle of. */
  pollSoon(): void {
    if (this.#pollQueued || this.#pending.size === 0) return;
    this.#pollQueued = true;
    queueMicrotask(() => {
      this.#pollQueued = false;
      this.poll();
    });
  }

  /**
   * For a thread that is about to sleep in line, in `cell`: if one of its other waiters has been granted something, the sleeper takes that and the other
   * gets the sleeper's place. A sleeping thread could not pick it up, and everybody (this thread, too) would wait for a slot that lies ready.
   */
  exchange(cell: number): number {
    // Somebody who only tries has no place to give: whoever got it would be told that there is nothing.
    if ((this.#lending.block.line.mark(cell) & MARK_TRIES) !== 0) return NONE;
    for (const [granted, waiter] of this.#pending) {
      if (this.#lending.isWaiting(granted)) continue;
      const outcome = this.#lending.collect(granted);
      this.#pending.delete(granted);
      if (!isServed(outcome)) {
        this.#settle(granted, waiter, outcome);
        continue;
      }
      if (waiter.tries) {
        // It would not have waited, so it does not take the sleeper's place either: the sleeper leaves it, or a later grant would lie there for ever.
        this.#finish(granted, waiter).resolve(NONE);
        if (!this.#lending.leave(cell)) this.#passOn(cell);
        return outcome;
      }
      waiter.ticket = this.#lending.block.line.ticket(cell);
      this.#pending.set(cell, waiter);
      return outcome;
    }
    return NONE;
  }

  /** Nobody is served any more: rejects everyone, and passes on what they were granted. */
  abandon(error: () => unknown): void {
    for (const [cell, waiter] of [...this.#pending]) {
      this.#finish(cell, waiter);
      if (!this.#lending.leave(cell)) this.#passOn(cell);
      waiter.reject(error());
    }
  }

  #timeOut(waiter: Waiter, timeout: number): void {
    const cell = this.#cellOf(waiter);
    // Served first: then it has a resource, or its error.
    this.#finish(cell, waiter);
    if (!this.#lending.leave(cell)) return this.#conclude(cell, waiter, this.#lending.collect(cell));
    this.#count(TALLY_TIMED_OUT);
    waiter.reject(this.#refusals.timedOut(timeout));
  }

  /** One listener for all waiters with this signal: many may share it, and Node warns of many listeners. */
  #listenTo(signal: AbortSignal): void {
    const known = this.#signals.get(signal);
    if (known !== undefined) {
      known.waiters++;
      return;
    }
    const abort = (): void => this.#abort(signal);
    signal.addEventListener('abort', abort, { once: true });
    this.#signals.set(signal, { waiters: 1, stop: () => signal.removeEventListener('abort', abort) });
  }

  #abort(signal: AbortSignal): void {
    for (const [cell, waiter] of [...this.#pending]) {
      if (waiter.signal !== signal || this.#pending.get(cell) !== waiter) continue;
      // First: leaving calls out on the owner, and whoever joins from there may get this very cell.
      this.#finish(cell, waiter);
      if (!this.#lending.leave(cell)) this.#passOn(cell);
      waiter.reject(signal.reason);
    }
  }

  /** Whoever cancels gives back what it won meanwhile. */
  #passOn(cell: number): void {
    const outcome = this.#lending.collect(cell);
    if (isServed(outcome)) this.#lending.giveBack(outcome);
  }

  #settle(cell: number, waiter: Waiter, outcome: number): void {
    this.#conclude(cell, this.#finish(cell, waiter), outcome);
  }

  #conclude(cell: number, waiter: Waiter, outcome: number): void {
    if (isServed(outcome)) return waiter.resolve(outcome);
    const reason = reasonOf(outcome);
    if (reason === REASON_NOTHING || (waiter.tries && reason !== REASON_FACTORY)) return waiter.resolve(NONE);
    this.#count(TALLY_REJECTED);
    waiter.reject(this.#refusals.refusal(reason, cell, waiter.ticket));
  }

  #finish(cell: number, waiter: Waiter): Waiter {
    this.#pending.delete(cell);
    clearTimeout(waiter.timer);
    if (waiter.signal !== undefined) this.#stopListeningTo(waiter.signal);
    this.#keepAlive.letGo();
    this.#lending.block.waitTimes.record(now() - waiter.since);
    return waiter;
  }

  #stopListeningTo(signal: AbortSignal): void {
    const known = this.#signals.get(signal);
    if (known === undefined || --known.waiters > 0) return;
    known.stop();
    this.#signals.delete(signal);
  }

  #cellOf(waiter: Waiter): number {
    for (const [cell, candidate] of this.#pending) if (candidate === waiter) return cell;
    return NONE;
  }

  #count(counter: number): void {
    this.#lending.block.tallies.add(this.#lending.me, counter);
  }
}
