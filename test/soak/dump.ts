/** A control block in the names of the state machines, for whoever has to find out what went wrong. */
import { ControlBlock } from '../../src/shared/words/control-block.ts';
import { CELL_STATES, cellSlot, cellState, cellThread, FAILED, FREE, GRANTED, isLineEmpty, WAITING } from '../../src/shared/words/line.ts';
import { EMPTY, isFlagged, SLOT_STATES, slotState, slotThread, slotVersion } from '../../src/shared/words/slot.ts';
import { breakerOf, HAND_OUTS_GUARDED, INACTIVE, isClosed, isDraining, RECOVERING, RETURNS_GUARDED } from '../../src/shared/words/state.ts';

export function dump(buffer: SharedArrayBuffer): string {
  const { state, line, slots, threads } = ControlBlock.attach(buffer);
  const word = state.load();
  const breaker = breakerOf(word) === INACTIVE ? 'INACTIVE' : breakerOf(word) === RECOVERING ? 'RECOVERING' : 'ACTIVE';
  const flags = [
    isClosed(word) && 'CLOSED',
    isDraining(word) && 'DRAINING',
    (word & HAND_OUTS_GUARDED) !== 0 && 'HAND_OUTS_GUARDED',
    (word & RETURNS_GUARDED) !== 0 && 'RETURNS_GUARDED',
  ].filter(Boolean);
  const text = [`state   ${[breaker, ...flags].join(' ')}`];
  for (let slot = 0; slot < slots.count; slot++) {
    const at = slots.load(slot);
    const holder = slotState(at) === EMPTY ? '' : ` thread ${slotThread(at)}`;
    text.push(
      `slot ${slot}  ${SLOT_STATES[slotState(at)] ?? slotState(at)}${isFlagged(at) ? '|F' : ''}${holder} version ${slotVersion(at)}`,
    );
  }
  text.push(`line    ${isLineEmpty(line.loadLine()) ? 'empty' : 'not empty'}, ${line.waiting()} waiting`);
  for (let cell = 0; cell < line.count; cell++) {
    const at = line.load(cell);
    const now = cellState(at);
    if (now === FREE) continue;
    const more = now === GRANTED ? ` slot ${cellSlot(at)}` : now === FAILED ? ` reason ${cellSlot(at)}` : '';
    const ticket = now === WAITING ? ` ticket ${line.ticket(cell)}` : '';
    text.push(`cell ${cell}  ${CELL_STATES[now] ?? now} thread ${cellThread(at)}${more}${ticket}`);
  }
  for (let thread = 0; thread < threads.count; thread++)
    if (threads.isAttached(thread)) text.push(`thread ${thread}  attached, Node's number ${threads.threadId(thread)}`);
  return text.join('\n');
}
