/** What is not at rest in the control block of a pool. */
import type { PoolHandle } from 'cenote';
import { ControlBlock } from '../../src/shared/words/control-block.ts';
import { CELL_STATES, cellState, FREE, isLineEmpty } from '../../src/shared/words/line.ts';
import { EMPTY, IDLE, SLOT_STATES, slotState } from '../../src/shared/words/slot.ts';

/** Every slot idle or empty, every cell free, the line empty: soon, as something may be on its way to the owner. */
export async function atRest(handle: PoolHandle<unknown>): Promise<string[]> {
  const { line, slots } = ControlBlock.attach(handle.buffer);
  const end = performance.now() + 30_000;
  for (;;) {
    const left: string[] = [];
    for (let slot = 0; slot < slots.count; slot++) {
      const state = slotState(slots.load(slot));
      if (state !== IDLE && state !== EMPTY) left.push(`slot ${slot} is ${SLOT_STATES[state]}`);
    }
    for (let cell = 0; cell < line.count; cell++) {
      const state = cellState(line.load(cell));
      if (state !== FREE) left.push(`cell ${cell} is ${CELL_STATES[state]}`);
    }
    if (!isLineEmpty(line.loadLine())) left.push('the line is not empty');
    if (left.length === 0 || performance.now() > end) return left;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
