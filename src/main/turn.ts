/**
 * The owner's turn: one pass over everything there is, run whenever something may have changed, and right however often it runs. All that
 * the owner does to slots and to the line off the fast path happens here, in one order.
 *
 * It knows the control block, the probes and the life of the pool. What is outside of these (resources, hooks, timers, events) is an
 * effect. Effects are supplied by the owner (core.ts), and by the explorer of interleavings, which runs this file as it is shipped
 * (test/interleave/owner.ts).
 *
 * No resource is made for a particular waiter. One that is made, or has passed its hook, goes to the waiter that is first by then. So a
 * waiter that is served by an early return leaves no other waiter behind, and leaving the line costs nothing.
 */

import type { Lending } from '../shared/lending/lending.ts';
import type { ControlBlock } from '../shared/words/control-block.ts';
import type { DestroyReason } from '../shared/words/counters.ts';
import { cellThread, REASON_CLOSED, REASON_NOTHING, REASON_SUSPENDED, REASON_UNAVAILABLE, type Waiting } from '../shared/words/line.ts';
import { CHECKING, CREATING, EMPTY, FOUND_IDLE, IDLE, LEASED, RETURNED, slotState, TAKEN } from '../shared/words/slot.ts';
import {
  breakerOf,
  guardsHandOuts,
  INACTIVE,
  isClosed,
  isDraining,
  isEvicting,
  isSuspended,
  SUSPENDED,
  SUSPENDED_REFUSING,
} from '../shared/words/state.ts';
import type { Probes } from './breaker/probes.ts';
import { Life } from './life.ts';
import { Retirements } from './steering/retirements.ts';

/** What a hook says of a resource. Undefined: the resource is fine. Otherwise what is wrong with it, which has been reported already. */
export type Verdict = Error | undefined;

/**
 * What the turn needs from outside of the control block. A slot is "in hand" when it is CREATING or CHECKING: then only the owner moves it.
 */
export interface TurnEffects {
  /** Bits of the state word that hold for the whole life of the pool. */
  readonly imposed: number;
  /** SUSPENDED, that and SUSPENDED_REFUSING, or 0: while the pool is open. */
  readonly suspended: number;
  /** Is nothing to be there while it is suspended? */
  readonly isEmptying: boolean;
  /** Factory calls under way, each of which will bring a resource, or fail. */
  readonly creating: number;
  /** Are as many factory calls under way as `maxCreating` allows, or is there no permit for another? */
  readonly isCreatingEnough: boolean;
  /** Is an answer under way that may bring permits? */
  readonly isAsking: boolean;
  /** Why something has to go, if there is more than there are permits for. */
  readonly excess: DestroyReason | undefined;

  /** Emits the event of a breaker that has moved since the last call. */
  announceBreaker(): void;
  /** Has returns pass by the owner, or not, as `excess` and the rest say now. */
  guardReturns(): void;
  /** A hand-out has ended well, or badly. May move the breaker. */
  succeeded(wasProbe: boolean): void;
  failed(error: Error, wasProbe: boolean): void;

  /** Is there a resource in this slot? */
  has(slot: number): boolean;
  /** Is the resource in this slot known to be broken, and has that been reported? */
  isEvicted(slot: number): boolean;
  /** Asks the hook about a resource in hand. `then` is called once: at once, or later and outside of any turn. */
  beforeAcquire(slot: number, then: (verdict: Verdict) => void): void;
  beforeRelease(slot: number, then: (verdict: Verdict) => void): void;
  /** A slot that is CREATING gets a resource, and `arrived` is called; or becomes EMPTY again, and then a turn is asked for. */
  create(slot: number): void;
  /** `then` is called at once, or when what was asked of the resource for its last borrower has ended: until then it is no other's. */
  whenCancelled(slot: number, then: () => void): void;
  /** In hand -> EMPTY, by way of the destructor; then a turn is asked for. */
  destroy(slot: number, reason: DestroyReason): void;
  /** Makes resources up to `min`. */
  refill(): void;
  /** Everything has been looked at: what was waited for may have come about. */
  looked(): void;
  /** Every factory call under way fails now. */
  abandonCreations(): void;

  /** The word of this slot could not be true: its resource has been destroyed, if there was one. */
  damaged(slot: number): void;
  /** Asks for a turn in a millisecond or so. */
  lookAgain(): void;
  /** The pool is not open any more; `closed` settles when it is closed. */
  leftOpen(closed: Promise<void>): void;
  /** Nothing is left, and nothing will come back: no turn follows. */
  ended(): void;
}

export class Turn {
  readonly life = new Life();
  readonly #retirements: Retirements;
  readonly #lending: Lending;
  readonly #block: ControlBlock;
  readonly #probes: Probes;
  readonly #effects: TurnEffects;
  /** Slots whose beforeAcquire is running. */
  readonly #preparing = new Set<number>();
  #isRunning = false;
  #again = false;

  constructor(lending: Lending, probes: Probes, effects: TurnEffects) {
    this.#lending = lending;
    this.#block = lending.block;
    this.#retirements = new Retirements(lending.block);
    this.#probes = probes;
    this.#effects = effects;
  }

  /** Something may have changed: takes a turn at once. If a turn is under way already, that one goes round once more. */
  request(): void {
    this.#again = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      while (this.#again) {
        this.#again = false;
        this.#run();
      }
    } finally {
      this.#isRunning = false;
    }
  }

  #run(): void {
    if (this.life.state === 'ended') return;
    this.#impose();
    this.#probes.recall();
    this.#effects.announceBreaker();
    this.#acceptSlots();
    const state = this.#block.state.load();
    if (isClosed(state)) {
      // Perhaps not by us: a thread has taken us for dead, or something else has written into the block.
      if (!this.life.isClosing) void this.close();
      this.#lending.rejectWaiters(REASON_CLOSED);
      return this.#sweep();
    }
    this.#trim();
    if (breakerOf(state) === INACTIVE) this.#lending.rejectWaiters(REASON_UNAVAILABLE);
    else if (isSuspended(state)) this.#holdBack(state);
    else this.#meetDemand();
    this.#effects.refill();
    if (isDraining(state) && this.#isAllBack() && this.life.state === 'draining') void this.close();
    this.#effects.looked();
  }

  /** Some bits are set and cleared by the owner alone: each turn sees to that, whatever else may write there. */
  #impose(): void {
    this.#block.limits.impose();
    const { state } = this.#block;
    const suspended = this.life.state === 'open' ? this.#effects.suspended : 0;
    const before = state.set(this.#effects.imposed | this.life.imposed | suspended);
    const over = before & (SUSPENDED | SUSPENDED_REFUSING) & ~suspended;
    if (over !== 0) state.clear(over);
  }

  /** What has come back, what has been idle for too long, and what cannot be as its word says. */
  #acceptSlots(): void {
    const { slots } = this.#block;
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) {
      this.#repairDamaged(slot);
      const state = slotState(slots.load(slot));
      if (state === RETURNED && slots.acceptReturn(slot)) this.takeBack(slot);
      // Perhaps out again: another thread borrowed it when it had come back, and before we looked. Then it is flagged.
      else if (this.#block.isRetired(slot)) this.recall(slot);
    }
  }

  /** A slot in hand that was idle, and was to be handed in. */
  #settle(slot: number): void {
    this.#effects.whenCancelled(slot, () => {
      if (this.#retirements.reasonOf(slot) === undefined) this.#block.setRetired(slot, false);
      this.toIdle(slot);
      this.request();
    });
  }

  /**
   * A slot whose word cannot be true, because other code has written into the block. The slot becomes EMPTY and may be used again. Its
   * resource, if there is one, is destroyed, as its borrower is not known.
   */
  #repairDamaged(slot: number): void {
    const { slots } = this.#block;
    const state = slotState(slots.load(slot));
    const has = this.#effects.has(slot);
    const taken =
      (state === EMPTY && has && slots.reserve(slot)) || (state === IDLE && !has && slots.check(slot)) || slots.reclaimDamaged(slot);
    if (!taken) return;
    this.#probes.returned(slot);
    this.#effects.destroy(slot, 'unhealthy');
    this.#effects.damaged(slot);
  }

  // ── slots in hand

  /** A slot in hand that came back clean, as far as its borrower knows. */
  takeBack(slot: number): void {
    const wasProbe = this.#probes.returned(slot);
    this.#effects.whenCancelled(slot, () => this.#receive(slot, wasProbe));
  }

  #receive(slot: number, wasProbe: boolean): void {
    // Only where the block was damaged: there is nothing to ask a hook about.
    if (!this.#effects.has(slot)) return this.#effects.destroy(slot, 'unhealthy');
    if (isClosed(this.#block.state.load())) return this.#effects.destroy(slot, 'closed');
    // The failure of this resource has been reported.
    if (this.#effects.isEvicted(slot)) return this.toIdle(slot);
    this.#effects.beforeRelease(slot, (verdict) => {
      // Evicted while the hook ran: that has been reported, too.
      if (this.#effects.isEvicted(slot)) this.toIdle(slot);
      else if (verdict === undefined) {
        // Reported while the slot is still in hand: if that moves the breaker, no borrower gets it by the old rule.
        this.#effects.succeeded(wasProbe);
        if (this.#isUsedUp(slot)) this.#effects.destroy(slot, 'max-uses');
        else this.toIdle(slot);
      } else {
        this.#effects.failed(verdict, wasProbe);
        this.#effects.destroy(slot, 'rejected-on-release');
      }
      this.request();
    });
  }

  #isUsedUp(slot: number): boolean {
    const { maxUses } = this.#block.constants;
    return maxUses !== 0 && this.#block.uses(slot) >= maxUses;
  }

  /** A slot in hand whose borrower calls it broken. */
  discard(slot: number, error: Error): void {
    const wasProbe = this.#probes.returned(slot);
    if (!this.#effects.isEvicted(slot)) this.#effects.failed(error, wasProbe);
    this.#effects.destroy(slot, 'destroyed');
    this.request();
  }

  /**
   * LEASED -> in hand, from a borrower that is to have it no longer: the resource ends. `tell` is called before anything else can be had
   * there. False: that lease is over. It is the borrower's fault, so the breaker hears nothing of it.
   */
  revoke(slot: number, lease: number, tell: () => void): boolean {
    if (!this.#block.slots.revoke(slot, lease)) return false;
    this.#probes.returned(slot);
    tell();
    this.#effects.destroy(slot, 'revoked');
    this.request();
    return true;
  }

  /** A slot in hand whose borrower died. `release`: it may be used again. */
  orphaned(slot: number, release: boolean): void {
    if (release) return this.takeBack(slot);
    this.#probes.returned(slot);
    this.#effects.destroy(slot, 'orphaned');
    this.request();
  }

  /** A slot in hand whose resource has just been made. */
  arrived(slot: number): void {
    this.#offer(slot);
    this.request();
  }

  /** In hand -> IDLE, or EMPTY if the resource is not to be borrowed again. The caller asks for a turn. */
  toIdle(slot: number): void {
    const reason = this.#reasonToDestroy(slot);
    if (reason === undefined) this.#block.slots.toIdle(slot);
    else this.#effects.destroy(slot, reason);
  }

  /** Why a slot in hand must not be borrowed any more, if so. */
  #reasonToDestroy(slot: number): DestroyReason | undefined {
    if (isClosed(this.#block.state.load())) return 'closed';
    const retired = this.#retirements.reasonOf(slot);
    if (retired !== undefined) return retired;
    if (this.#effects.isEmptying) return 'suspended';
    return this.#surplus() > 0 ? 'resized' : this.#effects.excess;
  }

  /** The resource in this slot is not to be borrowed again: it goes now if it is idle, else as soon as it is back. */
  retire(slot: number, reason: DestroyReason): void {
    this.#retirements.add(slot, reason);
    this.recall(slot);
  }

  /** SLOT_RETIRED says that it is to be handed in: that is now if it is idle, else when it comes back. */
  recall(slot: number): void {
    const { slots } = this.#block;
    for (;;) {
      if (slots.check(slot)) return this.#settle(slot);
      if (slots.flag(slot) !== FOUND_IDLE) return;
    }
  }

  /** Is the resource in this slot to go, whatever becomes of its lease? */
  isRetired(slot: number): boolean {
    return this.#retirements.reasonOf(slot) !== undefined;
  }

  // ── fewer: `max` was lowered, permits have become fewer, or nothing is to be left

  /** How many are too many, those left out whose destructor is at work. */
  #surplus(): number {
    const { slots, limits } = this.#block;
    const { extent } = slots;
    let surplus = -limits.max;
    // EXTENT is `max` unless something is left above it.
    if (surplus + extent <= 0) return 0;
    for (let slot = 0; slot < extent; slot++) {
      const state = slotState(slots.load(slot));
      if (state !== EMPTY && (state !== CHECKING || this.#effects.has(slot))) surplus++;
    }
    return surplus;
  }

  /**
   * What is too many goes: idle ones now, from above, so that searches become shorter;
   * the others as they come back, for which they are flagged.
   */
  #trim(): void {
    this.#effects.guardReturns();
    const { slots } = this.#block;
    const hasTooMany = (): boolean => this.#effects.isEmptying || this.#surplus() > 0 || this.#effects.excess !== undefined;
    for (let isAnyIdle = true; isAnyIdle && hasTooMany(); ) {
      isAnyIdle = false;
      for (let slot = slots.extent - 1; slot >= 0; slot--) {
        if (slots.flag(slot) !== FOUND_IDLE) continue;
        isAnyIdle = true;
        if (hasTooMany() && slots.check(slot)) this.toIdle(slot);
      }
      if (!hasTooMany()) return;
    }
  }

  // ── suspended

  /**
   * Nothing is handed out: waiters that only try are told so; where new acquires are refused, those that sleep in line, too.
   * All that is out is flagged, so that its return is heard.
   */
  #holdBack(state: number): void {
    const { line } = this.#block;
    this.#sendAway(line.trying(), REASON_NOTHING);
    if ((state & SUSPENDED_REFUSING) !== 0) this.#sendAway(line.sleeping(), REASON_SUSPENDED);
    this.#lending.flagAll();
    this.#lending.hasWaiters();
  }

  #sendAway(waiters: readonly Waiting[], reason: number): void {
    for (const { cell, word } of waiters) if (this.#block.line.fail(cell, word, reason)) this.#lending.wake(cellThread(word));
  }

  /**
   * The pool has just been suspended. Every idle slot gets a new version:
   * a borrower that has read the state before, and the slot too, borrows nothing by what it has read.
   */
  suspend(): void {
    const { slots } = this.#block;
    this.#impose();
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) if (slots.check(slot)) this.toIdle(slot);
    this.request();
  }

  /** Suspended: has it come to that? 'now': nothing can be handed out any more. 'returned': nothing is out. 'empty': nothing is there. */
  hasCome(until: 'now' | 'returned' | 'empty'): boolean {
    const { slots, snapshot } = this.#block;
    // A match that read the state before it was suspended may still grant what it has taken.
    if (snapshot.isGrantInFlight()) {
      this.#effects.lookAgain();
      return false;
    }
    if (until === 'now') return true;
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) {
      const state = slotState(slots.load(slot));
      if (state !== EMPTY && (until === 'empty' || (state !== IDLE && state !== CREATING))) return false;
    }
    return true;
  }

  /** A slot in hand goes to the first waiter, or becomes idle. */
  #offer(slot: number): void {
    const { slots, state } = this.#block;
    if (this.#reasonToDestroy(slot) !== undefined) this.toIdle(slot);
    else if (this.#isHeldBack(state.load()) || this.#probes.allowance(0) <= 0) slots.toIdle(slot);
    else if (slots.toTakenByOwner(slot) && this.#lending.grant(slot)) this.#probes.handedOut(slot);
  }

  /** Is nothing handed out, to any waiter? */
  #isHeldBack(state: number): boolean {
    return isEvicting(state) || isSuspended(state);
  }

  // ── demand: what the owner does for the waiters, beyond what a match can do

  /** Serves all waiters, as far as the state allows hand-outs at all. */
  #meetDemand(): void {
    const tries = this.#tries();
    if (!guardsHandOuts(this.#block.state.load())) this.#lending.serve();
    else {
      // Like a match, this does not end before every slot that is out is flagged: a borrower may have borrowed by the old rule just now.
      do this.#prepare();
      while (this.#lending.hasWaiters() && this.#lending.flagAll() && this.#wantsMore());
    }
    this.#grow();
    this.#refuse(tries);
  }

  /** Hand-outs under way that will each serve one waiter. */
  #underWay(): number {
    return this.#preparing.size + this.#effects.creating;
  }

  /** Guarded: is there a waiter that nothing being prepared will serve, and may it be served? */
  #wantsMore(): boolean {
    // Moved meanwhile, by a hook or by another thread: then all waiters are sent away, and none is served.
    if (this.#isHeldBack(this.#block.state.load())) return false;
    return !this.#block.line.isShorterThan(this.#preparing.size + 1) && this.#probes.allowance(this.#underWay()) > 0;
  }

  /**
   * Guarded: asks beforeAcquire about as many idle slots as there are waiters for.
   * Each goes to the waiter that is first when it has passed.
   */
  #prepare(): void {
    const { slots } = this.#block;
    for (let slot = 0, extent = slots.extent; slot < extent && this.#lending.hasWaiters(); slot++) {
      if (slotState(slots.load(slot)) !== IDLE) continue;
      if (!this.#wantsMore()) return;
      if (!slots.check(slot)) continue;
      this.#preparing.add(slot);
      this.#effects.beforeAcquire(slot, (verdict) => {
        this.#preparing.delete(slot);
        if (verdict === undefined) this.#offer(slot);
        else this.#effects.destroy(slot, 'rejected-on-acquire');
        this.request();
      });
    }
  }

  /** Makes a resource for each waiter that nothing under way will serve, as many at once as `maxCreating` allows. */
  #grow(): void {
    const { slots, line, state, snapshot, limits } = this.#block;
    let room = limits.max - snapshot.count().count;
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) {
      if (slotState(slots.load(slot)) !== EMPTY) continue;
      if (this.#effects.isCreatingEnough || room <= 0) return;
      if (line.isShorterThan(this.#underWay() + 1) || this.#probes.allowance(this.#underWay()) <= 0) return;
      if (this.#isHeldBack(state.load())) return;
      if (!slots.reserve(slot)) continue;
      room--;
      this.#effects.create(slot);
    }
  }

  /** The waiters that only try (tryAcquire). */
  #tries(): Waiting[] {
    return this.#lending.hasWaiters() ? this.#block.line.trying() : [];
  }

  /**
   * Refuses the waiters that only try and that nothing under way will serve. Only those that were in line before we looked for a resource
   * for them: what has become idle since may be for a waiter that has joined since, and that waiter asks for another turn. Refuses none
   * while a match on some thread is about to grant a slot, as it may be for one of them.
   */
  #refuse(tries: readonly Waiting[]): void {
    if (tries.length === 0 || this.#effects.isAsking) return;
    // Soon is enough. A match takes microseconds, unless its thread waits for a processor. If that thread dies, its repair asks for a turn.
    if (this.#block.snapshot.isGrantInFlight()) return this.#effects.lookAgain();
    const { line } = this.#block;
    const underWay = this.#underWay();
    for (const { cell, word } of tries)
      if (!line.isAmongFirst(cell, underWay) && line.fail(cell, word, REASON_NOTHING)) this.#lending.wake(cellThread(word));
    this.#lending.hasWaiters();
  }

  // ── the end

  /** No new borrower is let in; the pool closes when everything is back. The promise is that of `close`. */
  drain(): Promise<void> {
    const wasOpen = this.life.state === 'open';
    const closed = this.life.drain();
    if (wasOpen) {
      this.#effects.leftOpen(closed);
      this.#impose();
      this.request();
    }
    return closed;
  }

  /** Sends all waiters away and destroys what is idle, then whatever comes back. The promise settles when nothing is in hand any more. */
  close(): Promise<void> {
    if (this.life.isClosing) return this.life.close();
    const wasOpen = this.life.state === 'open';
    // Set before anything else happens: what follows runs code of the program, which may call close again.
    const closed = this.life.close();
    if (wasOpen) this.#effects.leftOpen(closed);
    this.#impose();
    // LINE may be damaged, and no waiter may be left behind.
    this.#block.line.reopen();
    this.#lending.rejectWaiters(REASON_CLOSED);
    this.#effects.abandonCreations();
    this.request();
    return closed;
  }

  /** Draining: true if no waiter is left and no slot is out. What is idle is destroyed, as no waiter needs it. */
  #isAllBack(): boolean {
    if (this.#lending.hasWaiters()) return false;
    this.#effects.abandonCreations();
    const { out, owned } = this.#clear();
    return out + owned === 0;
  }

  /** Closed: destroys what is idle; ends when nothing is left. */
  #sweep(): void {
    const { out, owned } = this.#clear();
    if (owned > 0) return;
    this.life.swept();
    if (out === 0 && this.life.end()) this.#effects.ended();
  }

  /**
   * Destroys what is idle, and counts the rest. Leaves no slot IDLE, and none out without its flag: a borrower that read the state before
   * it refused all of them may still borrow an idle slot, but then we see it out and flag it, and its return is seen.
   */
  #clear(): { out: number; owned: number } {
    const { slots } = this.#block;
    let out = 0;
    let owned = 0;
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) {
      while (slots.flag(slot) === FOUND_IDLE) if (slots.check(slot)) this.#effects.destroy(slot, 'closed');
      const state = slotState(slots.load(slot));
      // A granted slot counts as out, picked up or not: a thread that is blocked may take its time.
      if (state === LEASED || (state === TAKEN && this.#block.snapshot.isGranted(slot))) out++;
      else if (state !== EMPTY) owned++;
    }
    return { out, owned };
  }
}
