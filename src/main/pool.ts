/**
 * The pool on its owner's thread. Everything that happens to slots off the fast path happens in `turn`: one pass over what is there, run
 * whenever something may have changed, and right however often it runs. The files beside this one each know one thing; this one knows the order.
 */
import { threadId } from 'node:worker_threads';
import { PoolClosedError, PoolError, RemoteCallError } from '../shared/errors.ts';
import { COUNTER_FACTORY_FAILURES, FEATURE_SHARE, FEATURE_TRACE } from '../shared/layout.ts';
import { clearTimeout, setTimeout } from '../shared/node.ts';
import { checkCall, checkDuration, limitOf } from '../shared/options/acquire-options.ts';
import { checkFew } from '../shared/options/option-names.ts';
import { PoolBase } from '../shared/pool/pool-base.ts';
import { reasonToDestroy } from '../shared/pool/refusals.ts';
import { asError, show } from '../shared/show.ts';
import type { AcquireOptions, Arguments, MethodName, PoolHandle, Result } from '../shared/types.ts';
import { ControlBlock } from '../shared/words/control-block.ts';
import { NONE, REASON_CLOSED, REASON_UNAVAILABLE } from '../shared/words/line.ts';
import { CREATING, EMPTY, FOUND_IDLE, IDLE, LEASED, RETURNED, slotState, TAKEN } from '../shared/words/slot.ts';
import { breakerOf, CLOSED, DRAINING, HAND_OUTS_GUARDED, INACTIVE, isClosed, isDraining, RETURNS_GUARDED } from '../shared/words/state.ts';
import { OWNER } from '../shared/words/threads.ts';
import { BreakerController } from './breaker/controller.ts';
import { Events } from './events.ts';
import { checkStrategy, type Settings } from './options.ts';
import { type HookOutcome, runHook, thenMaybeSync } from './resources/hooks.ts';
import { Maintenance } from './resources/maintenance.ts';
import { Demand } from './resources/replenisher.ts';
import type { Resources } from './resources/resources.ts';
import { ResourceStore } from './resources/store.ts';
import { addAttachListener, newPoolId, removeAttachListener } from './threads/attach-listener.ts';
import { AttachedThreads } from './threads/attached-threads.ts';
import { findMethod } from './threads/methods.ts';
import type { CircuitBreakerStrategy, Pool, PoolEvents } from './types.ts';

export class OwnerPool<T> extends PoolBase<T> implements Pool<T> {
  readonly handle: PoolHandle<T>;
  readonly #settings: Settings<T>;
  readonly #events = new Events<T>();
  readonly #stock: ResourceStore<T>;
  readonly #resources: Resources<T>;
  readonly #members: AttachedThreads<T>;
  readonly #guard: BreakerController;
  readonly #demand: Demand<T>;
  readonly #timetable: Maintenance;
  #imposed = 0;
  #turning = false;
  #again = false;
  #closing: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  /** What these two wait for. */
  #swept = (): void => {};
  #allBack = (): void => {};
  #ended = false;

  constructor(settings: Settings<T>) {
    const block = ControlBlock.create({
      poolId: newPoolId(),
      min: settings.min,
      max: settings.max,
      maxThreads: settings.maxThreads,
      maxWaiting: settings.maxWaiting,
      acquireTimeout: settings.acquireTimeout,
      maxUses: settings.maxUses,
      features: (settings.leakDetectionThreshold > 0 ? FEATURE_TRACE : 0) | (settings.share === undefined ? 0 : FEATURE_SHARE),
    });
    super(settings.name, block, OWNER);
    this.handle = Object.freeze({ name: settings.name, buffer: block.buffer, owner: threadId });
    this.#settings = settings;
    this.#stock = new ResourceStore(settings, block, this.keepAlive, this.#events, {
      share: (slot, generation, resource) => this.#members.share(slot, generation, resource),
      changed: () => this.called(),
    });
    this.#resources = this.#stock.resources;
    this.#guard = new BreakerController(this, block.state, settings.recoveryProbes, {
      changed: (next, previous) => this.#events.emit('state', next, previous),
      failed: (error) => this.#events.emit('error', error),
    });
    this.#members = new AttachedThreads(settings, this.lending, this.#resources, {
      attached: (id, attachment) => this.#events.emit('attach', id, attachment),
      detached: (id, reclaimed, attachment) => {
        this.#events.emit('detach', id, reclaimed, attachment);
        this.called();
      },
      returned: (slot) => this.#takeBack(slot),
      broken: (slot, error) => this.#discard(slot, error),
      orphaned: (slot, release) => this.#orphaned(slot, release),
      borrow: (options, run, thread) => this.borrow(options, run, thread),
      back: (slot) => this.giveBack(slot),
      lost: (slot) => {
        if (this.block.slots.seize(slot, this.lending.forget(slot))) this.#orphaned(slot, false);
      },
    });
    this.#demand = new Demand(settings, this.lending, this.#stock, this.#guard, {
      refused: (thread, cell, ticket, error) => {
        if (thread === OWNER) this.factoryErrors.set(cell, ticket, error);
        else this.#members.tellFactoryFailure(thread, cell, ticket, error);
      },
      spared: (thread, cell, ticket) => {
        if (thread === OWNER) this.factoryErrors.delete(cell, ticket);
        else this.#members.tellSpared(thread, cell, ticket);
      },
      failed: (error) => this.#events.emit('error', error),
      changed: () => this.called(),
    });
    this.#timetable = new Maintenance(block, settings, {
      examine: (slot, done) => this.#examine(slot, done),
      expire: (slot) => this.#stock.destroy(slot, 'idle-timeout'),
      isAlive: (slot) => this.#resources.has(slot),
      leaking: (slot, lease, thread, heldFor) => this.#leaking(slot, lease, thread, heldFor),
    });
    block.threads.occupy(OWNER, threadId);
    if (settings.beforeAcquire !== undefined) this.#impose(HAND_OUTS_GUARDED);
    if (settings.circuitBreaker !== undefined) this.#guard.strategy = settings.circuitBreaker;
    this.#guardReturns();
    addAttachListener(block.constants.poolId, (id, port) => this.#members.attach(id, port));
    this.bellListener.listen();
  }

  /** Makes the first `min` resources. If one fails, ends the pool, and rejects with the factory's error. */
  async start(): Promise<void> {
    const { min, maxCreating } = this.#settings;
    const slots = Array.from({ length: min }, (_, slot) => slot);
    // All of them before the first factory call: a synchronous one leads to a turn, which would find places to fill.
    for (const slot of slots) this.block.slots.reserve(slot);
    const oneByOne = async (): Promise<void> => {
      for (let slot = slots.shift(); slot !== undefined; slot = slots.shift()) await this.#makeFirst(slot);
    };
    try {
      await this.keepAlive.during(Promise.all(Array.from({ length: Math.min(maxCreating || min, min) }, oneByOne)));
    } catch (error) {
      // Those whose turn has not come.
      for (const slot of slots.splice(0)) this.block.slots.toEmpty(slot);
      await this.close();
      throw error;
    }
  }

  #makeFirst(slot: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stock.create(slot, {
        arrived: () => {
          this.#demand.arrived(slot);
          resolve();
        },
        failed: (_, thrown) => {
          this.countOne(COUNTER_FACTORY_FAILURES);
          this.block.slots.toEmpty(slot);
          this.#guard.factoryFailed(asError(thrown));
          reject(thrown);
        },
      });
    });
  }

  // ── the turn

  /** Sets bits of the state that are never cleared again: each turn sees to that, whatever else may write there. */
  #impose(bits: number): void {
    this.#imposed |= bits;
    this.block.state.set(bits);
  }

  protected override isListening(): boolean {
    return !this.#ended;
  }

  protected override rung(): void {
    super.rung();
    this.called();
  }

  /** Something may have changed. At once, unless a turn is under way already: then that goes round once more. */
  protected override called(): void {
    this.#again = true;
    if (this.#turning) return;
    this.#turning = true;
    try {
      while (this.#again) {
        this.#again = false;
        this.#turn();
      }
    } finally {
      this.#turning = false;
    }
  }

  #turn(): void {
    if (this.#ended) return;
    this.block.state.set(this.#imposed);
    this.#guard.announce();
    this.#acceptReturned();
    const state = this.block.state.load();
    if (isClosed(state)) {
      // Not by us: a thread has taken us for dead, or something else has written into the block.
      if (this.#closing === undefined) void this.close();
      this.lending.rejectWaiters(REASON_CLOSED);
      this.#sweep();
      return;
    }
    if (breakerOf(state) === INACTIVE) this.lending.rejectWaiters(REASON_UNAVAILABLE);
    else {
      this.#guard.recall((slot) => this.#isOutOrBack(slot));
      this.#demand.meet();
    }
    this.#demand.refill();
    if (isDraining(state) && this.#isAllBack()) this.#allBack();
  }

  #acceptReturned(): void {
    const { slots } = this.block;
    for (let slot = 0; slot < slots.count; slot++) {
      if (this.#stock.repairDamaged(slot)) {
        this.#guard.returned(slot);
        this.#events.emit('error', this.damaged(`the word of slot ${slot} cannot be what it says`));
      }
      const state = slotState(slots.load(slot));
      if (state === RETURNED && slots.acceptReturn(slot)) this.#takeBack(slot);
      else if (state === IDLE && this.block.isRetired(slot) && slots.check(slot)) this.#stock.toIdle(slot);
    }
  }

  #isOutOrBack(slot: number): boolean {
    const state = slotState(this.block.slots.load(slot));
    return state !== IDLE && state !== EMPTY && state !== CREATING;
  }

  #passes(verdict: HookOutcome): boolean {
    if (verdict !== undefined && !verdict.silent) this.#events.emit('error', verdict.error);
    return verdict === undefined;
  }

  // ── taking back

  /** A slot in hand that came back clean, as far as its borrower knows. */
  #takeBack(slot: number): void {
    const wasProbe = this.#guard.returned(slot);
    // Only where the block was damaged: there is nothing to ask a hook about.
    if (!this.#resources.has(slot)) return this.#stock.destroy(slot, 'unhealthy');
    if (isClosed(this.block.state.load())) return this.#stock.destroy(slot, 'closed');
    // Its failure has been reported.
    if (this.#stock.isEvicted(slot)) return this.#stock.toIdle(slot);
    const verdict = runHook('beforeRelease', this.#settings.beforeRelease, this.#resources.get(slot), this.#settings.checkTimeout);
    thenMaybeSync(verdict, (known) => {
      const { maxUses } = this.#settings;
      const passes = this.#passes(known);
      // Condemned meanwhile: reported, too. Otherwise reported while the slot is still in hand: if that moves the breaker, nobody gets it by the old rule.
      if (this.#stock.isEvicted(slot)) this.#stock.toIdle(slot);
      else if (passes) {
        this.#guard.success(wasProbe);
        if (maxUses !== 0 && this.block.uses(slot) >= maxUses) this.#stock.destroy(slot, 'max-uses');
        else this.#stock.toIdle(slot);
      } else {
        this.#guard.failure(known!.error, wasProbe);
        this.#stock.destroy(slot, 'rejected-on-release');
      }
      this.called();
    });
  }

  /** A slot in hand whose borrower calls it broken. */
  #discard(slot: number, error: Error): void {
    const wasProbe = this.#guard.returned(slot);
    if (!this.#stock.isEvicted(slot)) this.#guard.failure(error, wasProbe);
    this.#stock.destroy(slot, 'destroyed');
    this.called();
  }

  /** A slot in hand whose borrower died. */
  #orphaned(slot: number, release: boolean): void {
    if (release) return this.#takeBack(slot);
    this.#guard.returned(slot);
    this.#stock.destroy(slot, 'orphaned');
    this.called();
  }

  #examine(slot: number, done: () => void): void {
    const verdict = runHook('healthcheck', this.#settings.healthcheck, this.#resources.get(slot), this.#settings.checkTimeout);
    thenMaybeSync(verdict, (known) => {
      if (this.#passes(known)) this.#stock.toIdle(slot);
      else this.#stock.destroy(slot, 'unhealthy');
      this.called();
      done();
    });
  }

  // ── the end

  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    // Known before anything else happens: what follows calls out, and may be asked to close again.
    this.#closing = this.keepAlive.during(
      new Promise<void>((resolve) => {
        this.#swept = resolve;
      }),
    );
    this.#impose(CLOSED);
    // LINE may be damaged, and nobody is to be left behind.
    this.block.line.reopen();
    this.lending.rejectWaiters(REASON_CLOSED);
    this.#demand.end();
    this.#giveUpMaking();
    this.#allBack();
    this.called();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #giveUpMaking(): void {
    this.#stock.abandonCreations(new PoolClosedError(`pool ${show(this.name)} is closed`, this.name));
  }

  /** Closed: destroys what is idle; ends when nothing is left. */
  #sweep(): void {
    const { out, inHand } = this.#clear();
    if (inHand > 0) return;
    this.#swept();
    if (out === 0) this.#end();
  }

  /**
   * Destroys what is idle, and counts the rest. Leaves no slot IDLE, and none out without its flag: somebody who read the state before it
   * refused everybody may still borrow an idle slot, but then we see it out and flag it, and its return is seen.
   */
  #clear(): { out: number; inHand: number } {
    const { slots } = this.block;
    let out = 0;
    let inHand = 0;
    for (let slot = 0; slot < slots.count; slot++) {
      while (slots.flag(slot) === FOUND_IDLE) if (slots.check(slot)) this.#stock.destroy(slot, 'closed');
      const state = slotState(slots.load(slot));
      // Granted counts as out, picked up or not: a thread that is blocked may take its time.
      if (state === LEASED || (state === TAKEN && this.block.snapshot.isGranted(slot))) out++;
      else if (state !== EMPTY) inHand++;
    }
    return { out, inHand };
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timetable.end();
    this.#guard.end();
    removeAttachListener(this.block.constants.poolId);
    this.#members.detachAll();
    this.waiters.poll();
    this.keepAlive.end();
    // Nobody listens to the bell any more; ring it once, so that the standing wait ends.
    this.block.bells.ring(OWNER);
    this.#events.emit('close');
  }

  drain(options: { timeout?: number | undefined } = {}): Promise<void> {
    try {
      checkFew(options, { of: 'drain', options: ['timeout'], others: { timeoutMillis: 'use timeout, in milliseconds' } });
      if (options.timeout !== undefined) checkDuration('timeout', options.timeout);
    } catch (error) {
      return Promise.reject(error);
    }
    const timeout = limitOf(options.timeout ?? 0);
    this.#draining ??= this.keepAlive.during(this.#drain());
    if (timeout === 0) return this.#draining;
    const timer = setTimeout(() => void this.close(), timeout);
    return this.#draining.finally(() => clearTimeout(timer));
  }

  async #drain(): Promise<void> {
    if (this.#closing === undefined) {
      await new Promise<void>((resolve) => {
        this.#allBack = resolve;
        this.#impose(DRAINING);
        this.called();
      });
    }
    await this.close();
  }

  /** Draining: nobody waits any more, so what is idle can go; and nothing is out. */
  #isAllBack(): boolean {
    if (this.lending.hasWaiters()) return false;
    this.#giveUpMaking();
    const { out, inHand } = this.#clear();
    return out + inHand === 0;
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

  /** A promise asks what it is resolved with for its `then`. A Proxy that throws there (revoked, released by comlink) would reach no borrower, and never come back. */
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
    if (this.block.slots.seize(slot, this.lending.forget(slot))) this.#stock.destroy(slot, 'unhealthy');
    return this.damaged(`slot ${slot} has no resource`);
  }

  /** Most give back what was lent last. */
  protected override slotOf(resource: T): number {
    const { last } = this.lending;
    return this.#resources.get(last) === resource && this.#isOut(last) ? last : this.#findAmongOut(resource);
  }

  #findAmongOut(resource: T): number {
    return this.#resources.find(resource, (slot) => this.#isOut(slot));
  }

  /** Borrowed here, and not for the sake of a thread. */
  #isOut(slot: number): boolean {
    return this.lending.holds(slot) && !this.#members.isOnErrand(slot);
  }

  protected override giveBack(slot: number): void {
    this.lending.giveBack(slot);
  }

  protected override giveUp(slot: number, error: Error): void {
    if (this.block.slots.seize(slot, this.lending.forget(slot))) this.#discard(slot, error);
  }

  condemn(resource: T, error?: Error): boolean {
    const slot = this.#resources.slotOf(resource);
    if (slot === NONE || !this.#stock.evict(slot)) return false;
    this.#guard.failure(reasonToDestroy(this.name, error), this.#guard.returned(slot));
    this.called();
    return true;
  }

  override async call<K extends MethodName<T>>(method: K, args: Arguments<T, K>, options?: AcquireOptions): Promise<Result<T, K>> {
    checkCall(method, args);
    // Awaited, so that a leak's stack goes on to who has called this.
    return await this.use((resource) => {
      const found = findMethod(resource, method, undefined);
      if (found === undefined)
        throw new RemoteCallError(`pool ${show(this.name)}: ${method}() is not a method of ${show(resource)}`, this.name);
      return Reflect.apply(found, resource, args) as Result<T, K>;
    }, options);
  }

  #leaking(slot: number, lease: number, thread: number, heldFor: number): void {
    const tell = (threadId: number, stack: string | undefined): void =>
      this.#events.emit('leak', { threadId, heldFor, ...(stack === undefined ? {} : { stack }) });
    if (thread === OWNER && !this.#members.isOnErrand(slot)) tell(threadId, this.traces?.stackOf(slot, lease));
    else this.#members.trace(slot, lease, thread, tell);
  }

  // ── breaker and events

  setCircuitBreakerStrategy(strategy: CircuitBreakerStrategy | null): void {
    if (strategy !== null) checkStrategy('the strategy', strategy);
    this.#guard.strategy = strategy ?? undefined;
    this.#guardReturns();
  }

  /** Returns pass by us if a hook or a strategy wants to know of them. */
  #guardReturns(): void {
    const { state } = this.block;
    if (this.#settings.beforeRelease === undefined && this.#guard.strategy === undefined) state.clear(RETURNS_GUARDED);
    else {
      state.set(RETURNS_GUARDED);
      this.lending.flagAll();
    }
  }

  on<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this {
    this.#events.on(event, listener);
    return this;
  }

  once<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this {
    this.#events.once(event, listener);
    return this;
  }

  off<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this {
    this.#events.off(event, listener);
    return this;
  }
}
