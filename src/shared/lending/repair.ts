/**
 * What the owner does with what a dead thread left behind. A thread may stop between any two instructions; every word says whose it is,
 * so each crash point has its line here.
 *
 *  died                                          left                                  repair
 *  joining                                       JOINING(t)                            cell -> FREE
 *  waiting                                       WAITING(t)                            cell -> FREE
 *  granted, not picked up                        GRANTED(t, slot), TAKEN(its matcher)  slot -> IDLE, cell -> FREE
 *  picked up, cell not freed                     GRANTED(t, slot), LEASED(t)           cell -> FREE, then as a borrower
 *  told why not                                  FAILED(t)                             cell -> FREE
 *  as a borrower                                 LEASED(t)                             slot -> CHECKING: the caller decides
 *  between making a slot idle and matching       IDLE, another WAITING                 match
 *  handing in, before it rang                    RETURNED                              the owner looks at all slots
 *  matching, before it granted                   TAKEN(t), no cell GRANTED with it     slot -> IDLE
 *  matching, after it granted, before it woke    TAKEN(t), a cell GRANTED with it      ring that waiter: it picks up TAKEN(t) as ever
 *  emptying LINE between its two looks           LINE empty, another WAITING           reopen, match
 *
 * Cells first: a GRANTED cell of the dead thread tells a slot to put back from one that a waiter is about to pick up.
 */

import { cellSlot, cellState, cellThread, FAILED, FREE, GRANTED } from '../words/line.ts';
import { LEASED, leaseOf, slotState, slotThread, TAKEN } from '../words/slot.ts';
import type { Lending } from './lending.ts';

/** By the owner, once no script of that thread can run any more. Gives what it had borrowed, now CHECKING. The caller matches. */
export function repair(owner: Lending, dead: number): { slot: number; lease: number }[] {
  const { line, slots } = owner.block;

  for (let cell = 0; cell < line.count; cell++) {
    for (;;) {
      const word = line.load(cell);
      if (cellState(word) === FREE || cellThread(word) !== dead) break;
      if (cellState(word) === GRANTED) {
        const slot = cellSlot(word);
        const taken = slots.has(slot) ? slots.load(slot) : 0;
        if (slotState(taken) === TAKEN) slots.untake(slot, taken);
      }
      // Fails if a match has granted the cell meanwhile: look again.
      if (line.free(cell, word)) break;
    }
  }

  const borrowed: { slot: number; lease: number }[] = [];
  for (let slot = 0, extent = slots.extent; slot < extent; slot++) {
    const word = slots.load(slot);
    if (slotThread(word) !== dead) continue;
    const lease = leaseOf(word);
    if (slotState(word) === LEASED && slots.seize(slot, lease)) borrowed.push({ slot, lease });
    // The word was read before the cells: if the waiter it was granted to has picked it up since, the compare-exchange fails.
    if (slotState(word) === TAKEN && !owner.block.snapshot.isGranted(slot)) slots.untake(slot, word);
  }

  for (const { slot } of borrowed) slots.setTag(slot, 0);

  for (let cell = 0; cell < line.count; cell++) {
    const word = line.load(cell);
    if (cellState(word) === GRANTED || cellState(word) === FAILED) owner.matching.wake(cellThread(word));
  }
  line.reopen();
  return borrowed;
}
