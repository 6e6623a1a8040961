/**
 * Has resources made, and deals with a factory that fails:
 * the first waiter gets the error, and a refill to `min` is tried again after a pause.
 */

import { COUNTER_FACTORY_FAILURES } from '../../shared/layout.ts';
import type { Lending } from '../../shared/lending/lending.ts';
import { clearTimeout, setTimeout } from '../../shared/node.ts';
import { asError } from '../../shared/show.ts';
import type { FactoryErrors } from '../../shared/waiting/factory-errors.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import { cellThread, REASON_FACTORY } from '../../shared/words/line.ts';
import { EMPTY, slotState } from '../../shared/words/slot.ts';
import { ACTIVE, breakerOf, isClosed, isDraining, isSuspended } from '../../shared/words/state.ts';
import { OWNER } from '../../shared/words/threads.ts';
import type { BreakerController } from '../breaker/controller.ts';
import type { Events } from '../events.ts';
import type { Suspensions } from '../steering/suspensions.ts';
import type { AttachedThreads } from '../threads/attached-threads.ts';
import type { Turn } from '../turn/turn.ts';
import type { ResourceStore } from './store.ts';

/** Pause before a failed refill to `min` is tried again, in ms: doubled each time, halved at random. */
const FIRST_BACKOFF = 100;
const LAST_BACKOFF = 30_000;

/** The parts of the owner that the replenisher works with. */
export interface Neighbours<T> {
  readonly lending: Lending;
  readonly store: ResourceStore<T>;
  readonly breaker: BreakerController;
  readonly threads: AttachedThreads<T>;
  /** The errors of waiters on the owner's own thread. */
  readonly factoryErrors: FactoryErrors;
  readonly events: Events<T>;
  readonly turn: Turn;
  readonly suspensions: Suspensions<T>;
}

export class Replenisher<T> {
  readonly #block: ControlBlock;
  readonly #lending: Lending;
  readonly #store: ResourceStore<T>;
  readonly #breaker: BreakerController;
  readonly #threads: AttachedThreads<T>;
  readonly #factoryErrors: FactoryErrors;
  readonly #events: Events<T>;
  readonly #turn: Turn;
  readonly #suspensions: Suspensions<T>;
  #refillTimer: NodeJS.Timeout | undefined;
  #refillsFailed = 0;
  /** Factory calls that have failed, for waiters or for `min`. */
  failures = 0;
  /** Has the last one failed? */
  isFailing = false;

  constructor({ lending, store, breaker, threads, factoryErrors, events, turn, suspensions }: Neighbours<T>) {
    this.#block = lending.block;
    this.#lending = lending;
    this.#store = store;
    this.#breaker = breaker;
    this.#threads = threads;
    this.#factoryErrors = factoryErrors;
    this.#events = events;
    this.#turn = turn;
    this.#suspensions = suspensions;
  }

  /** Has one that no waiter was told of failed just now? */
  get isBackingOff(): boolean {
    return this.#refillTimer !== undefined;
  }

  /** Is nothing to be there? */
  get isEmptying(): boolean {
    return this.#suspensions.isEmptying;
  }

  /**
   * Is what is missing being made? Not after a failure, while the breaker is not ACTIVE, while nothing is to be there, or without a permit.
   */
  get isRefilling(): boolean {
    if (this.isBackingOff || breakerOf(this.#block.state.load()) !== ACTIVE || this.isEmptying) return false;
    return this.#store.making > 0 || !this.#store.lacksPermit;
  }

  /** Is there a permit for another only if one that is there goes first? */
  get hasToGiveUp(): boolean {
    return this.#store.hasToGiveUp;
  }

  end(): void {
    clearTimeout(this.#refillTimer);
  }

  /** Up to `min`, unless the last try failed just now. */
  refill(): void {
    const { slots, state } = this.#block;
    if (this.#refillTimer !== undefined || isDraining(state.load()) || this.isEmptying) return;
    let missing = this.#block.limits.min - this.#block.snapshot.count().count;
    for (let slot = 0, extent = slots.extent; slot < extent && missing > 0 && !this.#store.isMakingEnough; slot++) {
      if (breakerOf(state.load()) !== ACTIVE || isClosed(state.load()) || this.#refillTimer !== undefined) return;
      if (slotState(slots.load(slot)) !== EMPTY || !slots.reserve(slot)) continue;
      missing--;
      this.make(slot);
    }
  }

  /** For a slot that is EMPTY. False: as many are being made as may be. */
  makeOne(slot: number): boolean {
    if (this.#store.isMakingEnough || !this.#block.slots.reserve(slot)) return false;
    this.make(slot);
    return true;
  }

  /** For a slot that is CREATING: it is offered to the first waiter, or becomes EMPTY again. */
  make(slot: number): void {
    this.#store.create(slot, { arrived: () => this.#arrived(slot), failed: (_, thrown) => this.#factoryFailed(slot, thrown) });
  }

  /** As `make`, while the pool starts: rejects with what the factory throws. */
  makeFirst(slot: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#store.create(slot, {
        arrived: () => {
          this.#arrived(slot);
          resolve();
        },
        failed: (_, thrown) => {
          this.#block.counters.add(OWNER, COUNTER_FACTORY_FAILURES);
          this.#block.slots.toEmpty(slot);
          this.#breaker.factoryFailed(asError(thrown));
          reject(thrown);
        },
      });
    });
  }

  #arrived(slot: number): void {
    this.#refillsFailed = 0;
    this.isFailing = false;
    this.#turn.arrived(slot);
  }

  #factoryFailed(slot: number, thrown: unknown): void {
    this.#block.slots.toEmpty(slot);
    this.failures++;
    this.isFailing = true;
    const state = this.#block.state.load();
    // While the pool is suspended waiters keep their places.
    const isTold = !isSuspended(state) && this.#failFirst(thrown);
    // At the end, that is what everything under way comes to.
    if (!isTold && (isClosed(state) || isDraining(state))) return this.#turn.request();
    this.#block.counters.add(OWNER, COUNTER_FACTORY_FAILURES);
    const error = asError(thrown);
    if (!isTold) {
      this.#events.emit('error', error);
      this.#backOff();
    }
    this.#breaker.factoryFailed(error);
    this.#turn.request();
  }

  /** The first waiter gets the factory's error. False: there is none. */
  #failFirst(error: unknown): boolean {
    const { line } = this.#block;
    for (;;) {
      const first = this.#lending.matching.first();
      if (first === undefined) return false;
      const { cell, word } = first;
      const thread = cellThread(word);
      // Told before it can know that it was failed.
      const ticket = line.ticket(cell);
      this.#tellFailure(thread, cell, ticket, error);
      if (line.fail(cell, word, REASON_FACTORY)) {
        this.#lending.matching.wake(thread);
        return true;
      }
      this.#tellSpared(thread, cell, ticket);
    }
  }

  #tellFailure(thread: number, cell: number, ticket: number, error: unknown): void {
    if (thread === OWNER) this.#factoryErrors.set(cell, ticket, error);
    else this.#threads.tellFactoryFailure(thread, cell, ticket, error);
  }

  /** It was not for that waiter after all: it was served first, or has left. */
  #tellSpared(thread: number, cell: number, ticket: number): void {
    if (thread === OWNER) this.#factoryErrors.delete(cell, ticket);
    else this.#threads.tellSpared(thread, cell, ticket);
  }

  #backOff(): void {
    if (this.#refillTimer !== undefined) return;
    const pause = Math.min(FIRST_BACKOFF * 2 ** this.#refillsFailed++, LAST_BACKOFF) * (0.5 + Math.random() / 2);
    this.#refillTimer = setTimeout(() => {
      this.#refillTimer = undefined;
      this.#turn.request();
    }, pause).unref();
  }
}
