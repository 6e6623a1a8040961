/**
 * Matching, as one thread does it: brings together what is idle and the waiters in line, and calls the owner where only it can go on. What
 * it promises, together with a joiner and a return, stands at the top of lending.ts.
 */
import { SLOT_STATE, SLOT_STRIDE, STATE_WORD } from '../layout.ts';
import type { ControlBlock } from '../words/control-block.ts';
import { cellThread, HAS_WAITER, isLineEmpty, NO_WAITER, NONE, ON_THE_WAY, type Waiting } from '../words/line.ts';
import { FOUND_IDLE, IDLE, type Slots, slotState } from '../words/slot.ts';
import { guardsHandOuts, guardsReturns, isClosed, isDraining, isEvicting, isSuspended } from '../words/state.ts';
import { OWNER } from '../words/threads.ts';
import { FifoCursor } from './fifo-cursor.ts';

/** What a match tells the thread that it runs on. */
export interface Matched {
  /** A waiter of this very thread was served, by this very thread. */
  served(): void;
  /** On the owner: what would have rung its bell. */
  called(): void;
}

export class Matching {
  private readonly block: ControlBlock;
  private readonly me: number;
  private readonly listener: Matched;
  private readonly words: Int32Array;
  private readonly slots: Slots;
  private readonly slotWords: number;
  private readonly fifo: FifoCursor;
  private readonly maxUses: number;

  constructor(block: ControlBlock, me: number, listener: Matched) {
    this.block = block;
    this.me = me;
    this.listener = listener;
    this.words = block.words;
    this.slots = block.slots;
    this.slotWords = block.layout.slots;
    this.fifo = new FifoCursor(block.line);
    this.maxUses = block.constants.maxUses || Number.POSITIVE_INFINITY;
  }

  /**
   * Serves the line, and calls the owner where only it can go on. By any thread, after anything that may have brought a slot and a waiter
   * together. `near`: the slot to look at first.
   *
   * Where the pool is being closed, drained or suspended the owner is called in any case, and the state is read last: it waits for slots to
   * come to rest and for waiters to go, and may have looked while we had a slot TAKEN, or were on our way out. It sets the state and then
   * looks; we move and then read it.
   */
  match(near: number): void {
    const needed = this.serve(near);
    const state = this.block.state.load();
    if (needed || isClosed(state) || isDraining(state) || isSuspended(state)) this.callOwner();
  }

  /**
   * Gives idle slots to the oldest waiters until one or the other runs out.
   * Ends when no waiter is left (a later joiner matches), when there is only a joiner on the way in (it will match), or when nothing is
   * idle and every slot that is out is flagged. True: the owner is needed, as more may be made, or it alone may match, or all waiters are
   * to be sent away.
   */
  serve(near: number): boolean {
    while (this.hasWaiters()) {
      // A hint: there is no need to take anything.
      if (this.holdsBack(this.words[STATE_WORD])) return true;
      const slot = this.takeIdle(near);
      // Read while the slot is TAKEN: a thread that suspends the pool sets the state, and then
      // waits until no match has a slot that it has not granted.
      if (this.holdsBack(this.block.state.load())) {
        if (slot !== NONE) this.grantNone(slot);
        return true;
      }
      if (slot !== NONE) this.grant(slot);
      else if (!this.flagAll()) return this.mayGrow();
    }
    return false;
  }

  /** Is nothing to be granted, or by the owner only? */
  private holdsBack(state: number): boolean {
    return isEvicting(state) || guardsHandOuts(state) || isSuspended(state);
  }

  /** TAKEN(me) -> IDLE. The owner is called in any case, and looks at the line. */
  private grantNone(slot: number): void {
    this.slots.putBack(slot, this.me);
    this.callOwnerIfDue(slot);
  }

  /** Is there a waiter? LINE is emptied if not. */
  hasWaiters(): boolean {
    const { line } = this.block;
    for (;;) {
      const word = line.loadLine();
      if (isLineEmpty(word)) return false;
      if (this.fifo.first()) return true;
      switch (line.scan(word)) {
        case HAS_WAITER:
          return true;
        case ON_THE_WAY:
          return false;
        case NO_WAITER:
          if (line.empty(word)) return false;
      }
    }
  }

  /** The waiter that has waited longest, as far as plain reads can tell: its grant is what decides. Good until the next call. */
  first(): Waiting | undefined {
    return this.fifo.first() ? this.fifo : undefined;
  }

  /** IDLE -> TAKEN(me), or NONE. */
  private takeIdle(near: number): number {
    const { slots } = this.block;
    const extent = slots.extentHint;
    let slot = near;
    for (let left = extent; left > 0; left--) {
      if (slot >= extent) slot = 0;
      const word = this.words[this.slotWords + slot * SLOT_STRIDE + SLOT_STATE];
      if (slotState(word) === IDLE && slots.take(slot, word, this.me)) return slot;
      slot++;
    }
    return NONE;
  }

  /**
   * Gives a slot that we have TAKEN to the first waiter, or puts it back when there is none. False: put back; look at the line again.
   * If the waiter we saw has moved meanwhile, we keep the slot and look for the next.
   */
  grant(slot: number): boolean {
    const { line, slots } = this.block;
    for (;;) {
      const first = this.first();
      if (first === undefined) {
        slots.putBack(slot, this.me);
        this.callOwnerIfDue(slot);
        return false;
      }
      if (line.grant(first.cell, first.word, slot)) {
        this.wake(cellThread(first.word));
        return true;
      }
    }
  }

  /** F on every slot that is out. True: one is idle after all. */
  flagAll(): boolean {
    const { slots } = this.block;
    let idle = false;
    for (let slot = 0, extent = slots.extent; slot < extent; slot++) if (slots.flag(slot) === FOUND_IDLE) idle = true;
    return idle;
  }

  private mayGrow(): boolean {
    return this.block.snapshot.hasRoom();
  }

  /** Sends all waiters away. For a state that lets no borrower in: a joiner reads the state after it has entered. */
  rejectWaiters(reason: number): void {
    const { line } = this.block;
    while (this.hasWaiters()) {
      const first = this.first();
      if (first !== undefined && line.fail(first.cell, first.word, reason)) this.wake(cellThread(first.word));
    }
  }

  /** Wakes a waiter's thread, after a grant or a refusal. */
  wake(thread: number): void {
    if (thread === this.me) this.listener.served();
    else this.block.bells.ring(thread);
  }

  callOwner(): void {
    if (this.me === OWNER) this.listener.called();
    else this.block.bells.ring(OWNER);
  }

  /**
   * After we have made this slot idle. The owner may have said meanwhile that it is to see it first, or that there are too many, and found
   * it out and flagged. Now it looks again: it takes what is idle, and flags what another borrower has by now.
   */
  callOwnerIfDue(slot: number): void {
    if (this.mustReturn(slot)) this.callOwner();
  }

  /** Must the owner look at this slot before another borrower gets it? */
  mustReturn(slot: number): boolean {
    const { block } = this;
    return guardsReturns(block.state.load()) || block.isRetired(slot) || block.uses(slot) >= this.maxUses || block.snapshot.isOverfull();
  }
}
