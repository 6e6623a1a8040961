// The control block for the trace: each word by name, its bits in words.
import type { Word } from './explorer/scenario.ts';
import type { PoolCode, PoolMemory } from './pool.ts';

export function poolWords({ code, shared }: { code: PoolCode; shared: PoolMemory }): Word[] {
  const block = code.ControlBlock.attach(shared.buffer);
  const { layout, words: view } = block;
  const { LINE_WORD, STATE_WORD, THREAD_BELL, THREAD_STRIDE, TICKET_WORD } = code.layout;
  const of = (count: number, word: (i: number) => Word): Word[] => Array.from({ length: count }, (_, i) => word(i));
  return [
    { name: 'state', view, index: STATE_WORD, show: (word) => `0b${word.toString(2)}` },
    {
      name: 'LINE',
      view,
      index: LINE_WORD,
      show: (word) => (word & 1 ? `not empty, up to ${(word >>> 1) & 0xffff}, epoch ${word >>> 17}` : `empty, epoch ${word >>> 17}`),
    },
    { name: 'ticket', view, index: TICKET_WORD },
    ...of(layout.slotCount, (slot) => ({ name: `slot ${slot}`, view, index: block.slots.at(slot), show: showSlot(code) })),
    ...of(layout.cellCount, (cell) => ({ name: `cell ${cell}`, view, index: layout.cells + cell, show: showCell(code) })),
    ...of(layout.threadCount, (thread) => ({
      name: `bell ${thread}`,
      view,
      index: layout.threads + thread * THREAD_STRIDE + THREAD_BELL,
      show: (word) => `${word >>> 2} rings${word & 1 ? ', sleeps' : ''}${word & 2 ? ', listens' : ''}`,
    })),
  ];
}

const showSlot =
  ({ slots: { isFlagged, SLOT_STATES, slotState, slotThread, slotVersion, TAKEN, LEASED } }: PoolCode) =>
  (word: number): string => {
    const state = slotState(word);
    const whose = state === TAKEN || state === LEASED ? `(${slotThread(word)})` : '';
    return `${SLOT_STATES[state]}${whose}${isFlagged(word) ? ' F' : ''} v${slotVersion(word)}`;
  };

const showCell =
  ({ cells: { CELL_STATES, cellSlot, cellState, cellThread, FAILED, FREE, GRANTED } }: PoolCode) =>
  (word: number): string => {
    const state = cellState(word);
    const what = state === GRANTED ? ` slot ${cellSlot(word)}` : state === FAILED ? ` reason ${cellSlot(word)}` : '';
    return `${CELL_STATES[state]}${state === FREE ? '' : `(${cellThread(word)})`}${what} v${word >>> 23}`;
  };
