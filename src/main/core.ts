/** The parts of the owner, each of which knows the others by name; and the effects of its turn outside of the control block. */

import { PoolClosedError } from '../shared/errors.ts';
import type { Lending } from '../shared/lending/lending.ts';
import type { Traces } from '../shared/lending/traces.ts';
import { setTimeout } from '../shared/node.ts';
import { states } from '../shared/observing/channels.ts';
import type { Hold } from '../shared/options/hold-limits.ts';
import { show } from '../shared/show.ts';
import type { CircuitBreaker } from '../shared/types.ts';
import type { FactoryErrors } from '../shared/waiting/factory-errors.ts';
import type { KeepAlive } from '../shared/waiting/keep-alive.ts';
import type { Waiters } from '../shared/waiting/waiters.ts';
import type { DestroyReason } from '../shared/words/counters.ts';
import { LEASED, RETURNED, slotState, TAKEN } from '../shared/words/slot.ts';
import { HAND_OUTS_GUARDED, isClosed, isDraining, RETURNS_GUARDED } from '../shared/words/state.ts';
import { OWNER } from '../shared/words/threads.ts';
import { BreakerController } from './breaker/controller.ts';
import { Probes } from './breaker/probes.ts';
import { Events } from './events.ts';
import type { Settings } from './options.ts';
import { type HookOutcome, runHook, thenMaybeSync } from './resources/hooks.ts';
import { Maintenance } from './resources/maintenance.ts';
import { UNLIMITED } from './resources/permits.ts';
import { Replenisher } from './resources/replenisher.ts';
import { Resources } from './resources/resources.ts';
import { ResourceStore } from './resources/store.ts';
import { Holds, type OwnLeases } from './steering/holds.ts';
import { Recycling } from './steering/recycling.ts';
import { Resizing } from './steering/resizing.ts';
import { Suspensions } from './steering/suspensions.ts';
import { removeAttachListener } from './threads/attach-listener.ts';
import { AttachedThreads, type Steering } from './threads/attached-threads.ts';
import type { Stands } from './threads/one-shot-calls.ts';
import type { TurnEffects, Verdict } from './turn/effects.ts';
import { Turn } from './turn/turn.ts';
import type { BudgetedPool, CircuitBreakerStrategy, PoolPermits } from './types.ts';

/** The owner's thread as a borrower of its own pool. */
export interface OwnBorrower {
  readonly lending: Lending;
  readonly waiters: Waiters;
  readonly keepAlive: KeepAlive;
  readonly factoryErrors: FactoryErrors;
  readonly traces: Traces | undefined;
  readonly breaker: CircuitBreaker;
  readonly stands: Stands;
  /** An error that says that the block is damaged. */
  readonly damaged: (why: string) => Error;
  /** The pool has ended. */
  readonly ended: () => void;
  /** An error that says that a resource was taken back. */
  readonly revokedError: (heldFor: number, cause: unknown) => Error;
  readonly leases: OwnLeases;
}

export class OwnerCore<T> implements TurnEffects, Steering, BudgetedPool {
  readonly events = new Events<T>();
  readonly turn: Turn;
  readonly probes: Probes;
  readonly resources: Resources<T>;
  readonly store: ResourceStore<T>;
  readonly threads: AttachedThreads<T>;
  readonly breaker: BreakerController;
  readonly replenisher: Replenisher<T>;
  readonly suspensions: Suspensions<T>;
  readonly resizing: Resizing<T>;
  readonly recycling: Recycling<T>;
  readonly holds: Holds<T>;
  readonly permits: PoolPermits;
  readonly imposed: number;
  readonly #settings: Settings<T>;
  readonly #own: OwnBorrower;
  readonly #maintenance: Maintenance<T>;
  #nextLook: NodeJS.Timeout | undefined;

  constructor(settings: Settings<T>, own: OwnBorrower) {
    const { lending, keepAlive, factoryErrors, traces } = own;
    const { block } = lending;
    const { events } = this;
    this.#settings = settings;
    this.#own = own;
    this.imposed = settings.beforeAcquire === undefined ? 0 : HAND_OUTS_GUARDED;
    this.probes = new Probes(block, settings.recoveryProbes);
    this.turn = new Turn(lending, this.probes, this);
    this.resources = new Resources(settings.ceiling);
    this.breaker = new BreakerController(own.breaker, block.state, settings.recoveryProbes, events);
    events.on('state', (next, previous) => states.publish({ pool: settings.name, next, previous }));
    this.threads = new AttachedThreads(settings, lending, this.resources, this.turn, events, this, own.stands);
    this.suspensions = new Suspensions(settings.name, this.turn, this.threads, events, keepAlive);
    this.permits = settings.budget?.enter(this) ?? UNLIMITED;
    this.store = new ResourceStore(settings, block, keepAlive, events, this.resources, this.threads, this.turn, this.permits);
    this.replenisher = new Replenisher({ ...this.#parts(), lending, factoryErrors });
    this.#maintenance = new Maintenance(settings, { ...this.#parts(), block, traces });
    this.holds = new Holds(settings, block, this.turn, this.threads, this.resources, events, traces, own.leases);
    this.resizing = new Resizing(settings.name, block, this.turn, events, keepAlive, this.resources, this.replenisher);
    this.recycling = new Recycling(settings, block, this.turn, this.resources, this.replenisher, this.holds, keepAlive);
    block.state.set(this.imposed);
    this.setStrategy(settings.circuitBreaker);
  }

  #parts(): Pick<OwnerCore<T>, 'store' | 'breaker' | 'threads' | 'events' | 'turn' | 'suspensions'> {
    const { store, breaker, threads, events, turn, suspensions } = this;
    return { store, breaker, threads, events, turn, suspensions };
  }

  // ── effects: steering

  get suspended(): number {
    return this.suspensions.bits;
  }

  get isEmptying(): boolean {
    return this.suspensions.isEmptying;
  }

  get suspendedBy(): readonly string[] {
    return this.suspensions.labels;
  }

  whenCancelled(slot: number, then: () => void): void {
    this.holds.whenCancelled(slot, then);
  }

  limit(slot: number, lease: number, hold: Hold): void {
    this.holds.limit(slot, lease, hold);
  }

  renew(slot: number, lease: number): void {
    this.holds.renew(slot, lease);
  }

  revokedError(heldFor: number, cause: unknown): Error {
    return this.#own.revokedError(heldFor, cause);
  }

  looked(): void {
    this.suspensions.looked();
    this.resizing.looked();
    this.recycling.looked();
  }

  // ── effects: the breaker

  setStrategy(strategy: CircuitBreakerStrategy | undefined): void {
    this.breaker.strategy = strategy;
    this.guardReturns();
  }

  /** Returns pass by us if a hook or a strategy wants to know of them, or if there is more than there are permits for. */
  guardReturns(): void {
    const { lending } = this.#own;
    const isGuarded = (lending.block.state.load() & RETURNS_GUARDED) !== 0;
    const guards = this.#settings.beforeRelease !== undefined || this.breaker.strategy !== undefined || this.excess !== undefined;
    if (guards === isGuarded) return;
    if (!guards) return void lending.block.state.clear(RETURNS_GUARDED);
    lending.block.state.set(RETURNS_GUARDED);
    lending.matching.flagAll();
  }

  announceBreaker(): void {
    this.breaker.announce();
  }

  succeeded(wasProbe: boolean): void {
    this.breaker.success(wasProbe);
  }

  failed(error: Error, wasProbe: boolean): void {
    this.breaker.failure(error, wasProbe);
  }

  // ── effects: resources

  get creating(): number {
    return this.store.making;
  }

  get isCreatingEnough(): boolean {
    return this.store.isMakingEnough;
  }

  has(slot: number): boolean {
    return this.resources.has(slot);
  }

  isEvicted(slot: number): boolean {
    return this.store.isEvicted(slot);
  }

  // ── effects: permits

  get isAsking(): boolean {
    return this.permits.isAsking;
  }

  get excess(): DestroyReason | undefined {
    return this.permits.excess;
  }

  // ── what a budget asks

  get name(): string {
    return this.#settings.name;
  }

  wanted(): number {
    const { block } = this.#own.lending;
    const { slots, state, limits } = block;
    let out = 0;
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) {
      const now = slotState(slots.load(slot));
      if (now === LEASED || now === TAKEN || now === RETURNED) out++;
    }
    const { min, max } = limits;
    const least = isClosed(state.load()) || isDraining(state.load()) ? 0 : min;
    const withOneMore = this.recycling.wantsOneMore ? this.resources.count + this.creating + 1 : 0;
    // What was given up has no slot, and still its permit.
    return Math.min(max, Math.max(least, out + Math.max(block.waiting(), this.creating), withOneMore)) + this.store.givenUp;
  }

  changed(): void {
    this.turn.request();
  }

  lost(revoke: boolean): void {
    const { slots } = this.#own.lending.block;
    const { share, abort } = this.#settings;
    // Of a value that is the borrower's own nothing can be taken back.
    const isRevocable = share === undefined || abort !== undefined;
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) {
      if (!this.has(slot)) continue;
      this.turn.owned.retire(slot, 'lost');
      if (revoke && isRevocable) this.holds.revokeWhatIsOut(slot, undefined);
    }
    this.turn.request();
  }

  // ── effects: hooks

  beforeAcquire(slot: number, then: (verdict: Verdict) => void): void {
    const { beforeAcquire, checkTimeout } = this.#settings;
    this.#report(runHook('beforeAcquire', beforeAcquire, this.resources.get(slot), checkTimeout), then);
  }

  beforeRelease(slot: number, then: (verdict: Verdict) => void): void {
    const { beforeRelease, checkTimeout } = this.#settings;
    this.#report(runHook('beforeRelease', beforeRelease, this.resources.get(slot), checkTimeout), then);
  }

  #report(outcome: HookOutcome | Promise<HookOutcome>, then: (verdict: Verdict) => void): void {
    thenMaybeSync(outcome, (known) => {
      if (known !== undefined && !known.silent) this.events.emit('error', known.error);
      then(known?.error);
    });
  }

  create(slot: number): void {
    this.replenisher.make(slot);
  }

  destroy(slot: number, reason: DestroyReason): void {
    this.store.destroy(slot, reason);
  }

  refill(): void {
    this.replenisher.refill();
  }

  abandonCreations(): void {
    const { name } = this.#settings;
    this.store.abandonCreations(new PoolClosedError(`pool ${show(name)} is closed`, name));
  }

  damaged(slot: number): void {
    this.events.emit('error', this.#own.damaged(`the word of slot ${slot} cannot be what it says`));
  }

  // ── effects: time, and the end

  lookAgain(): void {
    this.#nextLook ??= setTimeout(() => {
      this.#nextLook = undefined;
      this.turn.request();
    }, 1);
  }

  leftOpen(closed: Promise<void>): void {
    this.suspensions.endAll(!this.turn.life.isClosing);
    this.resizing.endAll();
    this.recycling.endAll();
    void this.#own.keepAlive.during(closed);
  }

  ended(): void {
    const { block } = this.#own.lending;
    this.replenisher.end();
    this.#maintenance.end();
    this.holds.end();
    this.breaker.end();
    removeAttachListener(block.constants.poolId);
    this.threads.detachAll();
    this.permits.end();
    this.#own.waiters.poll();
    this.#own.keepAlive.end();
    // The owner does not listen to its bell any more; ring it once, so that the standing wait ends.
    block.bells.ring(OWNER);
    this.#own.ended();
    this.events.emit('close');
  }
}
