/**
 * The pool on its owner's thread. Everything that happens to slots off the fast path happens in `turn`: one pass over what is there, run
 * whenever something may have changed, and right however often it runs. The files beside this one each know one thing; this one knows the order.
 */
import { randomInt } from 'node:crypto';
import { threadId } from 'node:worker_threads';
import { checkDuration } from '../shared/acquire-options.ts';
import { Borrower } from '../shared/borrower.ts';
import { ControlBlock } from '../shared/control-block.ts';
import { asError, PoolClosedError, show } from '../shared/errors.ts';
import { FEATURE_SHARE, FEATURE_TRACE, TALLY_CREATED, TALLY_DESTROYED, TALLY_FACTORY_FAILURES } from '../shared/layout.ts';
import { cellThread, MARK_TRIES, REASON_CLOSED, REASON_FACTORY, REASON_NOTHING, REASON_UNAVAILABLE } from '../shared/line.ts';
import { EMPTY, FOUND_IDLE, IDLE, LEASED, RETURNED, slotState, TAKEN } from '../shared/slot.ts';
import {
  ACTIVE,
  breakerOf,
  CLOSED,
  DRAINING,
  guardsHandOuts,
  HAND_OUTS_GUARDED,
  INACTIVE,
  isClosed,
  isDraining,
  RETURNS_GUARDED,
} from '../shared/state.ts';
import { OWNER } from '../shared/threads.ts';
import type { PoolHandle } from '../shared/types.ts';
import { ask, isThenable, type Verdict, whenKnown } from './checks.ts';
import { Events } from './events.ts';
import { Guard } from './guard.ts';
import { Making, type Outcome } from './making.ts';
import { Members } from './members.ts';
import { checkStrategy, type Settings } from './options.ts';
import { closeDoor, openDoor } from './registry.ts';
import { Resources } from './resources.ts';
import type { CircuitBreakerStrategy, DestroyReason, Pool, PoolEvents } from './types.ts';
import { Timetable } from './upkeep.ts';

/** Pause before a failed refill to `min` is tried again, in ms: doubled each time, halved at random. */
const FIRST_BACKOFF = 100;
const LAST_BACKOFF = 30_000;
/** Resources live up to this share shorter than maxLifetime, so that they do not all go at once. */
const LIFETIME_JITTER = 0.1;

export class OwnerPool<T> extends Borrower<T> implements Pool<T> {
  readonly handle: PoolHandle<T>;
  readonly #settings: Settings<T>;
  readonly #events = new Events<T>();
  readonly #resources: Resources<T>;
  readonly #making: Making<T>;
  readonly #members: Members<T>;
  readonly #guard: Guard;
  readonly #timetable: Timetable;
  /** Slots whose beforeAcquire is running. */
  readonly #preparing = new Set<number>();
  readonly #factoryErrors = new Map<number, { ticket: number; error: unknown }>();
  readonly #whenSwept: (() => void)[] = [];
  readonly #whenBack: (() => void)[] = [];
  readonly #outcome: Outcome<T>;
  #turning = false;
  #again = false;
  #refillTimer: NodeJS.Timeout | undefined;
  #refillsFailed = 0;
  #closing: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #ended = false;

  constructor(settings: Settings<T>) {
    const block = ControlBlock.create({
      poolId: randomInt(1, 2 ** 31),
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
    this.#resources = new Resources(settings.max);
    this.#making = new Making(settings, (resource) => void this.#destruct(resource));
    this.#outcome = {
      arrived: (slot, resource) => this.#arrived(slot, resource),
      failed: (slot, thrown) => this.#factoryFailed(slot, thrown),
    };
    this.#guard = new Guard(this, block.state, settings.recoveryProbes, {
      changed: (next, previous) => this.#events.emit('state', next, previous),
      failed: (error) => this.#events.emit('error', error),
    });
    this.#members = new Members(settings, this.lending, this.#resources, {
      attached: (id) => this.#events.emit('attach', id),
      detached: (id, reclaimed) => {
        this.#events.emit('detach', id, reclaimed);
        this.called();
      },
      returned: (slot) => this.#takeBack(slot),
      broken: (slot, error) => this.#discard(slot, error),
      orphaned: (slot, release) => this.#orphaned(slot, release),
    });
    this.#timetable = new Timetable(block, settings, {
      examine: (slot, done) => this.#examine(slot, done),
      expire: (slot) => this.#unmake(slot, 'idle-timeout'),
      leaking: (slot, lease, thread, heldFor) => this.#leaking(slot, lease, thread, heldFor),
    });
    block.threads.occupy(OWNER, threadId);
    if (settings.beforeAcquire !== undefined) block.state.set(HAND_OUTS_GUARDED);
    if (settings.circuitBreaker !== undefined) this.#guard.strategy = settings.circuitBreaker;
    this.#guardReturns();
    openDoor(block.constants.poolId, (id, port) => this.#members.admit(id, port));
    this.doorbell.listen();
  }

  /** Makes the first `min` resources. If one fails, ends the pool, and rejects with the factory's error. */
  async start(): Promise<void> {
    const slots = Array.from({ length: this.#settings.min }, (_, slot) => slot);
    // All of them before the first factory call: a synchronous one leads to a turn, which would find places to fill.
    for (const slot of slots) this.block.slots.reserve(slot);
    const firsts = slots.map((slot) => this.#makeFirst(slot));
    try {
      await this.keepAlive.during(Promise.all(firsts));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  #makeFirst(slot: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#making.start(slot, {
        arrived: (at, resource) => {
          const problem = this.#arrived(at, resource);
          if (problem === undefined) resolve();
          else reject(problem);
        },
        failed: (at, error) => {
          this.tally(TALLY_FACTORY_FAILURES);
          this.block.slots.vacate(at);
          reject(error);
        },
      });
    });
  }

  // ── the turn

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
    this.#guard.announce();
    this.#acceptReturned();
    const state = this.block.state.load();
    if (isClosed(state)) {
      this.lending.evict(REASON_CLOSED);
      this.#sweep();
      return;
    }
    if (breakerOf(state) === INACTIVE) this.lending.evict(REASON_UNAVAILABLE);
    else {
      this.#guard.recall((slot) => this.#isOutOrBack(slot));
      if (guardsHandOuts(state)) this.#prepare();
      else this.lending.serve();
      this.#grow();
      this.#refuseTries();
    }
    this.#refill();
    if (isDraining(state) && this.#isAllBack()) for (const back of this.#whenBack.splice(0)) back();
  }

  #acceptReturned(): void {
    const { slots } = this.block;
    for (let slot = 0; slot < slots.count; slot++) if (slotState(slots.load(slot)) === RETURNED && slots.accept(slot)) this.#takeBack(slot);
  }

  #isOutOrBack(slot: number): boolean {
    const state = slotState(this.block.slots.load(slot));
    return state === TAKEN || state === LEASED || state === RETURNED;
  }

  /** Hand-outs under way that will each serve one waiter. */
  #underWay(): number {
    return this.#preparing.size + this.#making.size;
  }

  /** Guarded: asks beforeAcquire about as many idle slots as there are waiters for. Each goes to whoever is first when it has passed. */
  #prepare(): void {
    const { slots, line } = this.block;
    for (let slot = 0; slot < slots.count && this.lending.hasWaiters(); slot++) {
      if (line.waiting() <= this.#preparing.size || this.#guard.allowance(this.#underWay()) <= 0) return;
      if (slotState(slots.load(slot)) !== IDLE || !slots.check(slot)) continue;
      this.#preparing.add(slot);
      const verdict = ask('beforeAcquire', this.#settings.beforeAcquire, this.#resources.get(slot), this.#settings.checkTimeout);
      whenKnown(verdict, (known) => {
        this.#preparing.delete(slot);
        if (this.#passes(known)) this.#offer(slot);
        else this.#unmake(slot, 'rejected-on-acquire');
        this.called();
      });
    }
  }

  #passes(verdict: Verdict): boolean {
    if (verdict !== undefined && !verdict.silent) this.#events.emit('error', verdict.error);
    return verdict === undefined;
  }

  /** A slot that we have in hand goes to whoever is first, or becomes idle. */
  #offer(slot: number): void {
    const { slots, state } = this.block;
    if (isClosed(state.load())) this.#unmake(slot, 'closed');
    else if (this.block.isRetired(slot)) this.#unmake(slot, 'max-lifetime');
    else if (breakerOf(state.load()) === INACTIVE || this.#guard.allowance(0) <= 0) slots.shelve(slot);
    else if (slots.offer(slot) && this.lending.grant(slot)) this.#guard.handedOut(slot);
  }

  /** As many at once as there are waiters that nothing under way will serve. */
  #grow(): void {
    const { slots, line, state } = this.block;
    for (let slot = 0; slot < slots.count; slot++) {
      if (line.waiting() <= this.#underWay() || this.#guard.allowance(this.#underWay()) <= 0) return;
      if (isClosed(state.load()) || breakerOf(state.load()) === INACTIVE) return;
      if (slotState(slots.load(slot)) === EMPTY && slots.reserve(slot)) this.#making.start(slot, this.#outcome);
    }
  }

  /** Whoever only tries, and will not be served by what is under way, is told so. */
  #refuseTries(): void {
    const { line } = this.block;
    if (!this.lending.hasWaiters()) return;
    for (const { cell, word } of line.waiters().slice(this.#underWay())) {
      if ((line.mark(cell) & MARK_TRIES) === 0) continue;
      if (line.fail(cell, word, REASON_NOTHING)) this.lending.wake(cellThread(word));
    }
    this.lending.hasWaiters();
  }

  /** Up to `min`, unless the last try failed just now. */
  #refill(): void {
    const { slots, state } = this.block;
    if (this.#refillTimer !== undefined || isDraining(state.load())) return;
    let missing = this.#settings.min - this.lending.census().count;
    for (let slot = 0; slot < slots.count && missing > 0; slot++) {
      if (breakerOf(state.load()) !== ACTIVE || isClosed(state.load()) || this.#refillTimer !== undefined) return;
      if (slotState(slots.load(slot)) !== EMPTY || !slots.reserve(slot)) continue;
      missing--;
      this.#making.start(slot, this.#outcome);
    }
  }

  // ── making

  /** Gives what is wrong with it, if something is. */
  #arrived(slot: number, resource: T): Error | undefined {
    const problem = this.#introduce(slot, resource);
    if (problem !== undefined) {
      void this.#destruct(resource);
      this.#factoryFailed(slot, problem);
      return problem;
    }
    this.#refillsFailed = 0;
    this.tally(TALLY_CREATED);
    this.#events.emit('create', resource);
    this.#offer(slot);
    this.called();
    return undefined;
  }

  #introduce(slot: number, resource: T): Error | undefined {
    const generation = this.block.renew(slot);
    const problem = this.#members.share(slot, generation, resource);
    if (problem !== undefined) return problem;
    this.#resources.put(slot, resource);
    const { maxLifetime } = this.#settings;
    if (maxLifetime > 0) this.#resources.retireAfter(slot, maxLifetime * (1 - LIFETIME_JITTER * Math.random()), () => this.#retire(slot));
    return undefined;
  }

  #factoryFailed(slot: number, thrown: unknown): void {
    this.block.slots.vacate(slot);
    // On closing, that is what everything under way comes to.
    if (isClosed(this.block.state.load())) return this.called();
    this.tally(TALLY_FACTORY_FAILURES);
    const error = asError(thrown);
    if (!this.#failFirst(thrown)) {
      this.#events.emit('error', error);
      this.#backOff();
    }
    this.#guard.failure(error, true);
    this.called();
  }

  /** The first waiter gets the factory's error. False: there is none. */
  #failFirst(error: unknown): boolean {
    const { line } = this.block;
    for (;;) {
      const first = line.oldest(line.loadLine());
      if (first === undefined) return false;
      const { cell, word } = first;
      // Told before it can know that it was failed.
      const ticket = line.ticket(cell);
      if (cellThread(word) === OWNER) this.#factoryErrors.set(cell, { ticket, error });
      else this.#members.tellFactoryFailure(cellThread(word), cell, ticket, error);
      if (!line.fail(cell, word, REASON_FACTORY)) continue;
      this.lending.wake(cellThread(word));
      return true;
    }
  }

  protected override factoryError(cell: number, ticket: number): unknown {
    const found = this.#factoryErrors.get(cell);
    this.#factoryErrors.delete(cell);
    return found?.ticket === ticket ? found.error : new PoolClosedError(`pool ${show(this.name)}: the factory failed`, this.name);
  }

  #backOff(): void {
    if (this.#refillTimer !== undefined) return;
    const pause = Math.min(FIRST_BACKOFF * 2 ** this.#refillsFailed++, LAST_BACKOFF) * (0.5 + Math.random() / 2);
    this.#refillTimer = setTimeout(() => {
      this.#refillTimer = undefined;
      this.called();
    }, pause).unref();
  }

  // ── taking back

  /** A slot in hand that came back clean, as far as its borrower knows. */
  #takeBack(slot: number): void {
    const wasProbe = this.#guard.returned(slot);
    if (isClosed(this.block.state.load())) return this.#unmake(slot, 'closed');
    const verdict = ask('beforeRelease', this.#settings.beforeRelease, this.#resources.get(slot), this.#settings.checkTimeout);
    whenKnown(verdict, (known) => {
      const { maxUses } = this.#settings;
      // Reported while the slot is still in hand: if that moves the breaker, nobody gets it by the old rule.
      if (this.#passes(known)) {
        this.#guard.success(wasProbe);
        if (maxUses !== 0 && this.block.uses(slot) >= maxUses) this.#unmake(slot, 'max-uses');
        else this.#keep(slot);
      } else {
        this.#guard.failure(known!.error, wasProbe);
        this.#unmake(slot, 'rejected-on-release');
      }
      this.called();
    });
  }

  /** A slot in hand becomes idle, unless its time has come meanwhile. The caller takes a turn. */
  #keep(slot: number): void {
    if (isClosed(this.block.state.load())) this.#unmake(slot, 'closed');
    else if (this.block.isRetired(slot)) this.#unmake(slot, 'max-lifetime');
    else this.block.slots.shelve(slot);
  }

  /** A slot in hand whose borrower calls it broken. */
  #discard(slot: number, error: Error): void {
    const wasProbe = this.#guard.returned(slot);
    this.#guard.failure(error, wasProbe);
    this.#unmake(slot, 'destroyed');
    this.called();
  }

  /** A slot in hand whose borrower died. */
  #orphaned(slot: number, release: boolean): void {
    if (release) return this.#takeBack(slot);
    this.#guard.returned(slot);
    this.#unmake(slot, 'orphaned');
    this.called();
  }

  #examine(slot: number, done: () => void): void {
    const verdict = ask('healthcheck', this.#settings.healthcheck, this.#resources.get(slot), this.#settings.checkTimeout);
    whenKnown(verdict, (known) => {
      if (this.#passes(known)) this.#keep(slot);
      else this.#unmake(slot, 'unhealthy');
      this.called();
      done();
    });
  }

  /** Too old: goes now if it is idle, else as soon as it is back. */
  #retire(slot: number): void {
    const { slots } = this.block;
    this.block.setRetired(slot, true);
    for (;;) {
      if (slots.check(slot)) return this.#unmake(slot, 'max-lifetime');
      if (slots.flag(slot) !== FOUND_IDLE) return;
    }
  }

  // ── unmaking

  /** CHECKING -> EMPTY, by way of the destructor. */
  #unmake(slot: number, reason: DestroyReason): void {
    const resource = this.#resources.delete(slot);
    whenKnown(this.#destruct(resource), () => {
      this.block.slots.vacate(slot);
      this.tally(TALLY_DESTROYED);
      this.#events.emit('destroy', resource, reason);
      this.called();
    });
  }

  /** Synchronous if the destructor is. Never fails: that is told, and otherwise ignored. */
  #destruct(resource: T): void | Promise<void> {
    const { destructor, checkTimeout } = this.#settings;
    if (destructor === undefined) return;
    // What it returns means nothing, unlike a check's.
    const verdict = ask(
      'destructor',
      (doomed: T) => {
        const done = destructor(doomed);
        return isThenable(done) ? (done as PromiseLike<unknown>).then(() => undefined) : undefined;
      },
      resource,
      checkTimeout,
    );
    if (verdict instanceof Promise) return this.keepAlive.during(verdict).then((known) => void this.#passes(known));
    this.#passes(verdict);
  }

  // ── the end

  close(): Promise<void> {
    this.#closing ??= this.keepAlive.during(
      new Promise((resolve) => {
        this.#whenSwept.push(resolve);
        this.block.state.set(CLOSED);
        this.lending.evict(REASON_CLOSED);
        clearTimeout(this.#refillTimer);
        this.#making.giveUpAll(new PoolClosedError(`pool ${show(this.name)} is closed`, this.name));
        for (const back of this.#whenBack.splice(0)) back();
        this.called();
      }),
    );
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Closed: destroys what is idle; ends when nothing is left. */
  #sweep(): void {
    const { out, inHand } = this.#clear();
    if (inHand > 0) return;
    for (const swept of this.#whenSwept.splice(0)) swept();
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
      while (slots.flag(slot) === FOUND_IDLE) if (slots.check(slot)) this.#unmake(slot, 'closed');
      const state = slotState(slots.load(slot));
      if (state === LEASED) out++;
      else if (state !== EMPTY) inHand++;
    }
    return { out, inHand };
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timetable.end();
    this.#guard.end();
    closeDoor(this.block.constants.poolId);
    this.#members.dismissAll();
    this.waiters.poll();
    this.keepAlive.end();
    // Nobody listens to the bell any more; ring it once, so that the standing wait ends.
    this.block.bells.ring(OWNER);
    this.#events.emit('close');
  }

  drain(options: { timeout?: number | undefined } = {}): Promise<void> {
    try {
      if (typeof options !== 'object' || options === null)
        throw new TypeError(`drain takes options like { timeout }, not ${show(options)}`);
      if (options.timeout !== undefined) checkDuration('timeout', options.timeout);
    } catch (error) {
      return Promise.reject(error);
    }
    const timeout = options.timeout ?? 0;
    this.#draining ??= this.keepAlive.during(this.#drain());
    if (timeout === 0) return this.#draining;
    const timer = setTimeout(() => void this.close(), timeout);
    return this.#draining.finally(() => clearTimeout(timer));
  }

  async #drain(): Promise<void> {
    if (this.#closing === undefined) {
      await new Promise<void>((resolve) => {
        this.#whenBack.push(resolve);
        this.block.state.set(DRAINING);
        this.called();
      });
    }
    await this.close();
  }

  /** Draining: nobody waits any more, so what is idle can go; and nothing is out. */
  #isAllBack(): boolean {
    if (this.lending.hasWaiters()) return false;
    const { out, inHand } = this.#clear();
    return out + inHand === 0;
  }

  // ── as a borrower

  protected override handOut(slot: number): T {
    if (this.#settings.leakDetectionThreshold > 0)
      this.#members.traced(slot, this.lending.held[slot], new Error('borrowed here').stack ?? '');
    return this.#resources.get(slot);
  }

  protected override slotOf(resource: T): number {
    return this.#resources.find(resource, this.lending.held);
  }

  protected override giveBack(slot: number): void {
    this.lending.giveBack(slot);
  }

  protected override giveUp(slot: number, error: Error): void {
    if (this.block.slots.seize(slot, this.lending.forget(slot))) this.#discard(slot, error);
  }

  protected override isOut(): boolean {
    return false;
  }

  protected override whyOut(): string {
    return 'it is closed';
  }

  #leaking(slot: number, lease: number, thread: number, heldFor: number): void {
    const stack = this.#members.trace(slot, lease);
    this.#events.emit('leak', { threadId: this.block.threads.threadId(thread), heldFor, ...(stack === undefined ? {} : { stack }) });
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

  override isClosed(): boolean {
    return isClosed(this.block.state.load());
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
