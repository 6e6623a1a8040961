/**
 * The pool on its owner's thread: what a program calls. Its parts are in core.ts; what happens to slots off the fast path is in turn/.
 */
import { threadId } from 'node:worker_threads';
import { type LeaseRevokedError, PoolError, RemoteCallError } from '../shared/errors.ts';
import { BEHALF_OWN, FEATURE_SHARE, FEATURE_TRACE } from '../shared/layout.ts';
import { clearTimeout, setTimeout } from '../shared/node.ts';
import { checkCall } from '../shared/options/acquire-options.ts';
import { checkDuration, limitOf } from '../shared/options/durations.ts';
import { type Hold, isLimited, UNLIMITED } from '../shared/options/hold-limits.ts';
import { checkFew } from '../shared/options/option-names.ts';
import { PoolBase } from '../shared/pool/pool-base.ts';
import { reasonToDestroy } from '../shared/pool/refusals.ts';
import { asError, show } from '../shared/show.ts';
import type { AcquireOptions, Arguments, MethodName, PoolHandle, PoolStats, Result } from '../shared/types.ts';
import { ControlBlock } from '../shared/words/control-block.ts';
import { NONE } from '../shared/words/line.ts';
import { LEASED, slotState } from '../shared/words/slot.ts';
import { OWNER } from '../shared/words/threads.ts';
import { type OwnBorrower, OwnerCore } from './core.ts';
import { checkStrategy, type Settings } from './options.ts';
import { isThenable } from './resources/hooks.ts';
import type { Resources } from './resources/resources.ts';
import { addAttachListener, newPoolId } from './threads/attach-listener.ts';
import { findMethod } from './threads/methods.ts';
import type { CircuitBreakerStrategy, Pool, PoolEvents, SuspendOptions, Suspension } from './types.ts';

export class OwnerPool<T> extends PoolBase<T> implements Pool<T> {
  readonly handle: PoolHandle<T>;
  readonly #settings: Settings<T>;
  readonly #core: OwnerCore<T>;
  readonly #resources: Resources<T>;
  /** By the serial of its lease: the caller that waits here for a method called by `call`. */
  readonly #callers = new Map<number, (error: unknown) => void>();

  constructor(settings: Settings<T>) {
    const block = ControlBlock.create({
      poolId: newPoolId(),
      min: settings.min,
      max: settings.max,
      ceiling: settings.ceiling,
      maxThreads: settings.maxThreads,
      maxWaiting: settings.maxWaiting,
      acquireTimeout: settings.acquireTimeout,
      maxUses: settings.maxUses,
      features: (settings.leakDetectionThreshold > 0 ? FEATURE_TRACE : 0) | (settings.share === undefined ? 0 : FEATURE_SHARE),
    });
    super(settings.name, block, OWNER);
    this.handle = Object.freeze({ name: settings.name, buffer: block.buffer, owner: threadId });
    this.#settings = settings;
    block.threads.occupy(OWNER, threadId);
    this.#core = this.#coreOf(settings, {
      lending: this.lending,
      waiters: this.waiters,
      keepAlive: this.keepAlive,
      factoryErrors: this.factoryErrors,
      traces: this.traces,
      breaker: this,
      stands: this.acquiring,
      damaged: (why) => this.damaged(why),
      ended: () => this.leaveWatched(),
      revokedError: (heldFor, cause) => this.refusals.revoked(heldFor, cause),
      leases: {
        overdue: (slot, heldFor) => this.overdue(slot, heldFor),
        revoked: (slot, heldFor, cause) => this.#takenBack(slot, this.refusals.revoked(heldFor, cause)),
      },
    });
    this.#resources = this.#core.resources;
    addAttachListener(block.constants.poolId, (id, port) => this.#core.threads.attach(id, port));
    this.bellListener.listen();
  }

  /** A budget that is closed does not let the pool in: then there is none. */
  #coreOf(settings: Settings<T>, own: OwnBorrower): OwnerCore<T> {
    try {
      return new OwnerCore(settings, own);
    } catch (error) {
      this.leaveWatched();
      throw error;
    }
  }

  /** Makes the first `min` resources. If one fails, ends the pool, and rejects with the factory's error. */
  async start(): Promise<void> {
    const { min, maxCreating } = this.#settings;
    const slots = Array.from({ length: min }, (_, slot) => slot);
    // All slots are reserved before the first factory call:
    // a synchronous factory leads to a turn, which would fill the slots that are left.
    for (const slot of slots) this.block.slots.reserve(slot);
    // What a budget does not grant now is made later, by a turn.
    const first = this.#core.permits.first(min);
    for (const slot of slots.splice(typeof first === 'number' ? first : await this.keepAlive.during(first))) this.block.slots.toEmpty(slot);
    const oneByOne = async (): Promise<void> => {
      for (let slot = slots.shift(); slot !== undefined; slot = slots.shift()) await this.#core.replenisher.makeFirst(slot);
    };
    try {
      await this.keepAlive.during(Promise.all(Array.from({ length: Math.min(maxCreating || min, min) }, oneByOne)));
    } catch (error) {
      // The slots whose factory has not been called yet.
      for (const slot of slots.splice(0)) this.block.slots.toEmpty(slot);
      await this.close();
      throw error;
    }
  }

  protected override isListening(): boolean {
    return this.#core.turn.life.state !== 'ended';
  }

  protected override rung(): void {
    super.rung();
    this.called();
  }

  protected override called(): void {
    this.#core.turn.request();
  }

  // ── the end

  close(): Promise<void> {
    return this.#core.turn.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  drain(options: { timeout?: number | undefined } = {}): Promise<void> {
    try {
      checkFew(options, { of: 'drain', options: ['timeout'], others: { timeoutMillis: 'use timeout, in milliseconds' } });
      if (options.timeout !== undefined) checkDuration('timeout', options.timeout);
    } catch (error) {
      return Promise.reject(error);
    }
    const timeout = limitOf(options.timeout ?? 0);
    const drained = this.#core.turn.drain();
    if (timeout === 0) return drained;
    const timer = setTimeout(() => void this.close(), timeout);
    return drained.finally(() => clearTimeout(timer));
  }

  // ── as a borrower

  protected override handOut(slot: number): T {
    const resource = this.#resources.get(slot);
    return resource === undefined || this.traces !== undefined || this.#resources.hadProxies
      ? this.#handOutSpecially(slot, resource)
      : resource;
  }

  #handOutSpecially(slot: number, resource: T | undefined): T {
    if (resource === undefined) throw this.#nothingIn(slot);
    this.#assertAnswers(slot, resource);
    this.traces?.note(slot, this.lending.leases[slot], new Error('borrowed here'));
    return resource;
  }

  /**
   * A promise reads `then` of what it is resolved with.
   * A Proxy that throws there (revoked, released by comlink) would reach no borrower, and be lost.
   */
  #assertAnswers(slot: number, resource: T): void {
    try {
      void (resource as { then?: unknown }).then;
    } catch (cause) {
      this.giveUp(slot, asError(cause));
      const why = 'the resource that was to be handed out is a Proxy that does not answer any more. It has been destroyed';
      throw new PoolError(`pool ${show(this.name)}: ${why}`, this.name, { cause });
    }
  }

  #nothingIn(slot: number): Error {
    if (this.block.slots.seize(slot, this.lending.forget(slot))) this.#core.store.destroy(slot, 'unhealthy');
    return this.damaged(`slot ${slot} has no resource`);
  }

  /** Looks at the slot that was lent last first: most borrowers give that back. */
  protected override slotOf(resource: T): number {
    const { last } = this.lending;
    return this.#resources.get(last) === resource && this.#isOut(last) ? last : this.#findAmongOut(resource);
  }

  #findAmongOut(resource: T): number {
    return this.#resources.find(resource, (slot) => this.#isOut(slot));
  }

  /** Borrowed by code on this thread, and not for a one-shot call of another. */
  #isOut(slot: number): boolean {
    return this.lending.holds(slot) && !this.#core.threads.isForOneShotCall(slot);
  }

  protected override giveBack(slot: number): void {
    this.lending.giveBack(slot);
  }

  protected override giveUp(slot: number, error: Error): void {
    if (this.block.slots.seize(slot, this.lending.forget(slot))) this.#core.turn.owned.discard(slot, error);
  }

  // ── steering

  suspend(options?: SuspendOptions): Promise<Suspension> {
    return this.#core.suspensions.suspend(options);
  }

  override suspendedBy(): readonly string[] {
    return this.#core.suspendedBy;
  }

  resize(limits: { min?: number | undefined; max?: number | undefined }, options?: { timeout?: number | undefined }): Promise<void> {
    return this.#core.resizing.resize(limits, options);
  }

  recycle(options?: { timeout?: number | undefined; revokeAfter?: number | undefined }): Promise<number> {
    return this.#core.recycling.recycle(options, (revokeAfter) => this.assertRevocable({ ...UNLIMITED, revokeAfter }));
  }

  revoke(resource: T, error?: Error): boolean {
    this.assertRevocable({ ...UNLIMITED, revokeAfter: 1 });
    const slot = this.#resources.find(resource, (each) => slotState(this.block.slots.load(each)) === LEASED);
    return slot !== NONE && this.#core.holds.revokeWhatIsOut(slot, error);
  }

  protected override get maxHold(): Hold {
    return this.#settings.maxHold;
  }

  protected override assertRevocable({ revokeAfter }: Hold): void {
    const { share, abort } = this.#settings;
    if (revokeAfter !== 0 && share !== undefined && abort === undefined) throw this.refusals.notRevocable();
  }

  protected override limitHold(slot: number, hold: Hold): void {
    if (isLimited(hold)) this.#core.holds.limit(slot, this.lending.leases[slot], hold);
  }

  protected override renew(slot: number): void {
    this.#core.holds.renew(slot, this.lending.leases[slot]);
  }

  /** The object stays with its borrower, which may still give it back: it is found by that object then. */
  #takenBack(slot: number, error: LeaseRevokedError): void {
    const serial = this.lending.serials[slot];
    this.revoked(slot, error, this.#resources.get(slot));
    this.#callers.get(serial)?.(error);
    this.#callers.delete(serial);
  }

  protected override returnRevoked(resource: T): boolean {
    return this.revocations.giveBackValue(resource);
  }

  condemn(resource: T, error?: Error): boolean {
    const slot = this.#resources.slotOf(resource);
    const { breaker, probes, store, turn } = this.#core;
    if (slot === NONE || !store.evict(slot)) return false;
    breaker.failure(reasonToDestroy(this.name, error), probes.returned(slot));
    turn.request();
    return true;
  }

  override async call<K extends MethodName<T>>(method: K, args: Arguments<T, K>, options?: AcquireOptions): Promise<Result<T, K>> {
    checkCall(method, args);
    // Awaited, so that the stack of a leak shows the caller of this function.
    return await this.use((resource) => {
      const found = findMethod(resource, method, undefined);
      if (found === undefined)
        throw new RemoteCallError(`pool ${show(this.name)}: ${method}() is not a method of ${show(resource)}`, this.name);
      const slot = this.slotOf(resource);
      const serial = this.lending.serials[slot];
      const { slots } = this.block;
      // It comes back by itself, so no waiter waits for this thread there.
      slots.actFor(slot, BEHALF_OWN);
      const over = (): void => {
        // The method may have given it back, which is odd, and then it may be out for another call.
        if (slots.behalf(slot) === BEHALF_OWN) slots.actFor(slot, 0);
      };
      try {
        const result = Reflect.apply(found, resource, args) as Result<T, K>;
        if (isThenable(result)) return this.#unlessRevoked(serial, result as PromiseLike<Result<T, K>>).finally(over);
        over();
        return result;
      } catch (error) {
        over();
        throw error;
      }
    }, options);
  }

  override stats(): PoolStats {
    const { granted } = this.#core.permits;
    return granted === undefined ? super.stats() : { ...super.stats(), granted: Math.min(granted, this.block.limits.max) };
  }

  /** What a call under way gives, or the error that its resource was taken back: the method may never end. */
  #unlessRevoked<V>(serial: number, result: PromiseLike<V>): Promise<V> {
    return new Promise((resolve, reject) => {
      this.#callers.set(serial, reject);
      Promise.resolve(result)
        .finally(() => this.#callers.delete(serial))
        .then(resolve, reject);
    });
  }

  // ── breaker and events

  setCircuitBreakerStrategy(strategy: CircuitBreakerStrategy | null): void {
    if (strategy !== null) checkStrategy('the strategy', strategy);
    this.#core.setStrategy(strategy ?? undefined);
  }

  on<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this {
    this.#core.events.on(event, listener);
    return this;
  }

  once<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this {
    this.#core.events.once(event, listener);
    return this;
  }

  off<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this {
    this.#core.events.off(event, listener);
    return this;
  }
}
