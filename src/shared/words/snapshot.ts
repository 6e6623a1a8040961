/** What can be told by a look at every slot, and at every cell for what has been granted. It moves nothing. */
import { BEHALF_OWN } from '../layout.ts';
import type { Limits } from './limits.ts';
import { cellSlot, cellState, GRANTED, type Line } from './line.ts';
import { EMPTY, IDLE, LEASED, type Slots, slotState, slotThread, TAKEN } from './slot.ts';
import { OWNER } from './threads.ts';

/** What a thread has out. */
export interface Holding {
  /** Slots that it has borrowed itself. They come back when it gives them back. */
  readonly leases: number;
  /** Slots that the owner has for one-shot calls of it (`pool.call`). They come back when those settle. */
  readonly calls: number;
}

/** How often a thread that would refuse looks at all slots before it leaves the answer to the line. */
const LOOKS = 3;

export class Snapshot {
  readonly #slots: Slots;
  readonly #line: Line;
  readonly #limits: Limits;
  /** How far the last look went. */
  #extent = 0;
  /** What the last look found: the word of each slot, and which had been granted. */
  readonly #seen: Int32Array;
  readonly #granted: Uint8Array;

  constructor(slots: Slots, line: Line, limits: Limits) {
    this.#slots = slots;
    this.#line = line;
    this.#limits = limits;
    this.#seen = new Int32Array(slots.count);
    this.#granted = new Uint8Array(slots.count);
  }

  /** Idle, and everything that is there. */
  count(): { count: number; idle: number } {
    let count = 0;
    let idle = 0;
    for (let slot = 0, extent = this.#slots.extent; slot < extent; slot++) {
      const state = slotState(this.#slots.load(slot));
      if (state !== EMPTY) count++;
      if (state === IDLE) idle++;
    }
    return { count, idle };
  }

  /** What this thread has out, in either way. The owner's own holding leaves out what it has on behalf of others. */
  heldBy(thread: number): Holding {
    let leases = 0;
    let calls = 0;
    for (let slot = 0, extent = this.#slots.extent; slot < extent; slot++) {
      const word = this.#slots.load(slot);
      if (slotState(word) !== LEASED) continue;
      const borrower = slotThread(word);
      const behalf = borrower === OWNER ? this.#slots.behalf(slot) : 0;
      if (behalf === 0) leases += borrower === thread ? 1 : 0;
      else if (behalf === thread || (behalf === BEHALF_OWN && thread === OWNER)) calls++;
    }
    return { leases, calls };
  }

  /**
   * Do waiters already claim every slot that could be granted without a release (idle, empty, in the owner's hands, or about to be
   * granted)? `tries`: the waiters that only try count, too.
   *
   * True is final, so it has to have been so at one instant: every slot was the same before and after we looked at the line. A single
   * look may see one slot before and another after something was handed on, and find nothing where something was idle all along. False
   * may also mean that too much is going on to tell: a joiner learns it from the line.
   */
  isSupplyExhausted(tries: boolean): boolean {
    for (let looks = 0; looks < LOOKS; looks++) {
      const supply = this.#supply();
      if (tries ? this.#line.isShorterThan(supply) : this.#line.hasFewerStaying(supply)) return false;
      if (this.#isAsSeen()) return true;
    }
    return false;
  }

  #supply(): number {
    this.#scan();
    let supply = 0;
    let room = this.#limits.max;
    for (let slot = 0; slot < this.#extent; slot++) {
      const state = slotState(this.#seen[slot]);
      if (state === EMPTY) continue;
      room--;
      if (state === TAKEN ? this.#granted[slot] === 0 : state !== LEASED) supply++;
    }
    return supply + Math.max(0, room);
  }

  /**
   * Are there more than there may be? `max` was lowered: what comes back may be one too many. Says so cheaply while nothing is left over.
   */
  isOverfull(): boolean {
    const { max } = this.#limits;
    return max < this.#slots.extent && this.count().count > max;
  }

  /** May one more be made? A slot that is EMPTY does not say so: `max` may be less than there are slots. */
  hasRoom(): boolean {
    return this.count().count < this.#limits.max;
  }

  /** Does a match have a slot that it has not granted yet? It is about to grant it, or to put it back. */
  isGrantInFlight(): boolean {
    this.#scan();
    for (let slot = 0; slot < this.#extent; slot++) if (slotState(this.#seen[slot]) === TAKEN && this.#granted[slot] === 0) return true;
    return false;
  }

  /** The slots first: the cell of a slot that is granted says so for as long as its word stays TAKEN. */
  #scan(): void {
    let isAnyTaken = false;
    this.#extent = this.#slots.extent;
    for (let slot = 0; slot < this.#extent; slot++) {
      const word = this.#slots.load(slot);
      this.#seen[slot] = word;
      if (slotState(word) === TAKEN) isAnyTaken = true;
    }
    if (!isAnyTaken) return;
    this.#granted.fill(0);
    for (let cell = 0; cell < this.#line.count; cell++) {
      const word = this.#line.load(cell);
      if (cellState(word) === GRANTED) this.#granted[cellSlot(word)] = 1;
    }
  }

  #isAsSeen(): boolean {
    for (let slot = 0; slot < this.#extent; slot++) if (this.#slots.load(slot) !== this.#seen[slot]) return false;
    return this.#slots.extent === this.#extent;
  }

  /** Has a waiter been given this slot, and not picked it up yet? */
  isGranted(slot: number): boolean {
    for (let cell = 0; cell < this.#line.count; cell++) {
      const word = this.#line.load(cell);
      if (cellState(word) === GRANTED && cellSlot(word) === slot) return true;
    }
    return false;
  }
}
