// What must hold when the pool has been closed.
import type { Outcome } from './explorer/scenario.ts';
import { atRest, type PoolCode, type PoolMemory } from './pool.ts';

export function emptyWhenClosed(outcome: Outcome<PoolCode, PoolMemory>): void {
  atRest(outcome);
  const { assert, code, shared } = outcome;
  const { slots } = code.ControlBlock.attach(shared.buffer);
  for (let slot = 0; slot < slots.count; slot++)
    assert(code.slots.slotState(slots.load(slot)) === code.slots.EMPTY, `slot ${slot} has outlived the pool`);
}
