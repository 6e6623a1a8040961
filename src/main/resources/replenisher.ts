/**
 * Meeting demand: what the owner does for those who wait, beyond what a match can do. Asks hooks, makes resources, says no, and keeps up `min`.
 *
 * Nothing here belongs to a particular waiter. What is made or has passed its hook goes to whoever is first by then, so that somebody who is served by an early
 * return does not leave anybody behind, and leaving the line costs nothing.
 */

import { COUNTER_FACTORY_FAILURES } from '../../shared/layout.ts';
import type { Lending } from '../../shared/lending/lending.ts';
import { clearTimeout, setTimeout } from '../../shared/node.ts';
import { asError } from '../../shared/show.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import { cellThread, REASON_FACTORY, REASON_NOTHING, type Waiting } from '../../shared/words/line.ts';
import { EMPTY, IDLE, slotState } from '../../shared/words/slot.ts';
import { ACTIVE, breakerOf, guardsHandOuts, INACTIVE, isClosed, isDraining, isEvicting } from '../../shared/words/state.ts';
import { OWNER } from '../../shared/words/threads.ts';
import type { BreakerController } from '../breaker/controller.ts';
import type { Settings } from '../options.ts';
import { runHook, thenMaybeSync } from './hooks.ts';
import type { ResourceStore } from './store.ts';

/** Pause before a failed refill to `min` is tried again, in ms: doubled each time, halved at random. */
const FIRST_BACKOFF = 100;
const LAST_BACKOFF = 30_000;

export interface DemandEvents {
  /** The factory failed for a waiter; told before the waiter can know. */
  refused(thread: number, cell: number, ticket: number, thrown: unknown): void;
  /** Not for that waiter after all: it was served first, or has left. */
  spared(thread: number, cell: number, ticket: number): void;
  /** Something went wrong, and nobody waits for it. */
  failed(error: Error): void;
  changed(): void;
}

export class Demand<T> {
  readonly #settings: Settings<T>;
  readonly #lending: Lending;
  readonly #block: ControlBlock;
  readonly #stock: ResourceStore<T>;
  readonly #guard: BreakerController;
  readonly #tell: DemandEvents;
  /** Slots whose beforeAcquire is running. */
  readonly #preparing = new Set<number>();
  #refillTimer: NodeJS.Timeout | undefined;
  #refillsFailed = 0;
  #nextLook: NodeJS.Timeout | undefined;

  constructor(settings: Settings<T>, lending: Lending, stock: ResourceStore<T>, guard: BreakerController, tell: DemandEvents) {
    this.#settings = settings;
    this.#lending = lending;
    this.#block = lending.block;
    this.#stock = stock;
    this.#guard = guard;
    this.#tell = tell;
  }

  /** For everybody in line, as far as the state allows hand-outs at all. */
  meet(): void {
    const tries = this.#tries();
    if (!guardsHandOuts(this.#block.state.load())) this.#lending.serve();
    else {
      // As a match does: it does not end before everything that is out is flagged. Somebody may have borrowed by the old rule just now.
      do this.#prepare();
      while (this.#lending.hasWaiters() && this.#lending.flagAll() && this.#wantsMore());
    }
    this.#grow();
    this.#refuse(tries);
  }

  end(): void {
    clearTimeout(this.#refillTimer);
  }

  /** Hand-outs under way that will each serve one waiter. */
  #underWay(): number {
    return this.#preparing.size + this.#stock.making;
  }

  /** Guarded: is there a waiter whom nothing being prepared will serve, and may it be served? */
  #wantsMore(): boolean {
    // Moved meanwhile, by a hook or by another thread: then everybody is sent away, and nobody served.
    if (isEvicting(this.#block.state.load())) return false;
    return !this.#block.line.isShorterThan(this.#preparing.size + 1) && this.#guard.allowance(this.#underWay()) > 0;
  }

  /** Guarded: asks beforeAcquire about as many idle slots as there are waiters for. Each goes to whoever is first when it has passed. */
  #prepare(): void {
    const { slots } = this.#block;
    for (let slot = 0; slot < slots.count && this.#lending.hasWaiters(); slot++) {
      if (slotState(slots.load(slot)) !== IDLE) continue;
      if (!this.#wantsMore()) return;
      if (!slots.check(slot)) continue;
      this.#preparing.add(slot);
      const verdict = runHook('beforeAcquire', this.#settings.beforeAcquire, this.#stock.resources.get(slot), this.#settings.checkTimeout);
      thenMaybeSync(verdict, (known) => {
        this.#preparing.delete(slot);
        if (known !== undefined && !known.silent) this.#tell.failed(known.error);
        if (known === undefined) this.#offer(slot);
        else this.#stock.destroy(slot, 'rejected-on-acquire');
        this.#tell.changed();
      });
    }
  }

  /** A slot that we have in hand goes to whoever is first, or becomes idle. */
  #offer(slot: number): void {
    const { slots, state } = this.#block;
    if (this.#stock.reasonToDestroy(slot) !== undefined) this.#stock.toIdle(slot);
    else if (breakerOf(state.load()) === INACTIVE || this.#guard.allowance(0) <= 0) slots.toIdle(slot);
    else if (slots.toTakenByOwner(slot) && this.#lending.grant(slot)) this.#guard.handedOut(slot);
  }

  /** As many at once as there are waiters that nothing under way will serve, and as `maxCreating` allows. */
  #grow(): void {
    const { slots, line, state } = this.#block;
    for (let slot = 0; slot < slots.count; slot++) {
      if (slotState(slots.load(slot)) !== EMPTY) continue;
      if (this.#stock.isMakingEnough) return;
      if (line.isShorterThan(this.#underWay() + 1) || this.#guard.allowance(this.#underWay()) <= 0) return;
      if (isClosed(state.load()) || breakerOf(state.load()) === INACTIVE) return;
      if (slots.reserve(slot)) this.#make(slot);
    }
  }

  /** Those in line who only try. */
  #tries(): Waiting[] {
    return this.#lending.hasWaiters() ? this.#block.line.trying() : [];
  }

  /**
   * Whoever only tries, and will not be served by what is under way, is told so. Only those who were there before we looked for something for them:
   * what has become idle since may be for whoever has joined since, and that one calls us again. And nobody while a match somewhere is about to grant something:
   * it may be for them.
   */
  #refuse(tries: readonly Waiting[]): void {
    if (tries.length === 0) return;
    if (this.#block.snapshot.isGrantInFlight()) return this.#lookAgain();
    const { line } = this.#block;
    const underWay = this.#underWay();
    for (const { cell, word } of tries)
      if (!line.isAmongFirst(cell, underWay) && line.fail(cell, word, REASON_NOTHING)) this.#lending.wake(cellThread(word));
    this.#lending.hasWaiters();
  }

  /** Soon. A match takes microseconds, unless its thread is made to wait for a processor; if that dies, its repair calls us. */
  #lookAgain(): void {
    this.#nextLook ??= setTimeout(() => {
      this.#nextLook = undefined;
      this.#tell.changed();
    }, 1);
  }

  /** Up to `min`, unless the last try failed just now. */
  refill(): void {
    const { slots, state } = this.#block;
    if (this.#refillTimer !== undefined || isDraining(state.load())) return;
    let missing = this.#settings.min - this.#block.snapshot.count().count;
    for (let slot = 0; slot < slots.count && missing > 0 && !this.#stock.isMakingEnough; slot++) {
      if (breakerOf(state.load()) !== ACTIVE || isClosed(state.load()) || this.#refillTimer !== undefined) return;
      if (slotState(slots.load(slot)) !== EMPTY || !slots.reserve(slot)) continue;
      missing--;
      this.#make(slot);
    }
  }

  #make(slot: number): void {
    this.#stock.create(slot, { arrived: () => this.arrived(slot), failed: (_, thrown) => this.#factoryFailed(slot, thrown) });
  }

  /** A resource has been made, and its slot is in hand. */
  arrived(slot: number): void {
    this.#refillsFailed = 0;
    this.#offer(slot);
    this.#tell.changed();
  }

  #factoryFailed(slot: number, thrown: unknown): void {
    this.#block.slots.toEmpty(slot);
    const isTold = this.#failFirst(thrown);
    const state = this.#block.state.load();
    // At the end, that is what everything under way comes to.
    if (!isTold && (isClosed(state) || isDraining(state))) return this.#tell.changed();
    this.#block.counters.add(OWNER, COUNTER_FACTORY_FAILURES);
    const error = asError(thrown);
    if (!isTold) {
      this.#tell.failed(error);
      this.#backOff();
    }
    this.#guard.factoryFailed(error);
    this.#tell.changed();
  }

  /** The first waiter gets the factory's error. False: there is none. */
  #failFirst(error: unknown): boolean {
    const { line } = this.#block;
    for (;;) {
      const first = this.#lending.first();
      if (first === undefined) return false;
      const { cell, word } = first;
      const thread = cellThread(word);
      // Told before it can know that it was failed.
      const ticket = line.ticket(cell);
      this.#tell.refused(thread, cell, ticket, error);
      if (line.fail(cell, word, REASON_FACTORY)) {
        this.#lending.wake(thread);
        return true;
      }
      this.#tell.spared(thread, cell, ticket);
    }
  }

  #backOff(): void {
    if (this.#refillTimer !== undefined) return;
    const pause = Math.min(FIRST_BACKOFF * 2 ** this.#refillsFailed++, LAST_BACKOFF) * (0.5 + Math.random() / 2);
    this.#refillTimer = setTimeout(() => {
      this.#refillTimer = undefined;
      this.#tell.changed();
    }, pause).unref();
  }
}
