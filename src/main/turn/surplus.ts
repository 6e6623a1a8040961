/** Is there more than there is to be? `max` was lowered, permits have become fewer, or nothing is to be left. */
import type { ControlBlock } from '../../shared/words/control-block.ts';
import type { DestroyReason } from '../../shared/words/counters.ts';
import { CHECKING, EMPTY, slotState } from '../../shared/words/slot.ts';
import type { TurnEffects } from './effects.ts';

export class Surplus {
  readonly #block: ControlBlock;
  readonly #effects: TurnEffects;

  constructor(block: ControlBlock, effects: TurnEffects) {
    this.#block = block;
    this.#effects = effects;
  }

  /** Why one of those that are there has to go, whichever; undefined: none has to. */
  get reason(): DestroyReason | undefined {
    if (this.#effects.isEmptying) return 'suspended';
    return this.#tooMany() > 0 ? 'resized' : this.#effects.excess;
  }

  /** How many are too many, those left out whose destructor is at work. */
  #tooMany(): number {
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
}
