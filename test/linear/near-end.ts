/** Winds a control block on to where everything that counts up is about to come round. For a pool that nobody has used yet. */

import { LINE_WORD, SLOT_GENERATION, SLOT_STRIDE, SLOT_USES, THREAD_BELL, THREAD_STRIDE, TICKET_WORD } from '../../src/shared/layout.ts';
import { ControlBlock } from '../../src/shared/words/control-block.ts';

/** Counts that are left: the first few operations pass the end. */
const LEFT = 4;

const SLOT_VERSION_SHIFT = 14;
const CELL_VERSION_SHIFT = 23;
const EPOCH_SHIFT = 17;
const RINGS_SHIFT = 2;
const LARGEST = 0x7fff_ffff;

export function windOn(buffer: SharedArrayBuffer): void {
  const { words, layout, slots, threads } = ControlBlock.attach(buffer);
  const wind = (at: number, shift: number): void => void Atomics.or(words, at, -LEFT << shift);
  // Signed numbers that overflow, and unsigned ones that come back to zero: both ends are worth a visit.
  Atomics.store(words, TICKET_WORD, LARGEST - LEFT);
  wind(LINE_WORD, EPOCH_SHIFT);
  for (let slot = 0; slot < slots.count; slot++) {
    wind(slots.at(slot), SLOT_VERSION_SHIFT);
    words[layout.slots + slot * SLOT_STRIDE + SLOT_USES] = LARGEST - LEFT;
    words[layout.slots + slot * SLOT_STRIDE + SLOT_GENERATION] = LARGEST - LEFT;
  }
  for (let cell = 0; cell < layout.cellCount; cell++) wind(layout.cells + cell, CELL_VERSION_SHIFT);
  for (let thread = 0; thread < threads.count; thread++) wind(layout.threads + thread * THREAD_STRIDE + THREAD_BELL, RINGS_SHIFT);
}

/** How far it has come since: tickets that were drawn beyond the end. */
export const ticketsBeyond = (buffer: SharedArrayBuffer): number => {
  const ticket = Atomics.load(ControlBlock.attach(buffer).words, TICKET_WORD);
  return ticket < 0 ? ticket - ~LARGEST : 0;
};
