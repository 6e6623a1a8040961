// What holds when everything has been replaced.
import type { Outcome } from './explorer/scenario.ts';
import { atRest, type PoolCode, type PoolMemory } from './pool.ts';

/** At first every resource is of generation 0. */
export const allNew = (outcome: Outcome<PoolCode, PoolMemory>): void => {
  atRest(outcome);
  const { assert, code, shared } = outcome;
  const block = code.ControlBlock.attach(shared.buffer);
  for (let slot = 0; slot < block.slots.count; slot++) {
    if (code.slots.slotState(block.slots.load(slot)) === code.slots.EMPTY) continue;
    assert(block.generation(slot) > 0, `slot ${slot} still has its old resource`);
    assert(!block.isRetired(slot), `slot ${slot} is to be handed in, though its resource is new`);
  }
};
