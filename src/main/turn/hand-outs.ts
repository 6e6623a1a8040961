/**
 * What the owner hands out: all that it does for the waiters, beyond what a match can do. It asks the hook about what is idle, makes what
 * is missing, and refuses the waiters that only try.
 */
import type { Lending } from '../../shared/lending/lending.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import { cellThread, REASON_NOTHING, type Waiting } from '../../shared/words/line.ts';
import { EMPTY, IDLE, slotState } from '../../shared/words/slot.ts';
import { guardsHandOuts, isEvicting, isSuspended } from '../../shared/words/state.ts';
import type { Probes } from '../breaker/probes.ts';
import type { TurnEffects } from './effects.ts';
import type { TurnLoop } from './loop.ts';
import type { OwnedSlots } from './owned-slots.ts';

export class HandOuts {
  readonly #lending: Lending;
  readonly #block: ControlBlock;
  readonly #probes: Probes;
  readonly #effects: TurnEffects;
  readonly #owned: OwnedSlots;
  readonly #loop: TurnLoop;
  /** Slots whose beforeAcquire is running. */
  readonly #preparing = new Set<number>();

  constructor(lending: Lending, probes: Probes, effects: TurnEffects, owned: OwnedSlots, loop: TurnLoop) {
    this.#lending = lending;
    this.#block = lending.block;
    this.#probes = probes;
    this.#effects = effects;
    this.#owned = owned;
    this.#loop = loop;
  }

  /** Serves all waiters, as far as the state allows hand-outs at all. */
  meetDemand(): void {
    const tries = this.#tries();
    if (!guardsHandOuts(this.#block.state.load())) this.#lending.serve();
    else {
      // Like a match, this does not end before every slot that is out is flagged: a borrower may have borrowed by the old rule just now.
      do this.#prepare();
      while (this.#lending.matching.hasWaiters() && this.#lending.matching.flagAll() && this.#wantsMore());
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
    for (let slot = 0, extent = slots.extent; slot < extent && this.#lending.matching.hasWaiters(); slot++) {
      if (slotState(slots.load(slot)) !== IDLE) continue;
      if (!this.#wantsMore()) return;
      if (!slots.check(slot)) continue;
      this.#preparing.add(slot);
      this.#effects.beforeAcquire(slot, (verdict) => {
        this.#preparing.delete(slot);
        if (verdict === undefined) this.offer(slot);
        else this.#effects.destroy(slot, 'rejected-on-acquire');
        this.#loop.request();
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
    return this.#lending.matching.hasWaiters() ? this.#block.line.trying() : [];
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
      if (!line.isAmongFirst(cell, underWay) && line.fail(cell, word, REASON_NOTHING)) this.#lending.matching.wake(cellThread(word));
    this.#lending.matching.hasWaiters();
  }

  /** A slot in hand goes to the first waiter, or becomes idle. */
  offer(slot: number): void {
    const { slots, state } = this.#block;
    if (this.#owned.reasonToDestroy(slot) !== undefined) this.#owned.toIdle(slot);
    else if (this.#isHeldBack(state.load()) || this.#probes.allowance(0) <= 0) slots.toIdle(slot);
    else if (slots.toTakenByOwner(slot) && this.#lending.matching.grant(slot)) this.#probes.handedOut(slot);
  }

  /** Is nothing handed out, to any waiter? */
  #isHeldBack(state: number): boolean {
    return isEvicting(state) || isSuspended(state);
  }
}
