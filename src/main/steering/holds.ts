/**
 * How long each resource is out, and what is done about it: warn, cancel, revoke. Borrowers write nothing for it and are asked nothing: the
 * owner looks at the slots now and then, and counts from when it first saw a lease. So a limit is never early. It is late by a look at
 * most: what has been seen has a timer of its own.
 */
import { threadId } from 'node:worker_threads';
import { now } from '../../shared/clock.ts';
import { COUNTER_CANCELLED, COUNTER_REVOKED } from '../../shared/layout.ts';
import type { Traces } from '../../shared/lending/traces.ts';
import { clearTimeout, setTimeout } from '../../shared/node.ts';
import { revocations } from '../../shared/observing/channels.ts';
import { type Hold, isLimited, shortestOf } from '../../shared/options/hold-limits.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import { LEASED, leaseOf, slotState, slotThread } from '../../shared/words/slot.ts';
import { OWNER } from '../../shared/words/threads.ts';
import type { Events } from '../events.ts';
import type { Settings } from '../options.ts';
import { isThenable, runHook, thenMaybeSync } from '../resources/hooks.ts';
import type { Resources } from '../resources/resources.ts';
import type { AttachedThreads } from '../threads/attached-threads.ts';
import type { Turn } from '../turn/turn.ts';

/**
 * Pause between two looks, in ms; or this share of the shortest limit, if that is more.
 * A lease is late by a pause, and then by what a timer is late.
 */
const PAUSE = 40;
const SHARE = 1 / 25;

const WARN = 1;
const CANCEL = 2;
const REVOKE = 3;
const STAGES = [
  { stage: WARN, name: 'warn', limit: 'warnAfter' },
  { stage: CANCEL, name: 'cancel', limit: 'cancelAfter' },
  { stage: REVOKE, name: 'revoke', limit: 'revokeAfter' },
] as const;

/** One lease as it was first seen. The version in its word comes round in some milliseconds; with the count of uses it does not. */
interface Watched {
  readonly lease: number;
  readonly uses: number;
  readonly generation: number;
  readonly hold: Hold;
  since: number;
  /** The last that it has come to. */
  stage: number;
}

/** The owner's own thread as a borrower. */
export interface OwnLeases {
  overdue(slot: number, heldFor: number): void;
  revoked(slot: number, heldFor: number, cause: unknown): void;
}

export class Holds<T> {
  readonly #settings: Settings<T>;
  readonly #block: ControlBlock;
  readonly #turn: Turn;
  readonly #threads: AttachedThreads<T>;
  readonly #resources: Resources<T>;
  readonly #events: Events<T>;
  readonly #traces: Traces | undefined;
  readonly #own: OwnLeases;
  readonly #watched = new Map<number, Watched>();
  /** By slot: `cancel` is at work on the resource of this generation. */
  readonly #cancelling = new Map<number, { readonly generation: number; readonly waiting: (() => void)[] }>();
  readonly #pause: number;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(
    settings: Settings<T>,
    block: ControlBlock,
    turn: Turn,
    threads: AttachedThreads<T>,
    resources: Resources<T>,
    events: Events<T>,
    traces: Traces | undefined,
    own: OwnLeases,
  ) {
    this.#settings = settings;
    this.#block = block;
    this.#turn = turn;
    this.#threads = threads;
    this.#resources = resources;
    this.#events = events;
    this.#traces = traces;
    this.#own = own;
    this.#pause = isLimited(settings.maxHold) ? Math.max(PAUSE, shortestOf(settings.maxHold) * SHARE) : Number.POSITIVE_INFINITY;
    this.#plan();
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  // ── watching

  /** This lease has just begun, and has limits of its own. */
  limit(slot: number, lease: number, hold: Hold): void {
    const watched = this.#see(slot, lease, hold);
    // Its word may be new, and its use not counted yet: the owner's own counter of uses is then one behind. It is looked at as it is now.
    this.#watched.set(slot, watched);
    this.#plan();
  }

  /** Its limits count anew. What has been cancelled stays so. */
  renew(slot: number, lease: number): void {
    const watched = this.#watched.get(slot);
    if (watched !== undefined && this.#isSame(slot, watched, lease)) {
      watched.since = now();
      watched.stage = watched.stage >= CANCEL ? CANCEL : 0;
    } else if (isLimited(this.#settings.maxHold)) this.#watched.set(slot, this.#see(slot, lease, this.#settings.maxHold));
    this.#plan();
  }

  /** In ms, at least: 0 where it has not been watched. */
  heldFor(slot: number, lease: number): number {
    const watched = this.#watched.get(slot);
    return watched !== undefined && this.#isSame(slot, watched, lease) ? now() - watched.since : 0;
  }

  #see(slot: number, lease: number, hold: Hold): Watched {
    return { lease, uses: this.#block.uses(slot), generation: this.#block.generation(slot), hold, since: now(), stage: 0 };
  }

  #isSame(slot: number, { lease, uses, generation }: Watched, now: number): boolean {
    return lease === now && uses === this.#block.uses(slot) && generation === this.#block.generation(slot);
  }

  /** When to look next: at the next limit of what has been seen, and after a pause for what has not. */
  #plan(): void {
    clearTimeout(this.#timer);
    if (this.#isOver) return;
    let pause = this.#pause;
    const time = now();
    for (const watched of this.#watched.values()) pause = Math.min(pause, Math.max(1, this.#nextAt(watched) - time));
    if (pause === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#look(), Math.ceil(pause)).unref();
  }

  #nextAt({ hold, since, stage }: Watched): number {
    let next = Number.POSITIVE_INFINITY;
    for (const each of STAGES) if (each.stage > stage && hold[each.limit] !== 0) next = Math.min(next, since + hold[each.limit]);
    return next;
  }

  #look(): void {
    const { slots } = this.#block;
    const { maxHold } = this.#settings;
    for (let slot = 0, { extent } = slots; slot < extent; slot++) {
      const word = slots.load(slot);
      const lease = leaseOf(word);
      let watched = this.#watched.get(slot);
      if (slotState(word) !== LEASED || (watched !== undefined && !this.#isSame(slot, watched, lease))) {
        this.#watched.delete(slot);
        watched = undefined;
      }
      if (slotState(word) !== LEASED) continue;
      if (watched !== undefined) this.#advance(slot, watched, slotThread(word));
      else if (isLimited(maxHold)) this.#watched.set(slot, this.#see(slot, lease, maxHold));
    }
    this.#plan();
  }

  #advance(slot: number, watched: Watched, thread: number): void {
    for (const { stage, name, limit } of STAGES) {
      const heldFor = now() - watched.since;
      if (stage <= watched.stage || watched.hold[limit] === 0 || heldFor < watched.hold[limit]) continue;
      watched.stage = stage;
      this.#tell(slot, watched.lease, thread, heldFor, name);
      if (stage === CANCEL) this.#cancel(slot, watched.lease, thread, heldFor);
      if (stage === REVOKE) this.revoke(slot, watched.lease, heldFor, undefined);
    }
  }

  #tell(slot: number, lease: number, thread: number, heldFor: number, stage: 'warn' | 'cancel' | 'revoke'): void {
    const emit = (borrower: number, stack: string | undefined): void =>
      this.#events.emit('overdue', { threadId: borrower, heldFor, stage, ...(stack === undefined ? {} : { stack }) });
    if (thread === OWNER && !this.#threads.isForOneShotCall(slot)) emit(threadId, this.#traces?.stackOf(slot, lease));
    else if (this.#traces === undefined) emit(this.#threads.threadIdOf(slot, thread), undefined);
    else this.#threads.trace(slot, lease, thread, emit);
  }

  // ── cancel

  /** Its borrower is told, and the resource is asked to stop. It may be used on, to clean up. */
  #cancel(slot: number, lease: number, thread: number, heldFor: number): void {
    this.#block.counters.add(OWNER, COUNTER_CANCELLED);
    if (thread === OWNER && !this.#threads.isForOneShotCall(slot)) this.#own.overdue(slot, heldFor);
    else this.#threads.tellOverdue(slot, lease, thread, heldFor);
    const { cancel, checkTimeout } = this.#settings;
    if (cancel === undefined) return;
    const generation = this.#block.generation(slot);
    this.#cancelling.set(slot, { generation, waiting: [] });
    // From now on it goes to no other borrower before that has ended.
    this.#block.setRetired(slot, true);
    this.#turn.owned.recall(slot);
    // Given back in the meantime: there is nothing to stop, and the next borrower must not be meant.
    if (leaseOf(this.#block.slots.load(slot)) !== lease) return this.#cancelled(slot, generation);
    const silenced = (resource: T): void | PromiseLike<void> => {
      const done: unknown = cancel(resource);
      return isThenable(done) ? done.then(() => undefined) : undefined;
    };
    thenMaybeSync(runHook('cancel', silenced, this.#resources.get(slot), checkTimeout), (failure) => {
      if (failure !== undefined) this.#events.emit('error', failure.error);
      this.#cancelled(slot, generation);
    });
  }

  #cancelled(slot: number, generation: number): void {
    const cancelling = this.#cancelling.get(slot);
    if (cancelling?.generation !== generation) return;
    this.#cancelling.delete(slot);
    if (this.#block.generation(slot) === generation && !this.#turn.owned.isRetired(slot)) this.#block.setRetired(slot, false);
    for (const then of cancelling.waiting) then();
  }

  /** At once, or when `cancel` has ended that is at work on what is in this slot. */
  whenCancelled(slot: number, then: () => void): void {
    const cancelling = this.#cancelling.get(slot);
    if (cancelling?.generation === this.#block.generation(slot)) cancelling.waiting.push(then);
    else then();
  }

  // ── revoke

  /** Takes the resource of this lease back now. False: the lease is over. */
  revoke(slot: number, lease: number, heldFor: number, cause: unknown): boolean {
    const thread = slotThread(lease);
    const borrower = thread === OWNER && !this.#threads.isForOneShotCall(slot) ? threadId : this.#threads.threadIdOf(slot, thread);
    const done = this.#turn.owned.revoke(slot, lease, () => {
      if (thread === OWNER && !this.#threads.isForOneShotCall(slot)) this.#own.revoked(slot, heldFor, cause);
      else this.#threads.tellRevoked(slot, lease, thread, heldFor, cause);
    });
    if (!done) return false;
    this.#block.counters.add(OWNER, COUNTER_REVOKED);
    revocations.publish({ pool: this.#settings.name, slot, threadId: borrower, heldFor });
    return true;
  }

  /** The same for what is out in this slot, whatever lease that is. False: nothing is. */
  revokeWhatIsOut(slot: number, cause: unknown): boolean {
    for (;;) {
      const word = this.#block.slots.load(slot);
      if (slotState(word) !== LEASED) return false;
      const lease = leaseOf(word);
      if (this.revoke(slot, lease, this.heldFor(slot, lease), cause)) return true;
    }
  }
}
