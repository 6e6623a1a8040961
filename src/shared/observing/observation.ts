/** A pool as its watchers see it: looks at every word, moves none. */
import { now, since, stamp } from '../clock.ts';
import { BEHALF_GONE, COUNTER_ACQUIRED, COUNTER_FROM_LINE, TICKET_WORD } from '../layout.ts';
import type { ControlBlock } from '../words/control-block.ts';
import { DESTROY_REASONS } from '../words/counters.ts';
import { behalfOfMark, cellSlot, cellState, cellThread, GRANTED, MARK_SYNC, MARK_TRIES, WAITING } from '../words/line.ts';
import { CHECKING, CREATING, EMPTY, IDLE, LEASED, leaseOf, RETURNED, slotState, slotThread, TAKEN } from '../words/slot.ts';
import { isEvicting } from '../words/state.ts';
import { OWNER } from '../words/threads.ts';
import type { Hold, Standing, Wait } from './knots.ts';
import type { Buckets, Counts, LineRow, Observed, SlotLook, SlotRow, ThreadRow, Totals } from './observed.ts';

/** What a word says by itself. TAKEN is granted only if a cell says so, and LEASED may be on its way back. */
const LOOKS: Readonly<Record<number, SlotLook>> = {
  [EMPTY]: 'empty',
  [CREATING]: 'making',
  [IDLE]: 'idle',
  [TAKEN]: 'idle',
  [LEASED]: 'leased',
  [RETURNED]: 'returned',
  [CHECKING]: 'checking',
};

/** A borrower of a slot, by the number of its record; NO_BORROWER: it comes back by itself. */
const NO_BORROWER = -1;

export class Observation implements Observed {
  readonly name: string;
  readonly key: string;
  readonly #block: ControlBlock;
  readonly #isOwnerGone: () => boolean;
  /** By slot: the lease that was seen last, with the uses of its resource, and when it was first seen. */
  readonly #leases: Int32Array;
  readonly #uses: Int32Array;
  readonly #seenAt: Float64Array;

  constructor(name: string, block: ControlBlock, isOwnerGone: () => boolean) {
    this.name = name;
    this.#block = block;
    this.#isOwnerGone = isOwnerGone;
    this.key = `${this.owner}:${block.constants.poolId}`;
    this.#leases = new Int32Array(block.slots.count);
    this.#uses = new Int32Array(block.slots.count);
    this.#seenAt = new Float64Array(block.slots.count);
  }

  get owner(): number {
    return this.#block.threads.threadId(OWNER);
  }

  /** How many there may be now. */
  get #max(): number {
    return this.#block.limits.max;
  }

  // ── figures

  counts(): Counts {
    const { slots } = this.#block;
    const counts = { idle: 0, making: 0, used: 0 };
    for (let slot = 0; slot < slots.extent; slot++) {
      const state = slotState(slots.load(slot));
      if (state === IDLE) counts.idle++;
      else if (state === CREATING) counts.making++;
      else if (state !== EMPTY) counts.used++;
    }
    return counts;
  }

  totals(): Totals {
    const { counters } = this.#block;
    const sums = counters.sums();
    const destroyed = Object.fromEntries(DESTROY_REASONS.map((reason) => [reason, counters.destroyedBy(reason)]));
    return { acquired: sums[COUNTER_ACQUIRED], fromLine: sums[COUNTER_FROM_LINE], destroyed };
  }

  buckets(of: 'wait' | 'hold' | 'create'): Buckets {
    const { waitTimes, holdTimes, createTimes } = this.#block;
    return { wait: waitTimes, hold: holdTimes, create: createTimes }[of].buckets();
  }

  // ── slots

  slots(): SlotRow[] {
    const { slots, threads } = this.#block;
    const rows: SlotRow[] = [];
    let granted: Map<number, number> | undefined;
    for (let slot = 0; slot < slots.extent; slot++) {
      const word = slots.load(slot);
      const state = slotState(word);
      if (state === EMPTY && slot >= this.#max) continue;
      const row: SlotRow = { slot, state: LOOKS[state] ?? 'checking', uses: this.#block.uses(slot) };
      if (state === TAKEN) {
        granted ??= this.#granted();
        const thread = granted.get(slot);
        if (thread !== undefined) Object.assign(row, { state: 'granted', thread, threadId: threads.threadId(thread) });
      } else if (state === LEASED) this.#describeLease(row, slot, word);
      if (state !== EMPTY && state !== CREATING) row.age = since(this.#block.madeAt(slot));
      rows.push(row);
    }
    return rows;
  }

  #describeLease(row: SlotRow, slot: number, word: number): void {
    const lease = leaseOf(word);
    const thread = this.#borrower(slot, word);
    if (thread !== NO_BORROWER) {
      row.thread = thread;
      row.threadId = this.#block.threads.threadId(thread);
    }
    row.heldFor = this.#heldFor(slot, lease);
    if (this.#block.hasLeft(slot, lease)) row.state = 'returned';
  }

  /** Never more than it is: from when the borrower says that it began; else from when this thread first saw it. */
  #heldFor(slot: number, lease: number): number {
    const traced = this.#block.tracedSince(slot, lease);
    if (traced !== undefined) return since(traced);
    const uses = this.#block.uses(slot);
    // The version in a lease comes round after milliseconds of a tight loop; the uses do not at the same time.
    if (this.#leases[slot] !== lease || this.#uses[slot] !== uses) {
      this.#leases[slot] = lease;
      this.#uses[slot] = uses;
      this.#seenAt[slot] = now();
    }
    return Math.floor(now() - this.#seenAt[slot]);
  }

  /** The thread that has a LEASED slot out, be it by a one-shot call. */
  #borrower(slot: number, word: number): number {
    const thread = slotThread(word);
    const behalf = thread === OWNER ? this.#block.slots.behalf(slot) : 0;
    if (behalf === BEHALF_GONE) return NO_BORROWER;
    return behalf > 0 ? behalf : thread;
  }

  /** By slot: the thread that it was granted to and that has not picked it up. */
  #granted(): Map<number, number> {
    const { line } = this.#block;
    const granted = new Map<number, number>();
    for (let cell = 0; cell < line.count; cell++) {
      const word = line.load(cell);
      if (cellState(word) === GRANTED) granted.set(cellSlot(word), this.#waiterOf(cell, word));
    }
    return granted;
  }

  // ── the line

  line(): LineRow[] {
    const { line, threads, words } = this.#block;
    const rows: LineRow[] = [];
    const at = stamp();
    const counter = Atomics.load(words, TICKET_WORD);
    for (let cell = 0; cell < line.reach; cell++) {
      const word = line.load(cell);
      if (cellState(word) !== WAITING) continue;
      const thread = this.#waiterOf(cell, word);
      const mark = line.mark(cell);
      rows.push({
        ticket: line.ticket(cell),
        thread,
        threadId: threads.threadId(thread),
        waitedFor: Math.max(0, (at - line.joinedAt(cell)) | 0),
        sync: (mark & MARK_SYNC) !== 0,
      });
    }
    // Tickets wrap: the age counts.
    return rows.sort((a, b) => ((counter - b.ticket) | 0) - ((counter - a.ticket) | 0));
  }

  /** The thread that waits in this cell, or for whose one-shot call the owner does. The cell must not be FREE or JOINING. */
  #waiterOf(cell: number, word: number): number {
    return behalfOfMark(this.#block.line.mark(cell)) || cellThread(word);
  }

  // ── threads

  threads(): ThreadRow[] {
    const { line, slots, threads } = this.#block;
    const rows = new Map<number, ThreadRow>();
    for (let thread = 0; thread < threads.count; thread++) {
      const owner = thread === OWNER;
      if (!owner && !threads.isAttached(thread)) continue;
      const alive = !owner || !this.#isOwnerGone();
      rows.set(thread, { thread, threadId: threads.threadId(thread), holds: [], waits: threads.behindOf(thread), alive, owner });
    }
    for (let slot = 0; slot < slots.extent; slot++) {
      const word = slots.load(slot);
      if (slotState(word) === LEASED) rows.get(this.#borrower(slot, word))?.holds.push(slot);
    }
    for (let cell = 0; cell < line.reach; cell++) {
      const word = line.load(cell);
      const row = cellState(word) === WAITING ? rows.get(this.#waiterOf(cell, word)) : undefined;
      if (row !== undefined) row.waits++;
    }
    return [...rows.values()];
  }

  held(): Map<number, number> {
    const { slots, threads } = this.#block;
    const held = new Map<number, number>([[OWNER, 0]]);
    for (let thread = 1; thread < threads.count; thread++) if (threads.isAttached(thread)) held.set(thread, 0);
    for (let slot = 0; slot < slots.extent; slot++) {
      const word = slots.load(slot);
      const thread = slotState(word) === LEASED ? this.#borrower(slot, word) : NO_BORROWER;
      if (held.has(thread)) held.set(thread, held.get(thread)! + 1);
    }
    return held;
  }

  // ── deadlocks

  standing(): Standing {
    const { slots, state } = this.#block;
    const holds: Hold[] = [];
    // A waiter that is to be sent away need not be served.
    let hasSupply = isEvicting(state.load());
    let count = 0;
    for (let slot = 0; slot < slots.extent; slot++) {
      const word = slots.load(slot);
      if (slotState(word) === EMPTY) continue;
      count++;
      const hold = this.#holdOf(slot, word);
      if (hold === undefined) hasSupply = true;
      else holds.push(hold);
    }
    return { name: this.name, hasSupply: hasSupply || count < this.#max, holds, waits: this.#waits() };
  }

  isHeldByWaiters(pools: Iterable<Observed>): boolean {
    const { slots } = this.#block;
    const borrowers = new Set<number>();
    let count = 0;
    for (let slot = 0; slot < slots.extent; slot++) {
      const word = slots.load(slot);
      if (slotState(word) === EMPTY) continue;
      count++;
      const hold = this.#holdOf(slot, word);
      if (hold === undefined) return false;
      borrowers.add(hold.thread);
    }
    if (count < this.#max) return false;
    for (const pool of pools) if (borrowers.size > 0) pool.withoutWaiters(borrowers);
    return borrowers.size === 0;
  }

  withoutWaiters(waiting: Set<number>): void {
    const { line, threads } = this.#block;
    for (let cell = 0; cell < line.reach && waiting.size > 0; cell++) {
      const word = line.load(cell);
      if (cellState(word) === WAITING) waiting.delete(threads.threadId(this.#waiterOf(cell, word)));
    }
  }

  /** Undefined: it may be had, or comes back by itself. */
  #holdOf(slot: number, word: number): Hold | undefined {
    const { slots, threads } = this.#block;
    const lease = leaseOf(word);
    const thread = slotThread(word);
    if (slotState(word) !== LEASED || this.#block.hasLeft(slot, lease)) return undefined;
    if (thread === OWNER ? slots.behalf(slot) !== 0 : !threads.isAttached(thread)) return undefined;
    return { slot, lease, thread: threads.threadId(thread), tag: slots.tag(slot) };
  }

  #waits(): Wait[] {
    const { line, threads } = this.#block;
    const waits: Wait[] = [];
    for (let cell = 0; cell < line.reach; cell++) {
      const word = line.load(cell);
      if (cellState(word) !== WAITING) continue;
      const mark = line.mark(cell);
      waits.push({
        ticket: line.ticket(cell),
        thread: threads.threadId(this.#waiterOf(cell, word)),
        tag: line.tag(cell),
        asleep: (mark & MARK_SYNC) !== 0,
        tries: (mark & MARK_TRIES) !== 0,
      });
    }
    return waits;
  }
}
