/**
 * Borrowing, from the options to the slot, on every thread and in both ways of waiting. Two beginnings, which differ in what they ask
 * for, and two ways to wait, which differ in nothing else:
 *
 *   acquire:  check the options, refuse, `tryBorrow`;  or else `enqueue`  ─┐              ┌─ with a promise: `waitFor`
 *                                                                          ├─ `collect`, ─┤
 *   try:      (its caller has asked `tryBorrow`)            `tryEnqueue`  ─┘              └─ asleep: `sleep`
 *
 * The fast path is not here: `acquire` and its brothers ask `Lending.tryBorrow` themselves before they come here (see `Lending` for why).
 */
import { threadId } from 'node:worker_threads';
import { now } from '../clock.ts';
import type { AcquireTimeoutError } from '../errors.ts';
import { COUNTER_FROM_LINE, COUNTER_REJECTED, COUNTER_TIMED_OUT } from '../layout.ts';
import type { Lending } from '../lending/lending.ts';
import type { Ended, TIMED_OUT } from '../lending/outcome.ts';
import { type AcquireContext, acquires, publicError } from '../observing/channels.ts';
import { checkAcquireOptions } from '../options/acquire-options.ts';
import type { AcquireOptions } from '../types.ts';
import { throwIfAborted } from '../waiting/abort-signals.ts';
import type { BellListener } from '../waiting/bell-listener.ts';
import { sleepInLine } from '../waiting/blocking.ts';
import { type Cancellation, canceller, throwIfCancelled } from '../waiting/cancellation.ts';
import type { Leaver, Stander, Standing, Waiters } from '../waiting/waiters.ts';
import { cellState, GRANTED, MARK_SYNC, MARK_TRIES, markBehalf, NONE, REASON_FACTORY } from '../words/line.ts';
import { breakerOf, isEvicting, isRefusing, isSuspended, RECOVERING } from '../words/state.ts';
import { OWNER } from '../words/threads.ts';
import type { RefusalSource, Refusals } from './refusals.ts';

/** What only the side of this thread knows: the owner's or a worker's. */
export interface Side extends RefusalSource {
  readonly name: string;
  /** Adds one to a counter of this thread, unless it has none any more. */
  countOne(counter: number): void;
}

/** A thread that may sleep in line. */
export interface BlockingThread {
  /** Called before it sleeps, for what it has put off and others may wait for. */
  beforeSleep(): void;
  /** Called when it has slept for a while and nothing rang. Throws to give up. */
  assertOwnerAlive(): void;
}

/** A place in line that is WAITING, and the limits of the wait there. */
interface Place {
  /** Of one that sleeps it may change: see `#insteadOfOuter`. NONE: it has none any more. */
  cell: number;
  /** As it was while the cell was certainly this waiter's. */
  ticket: number;
  /** In ms; 0: no limit. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** It only tries: where there is nothing to be had, that is no error. */
  readonly tries: boolean;
}

export class Acquiring {
  readonly #lending: Lending;
  readonly #waiters: Waiters;
  readonly #bellListener: BellListener;
  readonly #refusals: Refusals;
  readonly #side: Side;
  /** The places in which this thread sleeps: each but the first in code that was called while it slept in the one before. */
  readonly #asleep: Place[] = [];

  constructor(lending: Lending, waiters: Waiters, bellListener: BellListener, refusals: Refusals, side: Side) {
    this.#lending = lending;
    this.#waiters = waiters;
    this.#bellListener = bellListener;
    this.#refusals = refusals;
    this.#side = side;
  }

  // ── the four ways to borrow

  /**
   * What `deliver` makes of a slot, in the moment in which it is this thread's; waiting for one, if need be. One promise, as thousands
   * may wait. Rejects as `ResourcePool.acquire` does.
   */
  acquire<V>(options: AcquireOptions | undefined, deliver: (slot: number) => V, leaver?: Leaver): Promise<V> {
    if (!this.#lending.isPublished) return this.#acquireUnpublished(options, deliver, leaver);
    const context = this.#context(false);
    const started = now();
    let waits = false;
    const deliverAndSay = (slot: number): V => {
      context.slot = slot;
      context.waited = waits ? now() - started : 0;
      return deliver(slot);
    };
    const acquire = (): Promise<V> => {
      const acquired = this.#acquireUnpublished(options, deliverAndSay, leaver);
      waits = true;
      return acquired;
    };
    const failed = publicError(this.#side.name);
    return acquires.promise(context, acquire, (thrown) => {
      context.waited = waits ? now() - started : 0;
      return failed(thrown);
    });
  }

  #acquireUnpublished<V>(options: AcquireOptions | undefined, deliver: (slot: number) => V, leaver: Leaver | undefined): Promise<V> {
    try {
      const got = this.#acquire(options, 0);
      if (typeof got === 'number') return Promise.resolve(deliver(got));
      // It does not only try, so it is never told that there is nothing.
      return this.#waitFor(got, deliver, leaver) as Promise<V>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * A slot, or a place in the line for a waiter that has no limits and may leave it. Throws what `acquire` rejects with. Nothing of it is
   * published.
   */
  stand(stander: Stander): number | Standing {
    return this.#stand(this.#acquire(WITHOUT_LIMITS, 0), stander, this.#lending.me, false);
  }

  /** The same on behalf of that thread. How long it waits is recorded. */
  standFor(thread: number, stander: Stander): number | Standing {
    return this.#stand(this.#acquire(WITHOUT_LIMITS, markBehalf(thread)), stander, thread, true);
  }

  /**
   * The same for a waiter that has stood in line before, and left it for another's sake: it is let in where no new one is. It does not
   * borrow past the line.
   */
  standAgain(thread: number, stander: Stander): number | Standing {
    const { block } = this.#lending;
    const cell = this.#lending.join(markBehalf(thread));
    if (cell === NONE) throw this.#rejected(this.#refusals.queueFull());
    const state = block.state.load();
    if (isEvicting(state) && this.#lending.leave(cell)) throw this.#rejected(this.#refusals.refused(state));
    this.#lending.match();
    return this.#stand(this.#inLine(cell, 0, undefined, false), stander, thread, true);
  }

  #stand(got: number | Place, stander: Stander, thread: number, isTimed: boolean): number | Standing {
    if (typeof got === 'number') return got;
    const standing = this.#waiters.stand(got.cell, stander, thread, isTimed);
    this.#listen();
    return standing;
  }

  /** Throws what `stand` would throw, for a waiter that stands behind another of this thread and takes no place. */
  assertRoom(): void {
    this.assertOpen();
    if (!this.#hasRoom) throw this.#rejected(this.#refusals.queueFull());
  }

  /**
   * What `deliver` makes of a slot, or null: nothing is available. For an async function to return:
   * throws the factory's error, or rejects with it.
   */
  tryAcquire<V>(deliver: (slot: number) => V): V | null | Promise<V | null> {
    const got = this.#tryAcquire();
    if (typeof got !== 'number') return this.#waitFor(got, deliver);
    return got === NONE ? null : deliver(got);
  }

  /** A slot. Blocks the thread. Throws what `acquire` rejects with, or what `thread.assertOwnerAlive` throws. */
  acquireSync(options: AcquireOptions | undefined, thread: BlockingThread): number {
    if (!this.#lending.isPublished) return this.#acquireSync(options, thread);
    const context = this.#context(true);
    const acquire = (): number => (context.slot = this.#acquireSync(options, thread, context));
    return acquires.sync(context, acquire, publicError(this.#side.name));
  }

  #acquireSync(options: AcquireOptions | undefined, thread: BlockingThread, context?: AcquireContext): number {
    const got = this.#acquire(options, MARK_SYNC);
    if (context !== undefined) context.waited = 0;
    if (typeof got === 'number') return got;
    const started = now();
    try {
      return this.#sleep(got, thread);
    } finally {
      if (context !== undefined) context.waited = now() - started;
    }
  }

  #context(sync: boolean): AcquireContext {
    const { name } = this.#side;
    const { threads } = this.#lending.block;
    return { pool: name, owner: threads.threadId(OWNER), threadId, sync };
  }

  /** A slot, or NONE. Blocks the thread while the owner looks. */
  tryAcquireSync(thread: BlockingThread): number {
    const got = this.#tryAcquire();
    return typeof got === 'number' ? got : this.#sleep(got, thread);
  }

  /** Throws if the pool lets no borrower in. */
  assertOpen(): void {
    if (this.#isDetached()) throw this.#rejected(this.#refusals.detached());
    const state = this.#lending.block.state.load();
    if (isRefusing(state)) throw this.#rejected(this.#refusals.refused(state));
  }

  // ── the two beginnings: a slot, or a place in line to wait in

  #acquire(options: AcquireOptions | undefined, mark: number): number | Place {
    const { timeout = this.#lending.block.constants.acquireTimeout, signal } = checkAcquireOptions(options);
    throwIfAborted(signal);
    throwIfCancelled();
    this.assertOpen();
    const slot = this.#lending.tryBorrowUnpublished();
    return slot === NONE ? this.#inLine(this.#enqueue(mark), timeout, signal, false) : slot;
  }

  #tryAcquire(): number | Place {
    // Its caller has asked, but where acquires are published was told nothing.
    const slot = this.#lending.isPublished ? this.#lending.tryBorrowUnpublished() : NONE;
    if (slot !== NONE) return slot;
    const cell = this.#tryEnqueue();
    return cell === NONE ? NONE : this.#inLine(cell, 0, undefined, true);
  }

  #inLine(cell: number, timeout: number, signal: AbortSignal | undefined, tries: boolean): number | Place {
    const place = { cell, ticket: this.#lending.block.line.ticket(cell), timeout, signal, tries };
    const outcome = this.#lending.collect(cell);
    return outcome.kind === 'pending' ? place : this.#conclude(place, outcome);
  }

  /** Joins the line. Throws if there is no room, or if the pool lets no borrower in. */
  #enqueue(mark: number): number {
    const { block } = this.#lending;
    const cell = this.#hasRoom ? this.#lending.join(mark) : NONE;
    if (cell === NONE) throw this.#rejected(this.#refusals.queueFull());
    // Read after the cell waits. A thread that closes or deactivates moves the state, and then
    // sends all waiters away: one of the two sees the other.
    const state = block.state.load();
    if (isRefusing(state) && this.#lending.leave(cell)) throw this.#rejected(this.#refusals.refused(state));
    this.#lending.match();
    return cell;
  }

  /** Places serve as many as there are, unless only so many probes are let out, or nothing is. */
  get #hasRoom(): boolean {
    const { block } = this.#lending;
    return block.hasRoom || (this.#isServing() && !block.snapshot.isSupplyExhausted(true));
  }

  #isServing(): boolean {
    const state = this.#lending.block.state.load();
    return breakerOf(state) !== RECOVERING && !isSuspended(state);
  }

  /** Joins the line with the mark that asks to be told if there is nothing; NONE: that much is clear at once. */
  #tryEnqueue(): number {
    const { block } = this.#lending;
    if (this.#isDetached() || this.#isHopeless()) return NONE;
    // Another waiter that only tries may be sent away, so it does not stand before us.
    if (block.snapshot.isSupplyExhausted(false)) return NONE;
    const cell = this.#lending.join(MARK_TRIES);
    if (cell === NONE) return NONE;
    if (this.#isHopeless() && this.#lending.leave(cell)) return NONE;
    this.#lending.match();
    // The owner says no where there is nothing.
    this.#lending.matching.callOwner();
    return cell;
  }

  /** For one that only tries. */
  #isHopeless(): boolean {
    const state = this.#lending.block.state.load();
    return isRefusing(state) || isSuspended(state);
  }

  // ── the two ways to wait

  #waitFor<V>({ cell, timeout, signal, tries }: Place, deliver: (slot: number) => V, leaver?: Leaver): Promise<V | null> {
    const served = this.#waiters.wait(cell, timeout, signal, deliver, tries, canceller?.present(), leaver);
    this.#listen();
    return served;
  }

  /** Listen, then look again: the waiter may have been served before this thread listened. */
  #listen(): void {
    this.#bellListener.listen();
    this.#waiters.pollSoon();
  }

  #sleep(place: Place, thread: BlockingThread): number {
    const part: Cancellation | undefined = canceller?.present();
    const since = now();
    let outcome: Ended | typeof TIMED_OUT;
    let knot: AcquireTimeoutError['knot'];
    this.#asleep.push(place);
    try {
      thread.beforeSleep();
      outcome = sleepInLine(this.#lending, place.cell, place.timeout, {
        assertOwnerAlive: () => thread.assertOwnerAlive(),
        assertGoesOn: () => throwIfCancelled(part),
        instead: () => this.#instead(place),
        beforeLeaving: () => {
          knot = this.#refusals.knot();
        },
        cellNow: () => place.cell,
      });
    } catch (error) {
      // Code that ran meanwhile may have left the pool, and the cell be another waiter's.
      const isThere = place.cell !== NONE && this.#lending.block.line.ticket(place.cell) === place.ticket;
      if (isThere) this.#waiters.withdraw(place.cell);
      throw error;
    } finally {
      this.#asleep.pop();
      this.#lending.block.waitTimes.record(now() - since);
    }
    if (outcome.kind === 'served') this.#lending.block.counters.add(this.#lending.me, COUNTER_FROM_LINE);
    return this.#conclude(place, outcome, knot);
  }

  /** What lies ready for another waiter of this thread. */
  #instead(place: Place): number {
    const slot = this.#asleep.length > 1 ? this.#insteadOfOuter(place) : NONE;
    return slot === NONE && this.#waiters.size > 0 ? this.#waiters.exchange(place.cell) : slot;
  }

  /**
   * As `Waiters.exchange`, for what has been granted to one that sleeps further out in this thread. That one cannot go on before this one
   * does, so it gets this one's place.
   */
  #insteadOfOuter(place: Place): number {
    if (place.tries) return NONE;
    const { line } = this.#lending.block;
    for (const outer of this.#asleep) {
      if (outer === place || outer.cell === NONE || cellState(line.load(outer.cell)) !== GRANTED) continue;
      const tag = line.tag(place.cell);
      // In the order in which `Waiters.exchange` does it, and for its reasons.
      if (outer.tries) this.#waiters.withdraw(place.cell);
      else if (!line.exchange(place.cell, outer.cell, this.#lending.me)) return NONE;
      const outcome = this.#lending.collect(outer.cell);
      if (outcome.kind !== 'served') continue;
      if (outer.tries) this.#lending.setTag(outcome.slot, tag);
      outer.cell = outer.tries ? NONE : place.cell;
      outer.ticket = place.ticket;
      return outcome.slot;
    }
    return NONE;
  }

  // ── the end

  /** The slot, or NONE for a try that has found nothing. Throws for every other end. */
  #conclude({ cell, ticket, timeout, tries }: Place, outcome: Ended | typeof TIMED_OUT, knot?: AcquireTimeoutError['knot']): number {
    switch (outcome.kind) {
      case 'served':
        return outcome.slot;
      case 'timed-out':
        this.#side.countOne(COUNTER_TIMED_OUT);
        throw this.#refusals.timedOut(timeout, this.#lending.me, knot);
      case 'refused':
        if (tries && outcome.reason !== REASON_FACTORY) return NONE;
        throw this.#rejected(this.#refusals.refusal(outcome.reason, cell, ticket));
    }
  }

  #isDetached(): boolean {
    return this.#side.detachReason() !== undefined;
  }

  #rejected(error: unknown): unknown {
    this.#side.countOne(COUNTER_REJECTED);
    return error;
  }
}

const WITHOUT_LIMITS: AcquireOptions = { timeout: 0 };
