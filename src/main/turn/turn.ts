/**
 * The owner's turn: one pass over everything there is, run whenever something may have changed, and right however often it runs. All that
 * the owner does to slots and to the line off the fast path happens here, in one order.
 *
 * It knows the control block, the probes and the life of the pool. What is outside of these (resources, hooks, timers, events) is an
 * effect. Effects are supplied by the owner (main/core.ts), and by the explorer of interleavings, which runs this file as it is shipped
 * (test/interleave/owner.ts).
 *
 * No resource is made for a particular waiter. One that is made, or has passed its hook, goes to the waiter that is first by then. So a
 * waiter that is served by an early return leaves no other waiter behind, and leaving the line costs nothing.
 */

import type { Lending } from '../../shared/lending/lending.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import { REASON_CLOSED, REASON_UNAVAILABLE } from '../../shared/words/line.ts';
import { EMPTY, FOUND_IDLE, LEASED, RETURNED, slotState, TAKEN } from '../../shared/words/slot.ts';
import { breakerOf, INACTIVE, isClosed, isDraining, isSuspended, SUSPENDED, SUSPENDED_REFUSING } from '../../shared/words/state.ts';
import type { Probes } from '../breaker/probes.ts';
import type { TurnEffects } from './effects.ts';
import { HandOuts } from './hand-outs.ts';
import { Life } from './life.ts';
import { TurnLoop } from './loop.ts';
import { OwnedSlots } from './owned-slots.ts';
import { Standstill } from './standstill.ts';
import { Surplus } from './surplus.ts';

export class Turn {
  readonly life = new Life();
  readonly owned: OwnedSlots;
  readonly standstill: Standstill;
  readonly #loop = new TurnLoop(() => this.#run());
  readonly #surplus: Surplus;
  readonly #handOuts: HandOuts;
  readonly #lending: Lending;
  readonly #block: ControlBlock;
  readonly #probes: Probes;
  readonly #effects: TurnEffects;

  constructor(lending: Lending, probes: Probes, effects: TurnEffects) {
    this.#lending = lending;
    this.#block = lending.block;
    this.#probes = probes;
    this.#effects = effects;
    this.#surplus = new Surplus(lending.block, effects);
    this.owned = new OwnedSlots(lending.block, probes, effects, this.#surplus, this.#loop);
    this.standstill = new Standstill(lending, effects);
    this.#handOuts = new HandOuts(lending, probes, effects, this.owned, this.#loop);
  }

  /** Something may have changed: see TurnLoop. */
  request(): void {
    this.#loop.request();
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
      this.#lending.matching.rejectWaiters(REASON_CLOSED);
      return this.#sweep();
    }
    this.#trim();
    if (breakerOf(state) === INACTIVE) this.#lending.matching.rejectWaiters(REASON_UNAVAILABLE);
    else if (isSuspended(state)) this.standstill.holdBack(state);
    else this.#handOuts.meetDemand();
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
      this.owned.repairDamaged(slot);
      const state = slotState(slots.load(slot));
      if (state === RETURNED && slots.acceptReturn(slot)) this.owned.takeBack(slot);
      // Perhaps out again: another thread borrowed it when it had come back, and before we looked. Then it is flagged.
      else if (this.#block.isRetired(slot)) this.owned.recall(slot);
    }
  }

  /**
   * What is too many goes: idle ones now, from above, so that searches become shorter;
   * the others as they come back, for which they are flagged.
   */
  #trim(): void {
    this.#effects.guardReturns();
    const { slots } = this.#block;
    const hasTooMany = (): boolean => this.#surplus.reason !== undefined;
    for (let isAnyIdle = true; isAnyIdle && hasTooMany(); ) {
      isAnyIdle = false;
      for (let slot = slots.extent - 1; slot >= 0; slot--) {
        if (slots.flag(slot) !== FOUND_IDLE) continue;
        isAnyIdle = true;
        if (hasTooMany() && slots.check(slot)) this.owned.toIdle(slot);
      }
      if (!hasTooMany()) return;
    }
  }

  /**
   * The pool has just been suspended. Every idle slot gets a new version:
   * a borrower that has read the state before, and the slot too, borrows nothing by what it has read.
   */
  suspend(): void {
    const { slots } = this.#block;
    this.#impose();
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) if (slots.check(slot)) this.owned.toIdle(slot);
    this.#loop.request();
  }

  /** A slot in hand whose resource has just been made. */
  arrived(slot: number): void {
    this.#handOuts.offer(slot);
    this.#loop.request();
  }

  // ── the end

  /** No new borrower is let in; the pool closes when everything is back. The promise is that of `close`. */
  drain(): Promise<void> {
    const wasOpen = this.life.state === 'open';
    const closed = this.life.drain();
    if (wasOpen) {
      this.#effects.leftOpen(closed);
      this.#impose();
      this.#loop.request();
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
    this.#lending.matching.rejectWaiters(REASON_CLOSED);
    this.#effects.abandonCreations();
    this.#loop.request();
    return closed;
  }

  /** Draining: true if no waiter is left and no slot is out. What is idle is destroyed, as no waiter needs it. */
  #isAllBack(): boolean {
    if (this.#lending.matching.hasWaiters()) return false;
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
