/**
 * Slots in the owner's hands ("in hand": CREATING or CHECKING, which only the owner moves): what has come back, what is not to be borrowed
 * any more, and what cannot be as its word says. Each becomes IDLE or EMPTY in the end, and then a turn is asked for.
 */
import type { ControlBlock } from '../../shared/words/control-block.ts';
import type { DestroyReason } from '../../shared/words/counters.ts';
import { EMPTY, FOUND_IDLE, IDLE, slotState } from '../../shared/words/slot.ts';
import { isClosed } from '../../shared/words/state.ts';
import type { Probes } from '../breaker/probes.ts';
import type { TurnEffects } from './effects.ts';
import type { TurnLoop } from './loop.ts';
import { Retirements } from './retirements.ts';
import type { Surplus } from './surplus.ts';

export class OwnedSlots {
  readonly #block: ControlBlock;
  readonly #probes: Probes;
  readonly #effects: TurnEffects;
  readonly #surplus: Surplus;
  readonly #loop: TurnLoop;
  readonly #retirements: Retirements;

  constructor(block: ControlBlock, probes: Probes, effects: TurnEffects, surplus: Surplus, loop: TurnLoop) {
    this.#block = block;
    this.#probes = probes;
    this.#effects = effects;
    this.#surplus = surplus;
    this.#loop = loop;
    this.#retirements = new Retirements(block);
  }

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
      this.#loop.request();
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
    this.#loop.request();
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
    this.#loop.request();
    return true;
  }

  /** A slot in hand whose borrower died. `release`: it may be used again. */
  orphaned(slot: number, release: boolean): void {
    if (release) return this.takeBack(slot);
    this.#probes.returned(slot);
    this.#effects.destroy(slot, 'orphaned');
    this.#loop.request();
  }

  /** In hand -> IDLE, or EMPTY if the resource is not to be borrowed again. The caller asks for a turn. */
  toIdle(slot: number): void {
    const reason = this.reasonToDestroy(slot);
    if (reason === undefined) this.#block.slots.toIdle(slot);
    else this.#effects.destroy(slot, reason);
  }

  /** Why a slot in hand must not be borrowed any more, if so. */
  reasonToDestroy(slot: number): DestroyReason | undefined {
    if (isClosed(this.#block.state.load())) return 'closed';
    const retired = this.#retirements.reasonOf(slot);
    if (retired !== undefined) return retired;
    return this.#surplus.reason;
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

  /** A slot in hand that was idle, and was to be handed in. */
  #settle(slot: number): void {
    this.#effects.whenCancelled(slot, () => {
      if (this.#retirements.reasonOf(slot) === undefined) this.#block.setRetired(slot, false);
      this.toIdle(slot);
      this.#loop.request();
    });
  }

  /**
   * A slot whose word cannot be true, because other code has written into the block. The slot becomes EMPTY and may be used again. Its
   * resource, if there is one, is destroyed, as its borrower is not known.
   */
  repairDamaged(slot: number): void {
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
}
