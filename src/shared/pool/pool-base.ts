/** What every thread can do with a pool; the owner and the workers differ only in what they hand out. */
import { inspect } from 'node:util';
import { now } from '../clock.ts';
import type { PoolError } from '../errors.ts';
import { FEATURE_TRACE } from '../layout.ts';
import { Lending } from '../lending/lending.ts';
import { Traces } from '../lending/traces.ts';
import { checkAcquireOptions, checkBody } from '../options/acquire-options.ts';
import { show } from '../show.ts';
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
import { BellListener } from '../waiting/bell-listener.ts';
import { FactoryErrors } from '../waiting/factory-errors.ts';
import { KeepAlive } from '../waiting/keep-alive.ts';
import { limited } from '../waiting/limited.ts';
import { Waiters } from '../waiting/waiters.ts';
import type { ControlBlock } from '../words/control-block.ts';
import { NONE, REASON_UNAVAILABLE } from '../words/line.ts';
import { ACTIVE, breakerOf, INACTIVE, isClosed, RECOVERING } from '../words/state.ts';
import { figuresOf } from '../words/stats.ts';
import { Acquiring, type Side } from './acquiring.ts';
import { Refusals, reasonToDestroy } from './refusals.ts';

interface Borrowed {
  readonly slot: number;
  readonly serial: number;
}

export abstract class PoolBase<R> implements ResourcePool<R>, Side {
  readonly name: string;
  protected readonly block: ControlBlock;
  protected readonly lending: Lending;
  protected readonly waiters: Waiters;
  protected readonly bellListener: BellListener;
  protected readonly keepAlive = new KeepAlive();
  protected readonly factoryErrors = new FactoryErrors();
  protected readonly refusals: Refusals;
  protected readonly acquiring: Acquiring;
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
    this.refusals = new Refusals(name, block, me, this);
    this.waiters = new Waiters(this.lending, this.keepAlive, this.refusals);
    this.bellListener = new BellListener(
      block.bells,
      me,
      () => this.isListening(),
      () => this.rung(),
    );
    this.acquiring = new Acquiring(this.lending, this.waiters, this.bellListener, this.refusals, this);
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
  detachReason(): string | undefined {
    return undefined;
  }
  factoryError(cell: number, ticket: number): unknown {
    return this.factoryErrors.take(cell, ticket, () => this.refusals.factoryErrorLost());
  }
  countOne(counter: number): void {
    this.block.counters.add(this.lending.me, counter);
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

  /** Handed out in a function that is awaited, so that the trace shows the caller. */
  async #acquireTraced(options: AcquireOptions | undefined): Promise<R> {
    return this.handOut(this.#stillOurs(await this.borrow(options, this.#numbered)));
  }

  readonly #numbered = (slot: number): Borrowed => ({ slot, serial: this.lending.serials[slot] });

  /** See `Acquiring.acquire`. */
  protected borrow<V>(options: AcquireOptions | undefined, deliver: (slot: number) => V, thread?: number): Promise<V> {
    return this.acquiring.acquire(options, deliver, thread);
  }

  /**
   * `acquire` for code that borrows on top of this, together with the first use of the resource. `taken` gets it in the moment in which it
   * is this thread's: a promise is settled only when the thread comes back to its microtasks, and it may block before that. `timeout` and
   * `signal` hold for what `taken` gives as well, as the owner may be busy: then this rejects, and the code that has taken the resource
   * gives it back. `taken` must not throw.
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
    return limited(Promise.resolve(value), left, signal, () => this.refusals.ownerBusy(timeout));
  }

  async tryAcquire(): Promise<R | null> {
    const slot = this.lending.tryBorrow();
    if (slot !== NONE) return this.handOut(slot);
    return this.acquiring.tryAcquire(this.#deliver);
  }

  /**
   * After an await: this thread may have left the pool meanwhile;
   * or other code on it gave the resource back a second time, just when it had become ours.
   */
  #stillOurs({ slot, serial }: Borrowed): number {
    if (this.lending.isCurrent(slot, serial)) return slot;
    this.acquiring.assertOpen();
    throw this.refusals.givenBackTwice();
  }

  async use<V>(body: (resource: R) => V | PromiseLike<V>, options?: AcquireOptions): Promise<V> {
    checkBody(body);
    const slot = this.#stillOurs(await this.borrow(options, this.#numbered));
    const serial = this.lending.serials[slot];
    try {
      return await body(this.handOut(slot));
    } finally {
      // The body may have given it back; and other code on this thread may have borrowed the same slot since.
      if (this.lending.isCurrent(slot, serial)) this.giveBack(slot);
    }
  }

  async lease(options?: AcquireOptions): Promise<Lease<R>> {
    const slot = this.#stillOurs(await this.borrow(options, this.#numbered));
    const { lending } = this;
    const serial = lending.serials[slot];
    const resource = this.handOut(slot);
    const over = (): boolean => !lending.isCurrent(slot, serial);
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
    throw this.refusals.notBorrowed(resource);
  }

  protected isDetached(): boolean {
    return this.detachReason() !== undefined;
  }

  protected damaged(why: string): PoolError {
    return this.refusals.damaged(why);
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
