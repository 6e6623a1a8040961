/** What every thread can do with a pool; the owner and the workers differ only in what they hand out. */
import { inspect } from 'node:util';
import { now } from '../clock.ts';
import {
  AcquireTimeoutError,
  asError,
  NotBorrowedError,
  PoolClosedError,
  PoolError,
  QueueFullError,
  ServiceUnavailableError,
  show,
} from '../errors.ts';
import { COUNTER_REJECTED, FEATURE_TRACE } from '../layout.ts';
import { isServed, Lending, PENDING, reasonOf } from '../lending/lending.ts';
import { Traces } from '../lending/traces.ts';
import { checkAcquireOptions, checkBody } from '../options/acquire-options.ts';
import {
  type AcquireOptions,
  type Arguments,
  CircuitBreakerState,
  type Lease,
  type MethodName,
  type PoolStats,
  type ResourcePool,
  type Result,
} from '../types.ts';
import { throwIfAborted } from '../waiting/abort-signals.ts';
import { BellListener } from '../waiting/bell-listener.ts';
import { FactoryErrors } from '../waiting/factory-errors.ts';
import { KeepAlive } from '../waiting/keep-alive.ts';
import { limited } from '../waiting/limited.ts';
import { Waiters } from '../waiting/waiters.ts';
import type { ControlBlock } from '../words/control-block.ts';
import { MARK_TRIES, NONE, REASON_CLOSED, REASON_FACTORY, REASON_UNAVAILABLE } from '../words/line.ts';
import { ACTIVE, breakerOf, INACTIVE, isClosed, isDraining, isRefusing, RECOVERING } from '../words/state.ts';
import { figuresOf } from '../words/stats.ts';

interface Borrowed {
  readonly slot: number;
  readonly serial: number;
}

export abstract class PoolBase<R> implements ResourcePool<R> {
  readonly name: string;
  protected readonly block: ControlBlock;
  protected readonly lending: Lending;
  protected readonly waiters: Waiters;
  protected readonly bellListener: BellListener;
  protected readonly keepAlive = new KeepAlive();
  protected readonly factoryErrors = new FactoryErrors();
  /** Where this thread has borrowed what, if that is to be remembered. */
  protected readonly traces: Traces | undefined;

  protected constructor(name: string, block: ControlBlock, me: number) {
    this.name = name;
    this.block = block;
    this.traces = (block.constants.features & FEATURE_TRACE) === 0 ? undefined : new Traces(block.slots.count);
    this.lending = new Lending(block, me, {
      served: () => this.waiters.pollSoon(),
      called: () => this.called(),
      lookUp: () => this.lookUp(),
    });
    this.waiters = new Waiters(this.lending, this.keepAlive, {
      refusal: (reason, cell, ticket) => this.refusal(reason, cell, ticket),
      timedOut: (timeout, thread) => this.timedOut(timeout, thread),
    });
    this.bellListener = new BellListener(
      block.bells,
      me,
      () => this.isListening(),
      () => this.rung(),
    );
  }

  get acquireTimeout(): number {
    return this.block.constants.acquireTimeout;
  }

  // ── what differs

  abstract call<K extends MethodName<R>>(method: K, args: Arguments<R, K>, options?: AcquireOptions): Promise<Result<R, K>>;

  /** What this thread gives its caller for a slot that it has just borrowed. */
  protected abstract handOut(slot: number): R;
  /** The slot behind something handed out, or NONE if this thread has not borrowed it. */
  protected abstract slotOf(resource: R): number;
  /** Ends the lease of a slot, clean. */
  protected abstract giveBack(slot: number): void;
  /** Ends the lease of a slot whose resource is broken. */
  protected abstract giveUp(slot: number, error: Error): void;
  /** Why this thread takes no part any more (detached, or its owner died), and giving back means nothing. Undefined: it does. */
  protected detachReason(): string | undefined {
    return undefined;
  }
  /** Rung, or about to wait: should this thread listen to its bell? */
  protected isListening(): boolean {
    return this.waiters.size > 0;
  }
  /** The bell rang. */
  protected rung(): void {
    this.waiters.poll();
  }
  /** On the owner: something needs it. */
  protected called(): void {}
  /** On a worker: is the owner still there? Asked now and then while borrowing. */
  protected lookUp(): void {}

  // ── borrowing

  acquire(options?: AcquireOptions): Promise<R> {
    if (options === undefined) {
      const slot = this.lending.tryBorrow();
      if (slot !== NONE) return this.#promised(slot);
    }
    return this.#acquireInLine(options);
  }

  #acquireInLine(options: AcquireOptions | undefined): Promise<R> {
    return this.traces !== undefined ? this.#acquireTraced(options) : this.borrow(options, this.#deliver);
  }

  #promised(slot: number): Promise<R> {
    try {
      return Promise.resolve(this.handOut(slot));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  readonly #deliver = (slot: number): R => this.handOut(slot);

  /** RemoteHandle out in a function that is awaited: the trace shows who has asked for it. */
  async #acquireTraced(options: AcquireOptions | undefined): Promise<R> {
    return this.handOut(this.#stillOurs(await this.borrow(options, this.#numbered)));
  }

  readonly #numbered = (slot: number): Borrowed => ({ slot, serial: this.lending.serials[slot] });

  /**
   * What `deliver` makes of a slot, in the moment in which it is ours; waiting for one, if need be. One promise, as there may be thousands waiting.
   * `thread`: on whose behalf, for what a timeout says.
   */
  protected borrow<V>(options: AcquireOptions | undefined, deliver: (slot: number) => V, thread = this.lending.me): Promise<V> {
    try {
      const { timeout, signal } = checkAcquireOptions(options);
      throwIfAborted(signal);
      this.assertOpen();
      const slot = this.lending.tryBorrow();
      if (slot !== NONE) return Promise.resolve(deliver(slot));
      const cell = this.enqueue(0);
      const ticket = this.block.line.ticket(cell);
      const outcome = this.lending.collect(cell);
      if (isServed(outcome)) return Promise.resolve(deliver(outcome));
      if (outcome !== PENDING) throw this.rejected(outcome, cell, ticket);
      return this.#waitFor(cell, timeout ?? this.block.constants.acquireTimeout, signal, deliver, thread) as Promise<V>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * `acquire` for what borrows on top of this, and the first thing it does with the resource. `taken` has it in the moment in which it is this thread's: a promise tells only
   * when the thread comes back to its microtasks, and it may block before that. `timeout` and `signal` hold for what `taken` gives as well, as the owner may be busy:
   * then this rejects, and whoever has taken the resource gives it back. `taken` must not throw.
   */
  async take<V>(options: AcquireOptions, taken: (resource: R) => V | PromiseLike<V>): Promise<V> {
    const started = now();
    let waits = false;
    // For a trace the stack of the caller counts, which is gone if this has waited.
    const granted = this.borrow(options, (slot) =>
      this.traces !== undefined && waits ? this.#numbered(slot) : { value: taken(this.handOut(slot)) },
    );
    waits = true;
    const got = await granted;
    const value = 'value' in got ? got.value : taken(this.handOut(this.#stillOurs(got)));
    const { timeout = 0, signal } = checkAcquireOptions(options);
    if (timeout === 0 && signal === undefined) return value;
    const left = timeout === 0 ? 0 : Math.max(1, timeout - (now() - started));
    return limited(Promise.resolve(value), left, signal, () => {
      const why = `the owner has not answered within ${timeout} ms: it is busy, or what it was asked takes longer`;
      return new AcquireTimeoutError(`pool ${show(this.name)}: ${why}`, this.name);
    });
  }

  async tryAcquire(): Promise<R | null> {
    const slot = this.lending.tryBorrow();
    if (slot !== NONE) return this.handOut(slot);
    const cell = this.tryEnqueue();
    if (cell === NONE) return null;
    const ticket = this.block.line.ticket(cell);
    const outcome = this.lending.collect(cell);
    if (isServed(outcome)) return this.handOut(outcome);
    if (outcome !== PENDING) return this.nothing(outcome, cell, ticket);
    return this.#waitFor(cell, 0, undefined, this.#deliver, this.lending.me, true);
  }

  #waitFor<V>(
    cell: number,
    timeout: number,
    signal: AbortSignal | undefined,
    deliver: (slot: number) => V,
    thread: number,
    tries = false,
  ): Promise<V | null> {
    const served = this.waiters.wait(cell, timeout, signal, deliver, thread, tries);
    // Listen, then look again: it may have been served before anybody listened.
    this.bellListener.listen();
    this.waiters.pollSoon();
    return served;
  }

  /** After an await: this thread may have left the pool meanwhile; or somebody on it gave the resource back for the second time, just when it had become ours. */
  #stillOurs({ slot, serial }: Borrowed): number {
    if (this.lending.serials[slot] === serial) return slot;
    this.assertOpen();
    throw new NotBorrowedError(
      `pool ${show(this.name)}: somebody gave a resource back twice, and the second time it was lent to this borrower already`,
      this.name,
    );
  }

  /** Joins the line; throws if there is no room, or nobody is let in. */
  protected enqueue(mark: number): number {
    const { block, lending } = this;
    const { line, constants } = block;
    // Places serve as many as there are, unless only so many probes are let out.
    const isRoom =
      line.isShorterThan(constants.maxWaiting) || (breakerOf(block.state.load()) !== RECOVERING && !block.snapshot.isSupplyExhausted(true));
    const cell = isRoom ? lending.join(mark) : NONE;
    if (cell === NONE) {
      this.countOne(COUNTER_REJECTED);
      throw new QueueFullError(
        `pool ${show(this.name)}: ${line.waiting()} are waiting already, maxWaiting is ${constants.maxWaiting}: slow down, or raise it`,
        this.name,
      );
    }
    // Read after the cell waits. Whoever closes or deactivates moves the state and then sends everyone in line away: one of the two sees the other.
    const state = block.state.load();
    if (isRefusing(state) && lending.leave(cell)) {
      this.countOne(COUNTER_REJECTED);
      throw this.#refused(state);
    }
    lending.match();
    return cell;
  }

  /** Joins the line with the mark that asks to be told if there is nothing; NONE: that much is clear at once. */
  protected tryEnqueue(): number {
    const { block, lending } = this;
    if (this.isDetached() || isRefusing(block.state.load())) return NONE;
    // Somebody else who tries may be sent away, so it does not stand before us.
    if (block.snapshot.isSupplyExhausted(false)) return NONE;
    const cell = lending.join(MARK_TRIES);
    if (cell === NONE) return NONE;
    if (isRefusing(block.state.load()) && lending.leave(cell)) return NONE;
    lending.match();
    // The owner says no where there is nothing.
    lending.callOwner();
    return cell;
  }

  /** For a try that has ended without a slot: null, or throws the factory's error. */
  protected nothing(outcome: number, cell: number, ticket: number): null {
    if (reasonOf(outcome) !== REASON_FACTORY) return null;
    throw this.rejected(outcome, cell, ticket);
  }

  async use<V>(body: (resource: R) => V | PromiseLike<V>, options?: AcquireOptions): Promise<V> {
    checkBody(body);
    const slot = this.#stillOurs(await this.borrow(options, this.#numbered));
    const serial = this.lending.serials[slot];
    try {
      return await body(this.handOut(slot));
    } finally {
      // The body may have given it back; and somebody on this thread may have borrowed the same slot since.
      if (this.lending.serials[slot] === serial) this.giveBack(slot);
    }
  }

  async lease(options?: AcquireOptions): Promise<Lease<R>> {
    const slot = this.#stillOurs(await this.borrow(options, this.#numbered));
    const { lending } = this;
    const serial = lending.serials[slot];
    const resource = this.handOut(slot);
    const over = (): boolean => lending.serials[slot] !== serial;
    const dispose = (): void => {
      if (!over()) this.giveBack(slot);
    };
    return {
      resource,
      release: () => {
        if (over()) this.#notBorrowed(resource);
        else this.giveBack(slot);
      },
      destroy: (error?: Error) => {
        if (over()) this.#notBorrowed(resource);
        else this.giveUp(slot, reasonToDestroy(this.name, error));
      },
      [Symbol.dispose]: dispose,
      [Symbol.asyncDispose]: async () => dispose(),
    };
  }

  // ── giving back

  release(resource: R): void {
    const slot = this.slotOf(resource);
    if (slot === NONE) this.#notBorrowed(resource);
    else this.giveBack(slot);
  }

  destroy(resource: R, error?: Error): void {
    const slot = this.slotOf(resource);
    if (slot === NONE) this.#notBorrowed(resource);
    else this.giveUp(slot, reasonToDestroy(this.name, error));
  }

  #notBorrowed(resource: R): void {
    if (this.isDetached()) return;
    throw new NotBorrowedError(
      `pool ${show(this.name)}: ${show(resource)} is not borrowed by this thread: given back already, or from somewhere else`,
      this.name,
    );
  }

  // ── errors

  /** Throws if nobody is let in. */
  protected assertOpen(): void {
    if (this.isDetached()) {
      this.countOne(COUNTER_REJECTED);
      throw this.detachedError();
    }
    const state = this.block.state.load();
    if (!isRefusing(state)) return;
    this.countOne(COUNTER_REJECTED);
    throw this.#refused(state);
  }

  protected isDetached(): boolean {
    return this.detachReason() !== undefined;
  }

  protected detachedError(): PoolClosedError {
    return new PoolClosedError(`pool ${show(this.name)}: ${this.detachReason()}`, this.name);
  }

  #refused(state: number): unknown {
    const isShut = isClosed(state) || isDraining(state);
    return this.refusal(isShut ? REASON_CLOSED : REASON_UNAVAILABLE, NONE, 0);
  }

  /** `ticket` as it was before `collect` freed the cell. */
  protected rejected(outcome: number, cell: number, ticket: number): unknown {
    this.countOne(COUNTER_REJECTED);
    return this.refusal(reasonOf(outcome), cell, ticket);
  }

  protected refusal(reason: number, cell: number, ticket: number): unknown {
    if (reason === REASON_FACTORY) return this.factoryError(cell, ticket);
    if (reason === REASON_UNAVAILABLE)
      return new ServiceUnavailableError(`pool ${show(this.name)} is unavailable: its circuit breaker is open`, this.name);
    if (reason !== REASON_CLOSED) return this.damaged('the place of this waiter in line cannot be what it says');
    return new PoolClosedError(`pool ${show(this.name)} is ${isClosed(this.block.state.load()) ? 'closed' : 'draining'}`, this.name);
  }

  /** What the factory failed with for this waiter of ours, whose cell says so. */
  protected factoryError(cell: number, ticket: number): unknown {
    const lost = (): Error => new PoolClosedError(`pool ${show(this.name)}: the factory failed, and its error was lost`, this.name);
    return this.factoryErrors.take(cell, ticket, lost);
  }

  /** Only where something else has written into the control block. */
  protected damaged(why: string): PoolError {
    return new PoolError(
      `pool ${show(this.name)}: its control block is damaged: ${why}. Something has written into pool.handle.buffer`,
      this.name,
    );
  }

  /** Says who holds what: a thread that waits for itself should be able to read it. Calls come back by themselves: a thread does not wait for itself there. */
  protected timedOut(timeout: number, thread = this.lending.me): Error {
    const { count, idle } = this.block.snapshot.count();
    const { leases, calls } = this.block.snapshot.heldBy(thread);
    const also = calls > 0 ? ` and ${calls} in its one-shot calls` : '';
    const out = `${count - idle} of ${this.block.constants.max} are out or being made, ${leases} of them with this thread${also}`;
    const hint = leases > 0 && leases === count - idle ? ': it may be waiting for itself' : '';
    return new AcquireTimeoutError(
      `pool ${show(this.name)}: nothing to be had within ${timeout} ms; ${out}${hint}; ${this.block.line.waiting()} more are waiting`,
      this.name,
    );
  }

  protected countOne(counter: number): void {
    this.block.counters.add(this.lending.me, counter);
  }

  // ── circuit breaker

  getState(): CircuitBreakerState {
    switch (breakerOf(this.block.state.load())) {
      case INACTIVE:
        return CircuitBreakerState.INACTIVE;
      case RECOVERING:
        return CircuitBreakerState.RECOVERING;
      default:
        return CircuitBreakerState.ACTIVE;
    }
  }

  activate(): void {
    if (this.block.state.moveBreaker(ACTIVE) === ACTIVE) return;
    if (!this.isDetached()) this.lending.match();
    this.lending.callOwner();
  }

  deactivate(): void {
    if (this.block.state.moveBreaker(INACTIVE) === INACTIVE) return;
    if (!this.isDetached()) this.lending.rejectWaiters(REASON_UNAVAILABLE);
    this.lending.callOwner();
  }

  recover(): void {
    if (this.block.state.moveBreaker(RECOVERING) === RECOVERING) return;
    // Every return passes the owner from now on.
    this.lending.flagAll();
    this.lending.callOwner();
  }

  // ── counting

  count(): number {
    return this.block.snapshot.count().count;
  }

  idleCount(): number {
    return this.block.snapshot.count().idle;
  }

  activeCount(): number {
    const { count, idle } = this.block.snapshot.count();
    return count - idle;
  }

  waitingCount(): number {
    return this.block.line.waiting();
  }

  isClosed(): boolean {
    return this.isDetached() || isClosed(this.block.state.load());
  }

  /** What console.log shows. */
  [inspect.custom](): string {
    const { max, active, idle, waiting, closed } = this.stats();
    return `[Pool ${show(this.name)}: ${active} of ${max} out, ${idle} idle, ${waiting} waiting${closed ? ', closed' : ''}]`;
  }

  stats(): PoolStats {
    return { name: this.name, state: this.getState(), closed: this.isClosed(), ...figuresOf(this.block) };
  }
}

export function reasonToDestroy(pool: string, error: unknown): Error {
  return error === undefined ? new Error(`pool ${show(pool)}: a borrower gave a resource up as broken`) : asError(error);
}
