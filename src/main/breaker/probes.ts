/** The probes of a breaker that is RECOVERING: hand-outs that find out whether resources work again. Known to the owner alone. */
import type { ControlBlock } from '../../shared/words/control-block.ts';
import { CREATING, EMPTY, IDLE, slotState } from '../../shared/words/slot.ts';
import { breakerOf, RECOVERING } from '../../shared/words/state.ts';

export class Probes {
  readonly #block: ControlBlock;
  readonly #limit: number;
  readonly #out = new Set<number>();

  /** `limit`: how many may be out at once (recoveryProbes). */
  constructor(block: ControlBlock, limit: number) {
    this.#block = block;
    this.#limit = limit;
  }

  /** How many more hand-outs may be under way now, beside those that are. No limit unless RECOVERING. */
  allowance(underWay: number): number {
    return this.#isRecovering() ? this.#limit - this.#out.size - underWay : Number.POSITIVE_INFINITY;
  }

  handedOut(slot: number): void {
    if (this.#isRecovering()) this.#out.add(slot);
  }

  /** Forgets a probe that has come back. True: it was one. */
  returned(slot: number): boolean {
    return this.#out.delete(slot);
  }

  /**
   * Drops the probes that are not out any more (granted to a thread that died before it
   * picked them up). Drops all of them unless RECOVERING.
   */
  recall(): void {
    if (this.#out.size === 0) return;
    if (!this.#isRecovering()) this.#out.clear();
    for (const slot of this.#out) if (!this.#isOutOrBack(slot)) this.#out.delete(slot);
  }

  #isRecovering(): boolean {
    return breakerOf(this.#block.state.load()) === RECOVERING;
  }

  #isOutOrBack(slot: number): boolean {
    const state = slotState(this.#block.slots.load(slot));
    return state !== IDLE && state !== EMPTY && state !== CREATING;
  }
}
