/** What is in the slots, and how it gets in and out: factory, destructor, lifetime. Moves slots between EMPTY and "in hand". */

import { now } from '../../shared/clock.ts';
import { COUNTER_CREATED, COUNTER_DESTROYED, COUNTER_RECYCLED } from '../../shared/layout.ts';
import { creations, destructions, publicError } from '../../shared/observing/channels.ts';
import type { KeepAlive } from '../../shared/waiting/keep-alive.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import type { DestroyReason } from '../../shared/words/counters.ts';
import { OWNER } from '../../shared/words/threads.ts';
import type { Events } from '../events.ts';
import type { Settings } from '../options.ts';
import type { AttachedThreads } from '../threads/attached-threads.ts';
import type { Turn } from '../turn/turn.ts';
import type { PoolPermits } from '../types.ts';
import { type CreationOutcome, PendingCreations } from './creation.ts';
import { isThenable, runHook, thenMaybeSync } from './hooks.ts';
import type { Resources } from './resources.ts';

/** Resources live up to this share shorter than maxLifetime, so that they do not all go at once. */
const LIFETIME_JITTER = 0.1;

export class ResourceStore<T> {
  readonly resources: Resources<T>;
  readonly #settings: Settings<T>;
  readonly #block: ControlBlock;
  readonly #keepAlive: KeepAlive;
  readonly #events: Events<T>;
  readonly #threads: AttachedThreads<T>;
  readonly #turn: Turn;
  readonly #permits: PoolPermits;
  readonly #making: PendingCreations<T>;
  /** Known to be broken, by slot. */
  readonly #condemned = new Set<number>();
  /** Calls of the destructor that were given up and have not settled. */
  #destructionsGivenUp = 0;

  constructor(
    settings: Settings<T>,
    block: ControlBlock,
    keepAlive: KeepAlive,
    events: Events<T>,
    resources: Resources<T>,
    threads: AttachedThreads<T>,
    turn: Turn,
    permits: PoolPermits,
  ) {
    this.resources = resources;
    this.#settings = settings;
    this.#block = block;
    this.#keepAlive = keepAlive;
    this.#events = events;
    this.#threads = threads;
    this.#turn = turn;
    this.#permits = permits;
    this.#making = new PendingCreations(settings, permits, (resource) => {
      if (resource !== undefined) void this.#destruct(resource);
      // The call that ended may have been the last that `maxCreating` allowed.
      this.#turn.request();
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

  /** Calls that were given up and have not settled: each may still have a resource, beside those in the slots. */
  get givenUp(): number {
    return this.#making.givenUp + this.#destructionsGivenUp;
  }

  /** Is there no permit for another, and is none about to come? */
  get lacksPermit(): boolean {
    return !this.#permits.hasRoom && !this.#permits.isAsking;
  }

  /** Is there a permit for another only if one of these goes first? */
  get hasToGiveUp(): boolean {
    return this.lacksPermit && this.#permits.canReplace !== false;
  }

  /** Makes a resource for a slot that is CREATING. It is in hand when `arrived` is called. */
  create(slot: number, outcome: Pick<CreationOutcome<T>, 'failed'> & { arrived(slot: number): void }): void {
    if (!creations.isHeard) return this.#create(slot, outcome);
    const { name } = this.#settings;
    creations.callback(
      { pool: name, slot },
      (done) =>
        this.#create(slot, {
          arrived: () => {
            done();
            outcome.arrived(slot);
          },
          failed: (_, thrown) => {
            done(thrown ?? new Error(`the factory failed with ${thrown}`));
            outcome.failed(slot, thrown);
          },
        }),
      publicError(name),
    );
  }

  #create(slot: number, outcome: Pick<CreationOutcome<T>, 'failed'> & { arrived(slot: number): void }): void {
    const since = now();
    this.#making.start(slot, {
      arrived: (_, resource) => {
        // Only where the word was damaged: there is a resource in this slot already.
        if (this.resources.has(slot)) {
          void this.#destruct(resource);
          this.#block.slots.toEmpty(slot);
          return this.#turn.request();
        }
        const problem = this.#threads.share(slot, this.#block.renew(slot), resource);
        if (problem !== undefined) {
          // The resource exists until its destructor has ended: its slot is not free before.
          return thenMaybeSync(this.#destruct(resource), () => outcome.failed(slot, problem));
        }
        this.resources.put(slot, resource);
        this.#retireInTime(slot);
        this.#block.counters.add(OWNER, COUNTER_CREATED);
        this.#block.createTimes.record(now() - since);
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

  #retireInTime(slot: number): void {
    const { maxLifetime } = this.#settings;
    if (maxLifetime > 0)
      this.resources.retireAfter(slot, maxLifetime * (1 - LIFETIME_JITTER * Math.random()), () =>
        this.#turn.owned.retire(slot, 'max-lifetime'),
      );
  }

  /** The resource in this slot is broken, whether idle or borrowed. False: that was known already. */
  evict(slot: number): boolean {
    if (this.#condemned.has(slot)) return false;
    this.#condemned.add(slot);
    this.#turn.owned.retire(slot, 'unhealthy');
    return true;
  }

  isEvicted(slot: number): boolean {
    return this.#condemned.has(slot);
  }

  // ── out

  /** In hand -> EMPTY, by way of the destructor. What is condemned goes for that reason, whatever brings it here. */
  destroy(slot: number, cause: DestroyReason): void {
    if (!this.resources.has(slot)) {
      // Only where the word was damaged: there is nothing to destroy.
      this.#block.slots.toEmpty(slot);
      return this.#turn.request();
    }
    const resource = this.resources.delete(slot);
    const reason = this.#condemned.delete(slot) ? 'unhealthy' : cause;
    const destroy = (done: () => void): void =>
      thenMaybeSync(this.#destruct(resource, reason === 'revoked'), () => {
        this.#block.slots.toEmpty(slot);
        this.#block.counters.add(OWNER, COUNTER_DESTROYED);
        if (reason === 'recycled') this.#block.counters.add(OWNER, COUNTER_RECYCLED);
        this.#block.counters.addDestroyed(reason);
        done();
        this.#events.emit('destroy', resource, reason);
        this.#turn.request();
      });
    const { name } = this.#settings;
    if (destructions.isHeard) destructions.callback({ pool: name, slot, reason }, destroy, publicError(name));
    else destroy(() => {});
  }

  /**
   * Synchronous if the destructor is. After checkTimeout its call is given up. The permit goes back when the call has settled, given up or
   * not, as the resource may be there until then. `isInUse`: its borrower may be using it. Never fails: an error of the destructor is
   * reported, and otherwise ignored.
   */
  #destruct(resource: T, isInUse = false): void | Promise<void> {
    const { checkTimeout, abort } = this.#settings;
    const isAborted = isInUse && abort !== undefined;
    const destructor = isAborted ? abort : this.#settings.destructor;
    let isUnderWay = false;
    let isGivenUp = false;
    const settled = (): void => {
      isUnderWay = false;
      if (isGivenUp) this.#destructionsGivenUp--;
      this.#permits.gone();
      if (isGivenUp) this.#turn.request();
    };
    // What it returns means nothing, unlike what a check does.
    const silenced = (doomed: T): void | Promise<void> => {
      const done: unknown = destructor?.(doomed);
      if (!isThenable(done)) return undefined;
      isUnderWay = true;
      const call = Promise.resolve(done).then(() => undefined);
      call.then(settled, settled);
      return call;
    };
    this.#permits.leaving();
    const verdict = runHook(isAborted ? 'abort' : 'destructor', silenced, resource, checkTimeout);
    if (!(verdict instanceof Promise)) {
      if (verdict !== undefined) this.#events.emit('error', verdict.error);
      return settled();
    }
    return this.#keepAlive.during(verdict).then((known) => {
      if (isUnderWay) {
        isGivenUp = true;
        this.#destructionsGivenUp++;
      }
      if (known !== undefined) this.#events.emit('error', known.error);
    });
  }
}
