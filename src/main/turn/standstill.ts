/** The pool while it is suspended: what becomes of its waiters, and how far it has come to rest. */
import type { Lending } from '../../shared/lending/lending.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import { cellThread, REASON_NOTHING, REASON_SUSPENDED, type Waiting } from '../../shared/words/line.ts';
import { CREATING, EMPTY, FOUND_IDLE, IDLE, slotState } from '../../shared/words/slot.ts';
import { SUSPENDED_REFUSING } from '../../shared/words/state.ts';
import type { TurnEffects } from './effects.ts';

export class Standstill {
  readonly #lending: Lending;
  readonly #block: ControlBlock;
  readonly #effects: TurnEffects;

  constructor(lending: Lending, effects: TurnEffects) {
    this.#lending = lending;
    this.#block = lending.block;
    this.#effects = effects;
  }

  /** Nothing is handed out: waiters that only try are told so; where new acquires are refused, those that sleep in line, too. */
  holdBack(state: number): void {
    const { line } = this.#block;
    this.#sendAway(line.trying(), REASON_NOTHING);
    if ((state & SUSPENDED_REFUSING) !== 0) this.#sendAway(line.sleeping(), REASON_SUSPENDED);
    this.#lending.matching.hasWaiters();
  }

  #sendAway(waiters: readonly Waiting[], reason: number): void {
    for (const { cell, word } of waiters) if (this.#block.line.fail(cell, word, reason)) this.#lending.matching.wake(cellThread(word));
  }

  /**
   * Suspended: has it come to that? 'now': nothing can be handed out any more. 'returned': nothing is out. 'empty': nothing is there.
   * What it finds out it flags, so that the end of that is heard: also of a borrow by a state that was read before, which is undone.
   */
  hasCome(until: 'now' | 'returned' | 'empty'): boolean {
    const { slots, snapshot } = this.#block;
    // A match that read the state before it was suspended may still grant what it has taken.
    if (snapshot.isGrantInFlight()) {
      this.#effects.lookAgain();
      return false;
    }
    if (until === 'now') return true;
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) {
      const state = slots.flag(slot) === FOUND_IDLE ? IDLE : slotState(slots.load(slot));
      if (state !== EMPTY && (until === 'empty' || (state !== IDLE && state !== CREATING))) return false;
    }
    return true;
  }
}
