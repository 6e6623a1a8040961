/** What is in the slots, and how it gets in and out: factory, destructor, lifetime. Moves slots between EMPTY and "in hand", and from there to IDLE. */

import { COUNTER_CREATED, COUNTER_DESTROYED } from '../../shared/layout.ts';
import type { KeepAlive } from '../../shared/waiting/keep-alive.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import { EMPTY, FOUND_IDLE, IDLE, slotState } from '../../shared/words/slot.ts';
import { isClosed } from '../../shared/words/state.ts';
import { OWNER } from '../../shared/words/threads.ts';
import type { Events } from '../events.ts';
import type { Settings } from '../options.ts';
import type { DestroyReason } from '../types.ts';
import { type CreationOutcome, PendingCreations } from './creation.ts';
import { isThenable, runHook, thenMaybeSync } from './hooks.ts';
import { Resources } from './resources.ts';

/** Resources live up to this share shorter than maxLifetime, so that they do not all go at once. */
const LIFETIME_JITTER = 0.1;

export interface StockEvents<T> {
  /** Tells the workers of a new resource; gives what is wrong with it, if something is. */
  share(slot: number, generation: number, resource: T): Error | undefined;
  /** A slot has become EMPTY, or a factory call that had been given up has settled. */
  changed(): void;
}

export class ResourceStore<T> {
  readonly resources: Resources<T>;
  readonly #settings: Settings<T>;
  readonly #block: ControlBlock;
  readonly #keepAlive: KeepAlive;
  readonly #events: Events<T>;
  readonly #tell: StockEvents<T>;
  readonly #making: PendingCreations<T>;
  /** Known to be broken, by slot. */
  readonly #condemned = new Set<number>();

  constructor(settings: Settings<T>, block: ControlBlock, keepAlive: KeepAlive, events: Events<T>, tell: StockEvents<T>) {
    this.resources = new Resources(settings.max);
    this.#settings = settings;
    this.#block = block;
    this.#keepAlive = keepAlive;
    this.#events = events;
    this.#tell = tell;
    this.#making = new PendingCreations(settings, (resource) => {
      if (resource !== undefined) void this.#destruct(resource);
      // It may have been the one too many.
      this.#tell.changed();
    });
  }

  // ── in

  /** How many are being made. */
  get making(): number {
    return this.#making.size;
  }

  /** Are as many being made as may be at once? */
  get isMakingEnough(): boolean {
    return this.#making.isFull;
  }

  /** Makes a resource for a slot that is CREATING. It is in hand when `arrived` is called. */
  create(slot: number, outcome: Pick<CreationOutcome<T>, 'failed'> & { arrived(slot: number): void }): void {
    this.#making.start(slot, {
      arrived: (_, resource) => {
        // Only where the word was damaged: the place is taken.
        if (this.resources.has(slot)) {
          void this.#destruct(resource);
          this.#block.slots.toEmpty(slot);
          return this.#tell.changed();
        }
        const problem = this.#tell.share(slot, this.#block.renew(slot), resource);
        if (problem !== undefined) {
          // It exists until the destructor is through: its place is not free before.
          return thenMaybeSync(this.#destruct(resource), () => outcome.failed(slot, problem));
        }
        this.resources.put(slot, resource);
        this.#retireInTime(slot);
        this.#block.counters.add(OWNER, COUNTER_CREATED);
        this.#events.emit('create', resource);
        outcome.arrived(slot);
      },
      failed: outcome.failed,
    });
  }

  /** Everything being made has failed now, with this error; what arrives later is destroyed. */
  abandonCreations(error: Error): void {
    this.#making.abandonAll(error);
  }

  // ── staying

  /** In hand -> IDLE, unless its time has come meanwhile. The caller takes a turn. */
  toIdle(slot: number): void {
    const reason = this.reasonToDestroy(slot);
    if (reason === undefined) this.#block.slots.toIdle(slot);
    else this.destroy(slot, reason);
  }

  /** Why a slot in hand must not be had by anybody any more, if so. */
  reasonToDestroy(slot: number): DestroyReason | undefined {
    if (isClosed(this.#block.state.load())) return 'closed';
    return this.#block.isRetired(slot) ? 'max-lifetime' : undefined;
  }

  #retireInTime(slot: number): void {
    const { maxLifetime } = this.#settings;
    if (maxLifetime > 0) this.resources.retireAfter(slot, maxLifetime * (1 - LIFETIME_JITTER * Math.random()), () => this.#retire(slot));
  }

  /** It is broken, wherever it is. False: that was known. */
  evict(slot: number): boolean {
    if (this.#condemned.has(slot)) return false;
    this.#condemned.add(slot);
    this.#retire(slot);
    return true;
  }

  isEvicted(slot: number): boolean {
    return this.#condemned.has(slot);
  }

  /** Goes now if it is idle, else as soon as it is back. */
  #retire(slot: number): void {
    const { slots } = this.#block;
    this.#block.setRetired(slot, true);
    for (;;) {
      if (slots.check(slot)) return this.toIdle(slot);
      if (slots.flag(slot) !== FOUND_IDLE) return;
    }
  }

  // ── mending

  /**
   * A slot whose word cannot be true, because something else has written into the block: it ends, and may begin anew. Its resource, if there is one, is
   * destroyed, as nobody can say who has it. False: nothing is wrong, as far as that can be seen.
   */
  repairDamaged(slot: number): boolean {
    const { slots } = this.#block;
    const state = slotState(slots.load(slot));
    const has = this.resources.has(slot);
    const taken =
      (state === EMPTY && has && slots.reserve(slot)) || (state === IDLE && !has && slots.check(slot)) || slots.reclaimDamaged(slot);
    if (taken) this.destroy(slot, 'unhealthy');
    return taken;
  }

  // ── out

  /** In hand -> EMPTY, by way of the destructor. What is condemned goes for that reason, whatever brings it here. */
  destroy(slot: number, cause: DestroyReason): void {
    if (!this.resources.has(slot)) {
      // Only where the word was damaged: see `mend`.
      this.#block.slots.toEmpty(slot);
      return this.#tell.changed();
    }
    const resource = this.resources.delete(slot);
    const reason = this.#condemned.delete(slot) ? 'unhealthy' : cause;
    thenMaybeSync(this.#destruct(resource), () => {
      this.#block.slots.toEmpty(slot);
      this.#block.counters.add(OWNER, COUNTER_DESTROYED);
      this.#events.emit('destroy', resource, reason);
      this.#tell.changed();
    });
  }

  /** Synchronous if the destructor is. Never fails: that is told, and otherwise ignored. */
  #destruct(resource: T): void | Promise<void> {
    const { destructor, checkTimeout } = this.#settings;
    if (destructor === undefined) return;
    // What it returns means nothing, unlike what a check does.
    const silenced = (doomed: T): void | PromiseLike<void> => {
      const done: unknown = destructor(doomed);
      return isThenable(done) ? done.then(() => undefined) : undefined;
    };
    const verdict = runHook('destructor', silenced, resource, checkTimeout);
    if (verdict instanceof Promise)
      return this.#keepAlive.during(verdict).then((known) => {
        if (known !== undefined) this.#events.emit('error', known.error);
      });
    if (verdict !== undefined) this.#events.emit('error', verdict.error);
  }
}
