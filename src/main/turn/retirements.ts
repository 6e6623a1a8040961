/**
 * Why a resource that is there is not to be borrowed again. Beside SLOT_RETIRED, which tells other threads only that it is to be handed in.
 */
import type { ControlBlock } from '../../shared/words/control-block.ts';
import type { DestroyReason } from '../../shared/words/counters.ts';

export class Retirements {
  readonly #block: ControlBlock;
  readonly #reasons = new Map<number, { readonly generation: number; readonly reason: DestroyReason }>();

  constructor(block: ControlBlock) {
    this.#block = block;
  }

  /** The first reason stands. */
  add(slot: number, reason: DestroyReason): void {
    if (this.reasonOf(slot) === undefined) this.#reasons.set(slot, { generation: this.#block.generation(slot), reason });
    this.#block.setRetired(slot, true);
  }

  /** That of the resource which is there now. What was said of an earlier one means nothing. */
  reasonOf(slot: number): DestroyReason | undefined {
    const retired = this.#reasons.get(slot);
    return retired?.generation === this.#block.generation(slot) ? retired.reason : undefined;
  }
}
