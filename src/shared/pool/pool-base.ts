/** What every thread can do with a pool; the owner and the workers differ only in what they hand out. */
import { inspect } from 'node:util';
import { threadId } from 'node:worker_threads';
import { now } from '../clock.ts';
import { type LeaseRevokedError, PoolError } from '../errors.ts';
import { FEATURE_TRACE } from '../layout.ts';
import { Lending } from '../lending/lending.ts';
import { Traces } from '../lending/traces.ts';
import { acquires, releases, watchSubscriptions } from '../observing/channels.ts';
import { Observation } from '../observing/observation.ts';
import { OBSERVED, type Observed } from '../observing/observed.ts';
import { addPool, removePool } from '../observing/pools-here.ts';
import { checkAcquireOptions, checkBody } from '../options/acquire-options.ts';
import { checkOwnHold, type Hold } from '../options/hold-limits.ts';
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
import { type Leaver, Waiters } from '../waiting/waiters.ts';
import type { ControlBlock } from '../words/control-block.ts';
import { NONE, REASON_UNAVAILABLE } from '../words/line.ts';
import { ACTIVE, breakerOf, INACTIVE, isClosed, isSuspended, RECOVERING } from '../words/state.ts';
import { figuresOf } from '../words/stats.ts';
import { Acquiring, type Side } from './acquiring.ts';
import { LeaseSignal, LeaseSignals } from './lease-signal.ts';
import { Refusals, reasonToDestroy } from './refusals.ts';
import { Revocations } from './revocations.ts';

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
  /** Leases of this thread that the owner has taken back. */
  protected readonly revocations = new Revocations();
  protected readonly signals = new LeaseSignals();
  /** Where this thread has borrowed what, if that is to be remembered. */
  protected readonly traces: Traces | undefined;
  /** What cenote/observe reads. */
  readonly [OBSERVED]: Observed;
  readonly #ignoreSubscriptions: () => void;

  protected constructor(name: string, block: ControlBlock, me: number) {
    this.name = name;
    this.block = block;
    this.traces = (block.constants.features & FEATURE_TRACE) === 0 ? undefined : new Traces(block.slots.count);
    this.lending = new Lending(block, me, {
      served: () => this.waiters.pollSoon(),
      called: () => this.called(),
      lookUp: () => this.lookUp(),
      released: (slot) => releases.publish({ pool: name, slot, threadId }),
      revoked: (slot) => this.lost(slot),
    });
    this[OBSERVED] = new Observation(name, block, () => this.isOwnerGone());
    this.refusals = new Refusals(name, block, me, this, this[OBSERVED]);
    this.waiters = new Waiters(this.lending, this.keepAlive, this.refusals);
    this.bellListener = new BellListener(
      block.bells,
      me,
      () => this.isListening(),
      () => this.rung(),
    );
    this.acquiring = new Acquiring(this.lending, this.waiters, this.bellListener, this.refusals, this);
    this.#ignoreSubscriptions = watchSubscriptions(() => this.lending.publish(acquires.isHeard, releases.isHeard));
    addPool(this[OBSERVED]);
  }

  /** This thread has no part in the pool any more. */
  protected leaveWatched(): void {
    removePool(this[OBSERVED]);
    this.#ignoreSubscriptions();
  }

  /** What each lease of this thread, and each of its places in line, is for: see `Lending.tagWith`. For what stands on top of a pool. */
  tagWith(tag: (() => number) | undefined): void {
    this.lending.tagWith(tag);
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
  /** The pool's `maxHold`; what one acquire may ask for is shorter. */
  protected abstract get maxHold(): Hold;
  /** Throws TypeError where nothing could be taken back from a borrower: it has a value of its own. */
  protected abstract assertRevocable(hold: Hold): void;
  /** The lease of this slot, which has just begun, has limits of its own. */
  protected abstract limitHold(slot: number, hold: Hold): void;
  /** The limits of this lease count anew from now. */
  protected abstract renew(slot: number): void;
  /** This is given back, and is not borrowed. True: its lease was revoked, and this is the first that its borrower says of it. */
  protected abstract returnRevoked(resource: R): boolean;
  abstract suspendedBy(): readonly string[];
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
  /** Has the owner's thread ended? Then nothing moves any more. */
  protected isOwnerGone(): boolean {
    return false;
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
  protected borrow<V>(options: AcquireOptions | undefined, deliver: (slot: number) => V, leaver?: Leaver): Promise<V> {
    try {
      return this.acquiring.acquire(options, this.#limiting(options, deliver), leaver);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #limiting<V>(options: Pick<AcquireOptions, 'maxHold'> | undefined, deliver: (slot: number) => V): (slot: number) => V {
    const hold = this.ownHold(options);
    if (hold === undefined) return deliver;
    return (slot) => {
      this.limitHold(slot, hold);
      return deliver(slot);
    };
  }

  /** The limits that an acquire asks for, beyond the pool's. Throws RangeError if they are longer. */
  protected ownHold(options: Pick<AcquireOptions, 'maxHold'> | undefined): Hold | undefined {
    if (typeof options !== 'object' || options === null) return undefined;
    const hold = checkOwnHold(options.maxHold, this.maxHold);
    if (hold !== undefined) this.assertRevocable(hold);
    return hold;
  }

  /**
   * `acquire` for code that borrows on top of this, together with the first use of the resource. `taken` gets it in the moment in which
   * it is this thread's: a promise is settled only when the thread comes back to its microtasks, and it may block before that. `timeout`
   * and `signal` hold for what `taken` gives as well, as the owner may be busy: then this rejects, and the code that has taken the
   * resource gives it back. `taken` must not throw. `leaver` is told when this begins to wait.
   */
  async take<V>(options: AcquireOptions, taken: (resource: R) => V | PromiseLike<V>, leaver?: Leaver): Promise<V> {
    const started = now();
    let waits = false;
    // For a trace the stack of the caller counts, which is gone if this has waited.
    const granted = this.borrow(
      options,
      (slot) => (this.traces !== undefined && waits ? this.#numbered(slot) : { value: taken(this.handOut(slot)) }),
      leaver,
    );
    waits = true;
    const got = await granted;
    const value = 'value' in got ? got.value : taken(this.handOut(this.#stillOurs(got)));
    const { timeout = 0, signal } = checkAcquireOptions(options);
    if (timeout === 0 && signal === undefined) return value;
    const left = timeout === 0 ? 0 : Math.max(1, timeout - (now() - started));
    return limited(Promise.resolve(value), left, signal, () => this.refusals.ownerBusy(timeout));
  }

  async tryAcquire(options?: Pick<AcquireOptions, 'maxHold'>): Promise<R | null> {
    const deliver = options === undefined ? this.#deliver : this.#limiting(options, this.#deliver);
    const slot = this.lending.tryBorrow();
    if (slot !== NONE) return deliver(slot);
    return this.acquiring.tryAcquire(deliver);
  }

  /**
   * After an await: this thread may have left the pool meanwhile, or the owner may have taken the resource back;
   * or other code on it gave the resource back a second time, just when it had become ours.
   */
  #stillOurs({ slot, serial }: Borrowed): number {
    if (this.lending.isCurrent(slot, serial)) return slot;
    const revoked = this.revocations.get(serial);
    if (revoked !== undefined) {
      // Its borrower has never had it, and does not give it back.
      this.revocations.giveBack(serial);
      throw revoked;
    }
    this.acquiring.assertOpen();
    throw this.refusals.givenBackTwice();
  }

  async use<V>(body: (resource: R) => V | PromiseLike<V>, options?: AcquireOptions): Promise<V> {
    checkBody(body);
    const slot = this.#stillOurs(await this.borrow(options, this.#numbered));
    const serial = this.lending.serials[slot];
    let value: V;
    try {
      value = await body(this.handOut(slot));
    } catch (error) {
      this.endBody(slot, serial);
      throw error;
    }
    const revoked = this.endBody(slot, serial);
    if (revoked !== undefined) throw revoked;
    return value;
  }

  /**
   * A body has ended: gives the resource back. The body may have done so; and other code on this thread may have borrowed the same slot
   * since. Or the owner has taken it back: gives the error that says so.
   */
  protected endBody(slot: number, serial: number, giveBack = (): void => this.giveBack(slot)): LeaseRevokedError | undefined {
    if (this.lending.isCurrent(slot, serial) && this.lending.isLost(slot)) this.lost(slot);
    if (!this.lending.isCurrent(slot, serial)) return this.revocations.get(serial);
    giveBack();
    return undefined;
  }

  async lease(options?: AcquireOptions): Promise<Lease<R>> {
    const slot = this.#stillOurs(await this.borrow(options, this.#numbered));
    const { lending } = this;
    const serial = lending.serials[slot];
    const resource = this.handOut(slot);
    const signal = new LeaseSignal(serial);
    this.signals.add(slot, signal);
    const over = (): boolean => !lending.isCurrent(slot, serial);
    /** It was revoked, and this is the first that its borrower says of it. */
    const revoked = (): boolean => this.revocations.giveBack(serial);
    const dispose = (): void => {
      if (!over()) this.giveBack(slot);
    };
    return signal.lease(resource, {
      renew: () => {
        if (!over()) this.renew(slot);
      },
      release: () => {
        if (!over()) this.giveBack(slot);
        else if (!revoked()) this.#notBorrowed(resource);
      },
      destroy: (error?: Error) => {
        if (over()) {
          if (!revoked()) this.#notBorrowed(resource);
        } else this.giveUp(slot, reasonToDestroy(this.name, error));
      },
      [Symbol.dispose]: dispose,
      [Symbol.asyncDispose]: async () => dispose(),
    });
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
    if (this.isDetached() || this.returnRevoked(resource)) return;
    throw this.refusals.notBorrowed(resource);
  }

  // ── taken back

  /** The borrower of this lease has had it for too long; it may still use it. */
  protected overdue(slot: number, heldFor: number): void {
    const why = `a resource has been out for ${Math.floor(heldFor)} ms, which is longer than maxHold.cancelAfter: end what it does, and give it back`;
    const error = new PoolError(`pool ${show(this.name)}: ${why}`, this.name, { code: 'ERR_POOL_LEASE_OVERDUE' });
    this.signals.abort(slot, this.lending.serials[slot], error);
  }

  /** The owner has taken the slot of this lease back. `value`: what its borrower gives back, if that does not say its serial. */
  protected revoked(slot: number, error: LeaseRevokedError, value?: unknown): void {
    const serial = this.lending.serials[slot];
    this.lending.lose(slot);
    this.revocations.add(serial, value, error);
    this.signals.abort(slot, serial, error);
  }

  /** This thread believes to have the slot, and finds that it does not: what the owner says of it may still be on its way. */
  protected lost(slot: number): void {
    this.revoked(slot, this.refusals.revoked(0, undefined));
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
    this.lending.matching.callOwner();
  }

  deactivate(): void {
    if (this.block.state.moveBreaker(INACTIVE) === INACTIVE) return;
    if (!this.isDetached()) this.lending.matching.rejectWaiters(REASON_UNAVAILABLE);
    this.lending.matching.callOwner();
  }

  recover(): void {
    if (this.block.state.moveBreaker(RECOVERING) === RECOVERING) return;
    // Every return passes the owner from now on.
    this.lending.matching.flagAll();
    this.lending.matching.callOwner();
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
    return this.block.waiting();
  }

  get suspended(): boolean {
    return isSuspended(this.block.state.load());
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
    const { suspended } = this;
    const suspendedBy = suspended ? [...this.suspendedBy()] : [];
    return { name: this.name, state: this.getState(), closed: this.isClosed(), suspended, suspendedBy, ...figuresOf(this.block) };
  }
}
