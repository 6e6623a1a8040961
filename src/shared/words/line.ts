/**
 * The line: one FIFO queue of waiters over all threads. Cells in any order; the ticket is the order.
 *
 * A cell:
 *
 *     31      23 22      13 12       3 2     0
 *     +---------+----------+----------+-------+
 *     | version |   slot   |  thread  | state |     FAILED keeps its reason where GRANTED keeps the slot
 *     +---------+----------+----------+-------+
 *
 *     FREE ──claim──> JOINING ──enter──> WAITING ──grant──> GRANTED ──free──> FREE
 *      ^                                  │ │ └───fail───> FAILED ──free──> FREE
 *      └─────────────leave────────────────┘ └──exchange──> WAITING
 *
 * Rules
 *  1. FREE is claimed by a joiner. JOINING(t) is left by t only, GRANTED(t) and FAILED(t) too; by the owner when t is dead.
 *  2. WAITING is left by the first compare-exchange: of a match, of the waiter itself, or of the thread that fails the waiters.
 *     If the waiter loses, it has a resource (or its reason).
 *  3. ticket, mark, time and tag of a cell are written in JOINING, before the store of WAITING; a thread that reads WAITING reads them
 *     whole. In WAITING all but the ticket are written by `exchange`, before it moves the word: what was done by the old ones fails.
 *  4. The version goes up at `free`, `leave` and `exchange`. 9 bits: a match that sleeps through exactly 512 rounds of one cell on the
 *     same thread grants a real waiter, only not the oldest.
 *
 * The LINE word:
 *
 *     31        17 16             1  0
 *     +-----------+----------------+---+
 *     |   epoch   |   high water   | N |     N: not empty. High water: no waiter is at or above it
 *     +-----------+----------------+---+
 *
 * Every joiner raises the epoch, so that "I saw no waiter, empty it" fails if one has joined meanwhile.
 */
import { LINE_WORD, TICKET_WORD } from '../layout.ts';

export const FREE = 0;
export const JOINING = 1;
export const WAITING = 2;
export const GRANTED = 3;
export const FAILED = 4;

export const CELL_STATES = ['FREE', 'JOINING', 'WAITING', 'GRANTED', 'FAILED'] as const;

/** Legal transitions: state -> the states it leaves to. A test holds this, the code and docs/state-machines.md together. */
export const CELL_TRANSITIONS: Readonly<Record<(typeof CELL_STATES)[number], readonly (typeof CELL_STATES)[number][]>> = {
  FREE: ['JOINING'],
  JOINING: ['WAITING', 'FREE'],
  WAITING: ['GRANTED', 'FAILED', 'FREE', 'WAITING'],
  GRANTED: ['FREE'],
  FAILED: ['FREE'],
};

// Why a waiter was sent away.
export const REASON_CLOSED = 1;
export const REASON_UNAVAILABLE = 2;
/** The factory failed; the error itself comes by the port, or is kept by the owner. */
export const REASON_FACTORY = 3;
/** It only tried, and there is nothing for it. */
export const REASON_NOTHING = 4;
/** The pool is suspended, and refuses: for a waiter that sleeps. */
export const REASON_SUSPENDED = 5;
/** Not in any cell: what the cell said cannot be, because something else has written into the block. */
export const REASON_DAMAGED = 6;

/** A waiter's mark: it only tries, and is to be told when there is nothing for it. */
export const MARK_TRIES = 1;
/** A waiter's mark: its thread is asleep on it. */
export const MARK_SYNC = 2;
/** A waiter's mark, from this bit on: the record of the thread for whose one-shot call the owner waits. 0: for itself. */
const MARK_BEHALF_SHIFT = 8;
export const markBehalf = (thread: number): number => thread << MARK_BEHALF_SHIFT;
export const behalfOfMark = (mark: number): number => mark >>> MARK_BEHALF_SHIFT;

const STATE_MASK = 0b111;
const THREAD_SHIFT = 3;
const THREAD_MASK = 0x3ff << THREAD_SHIFT;
const SLOT_SHIFT = 13;
const SLOT_MASK = 0x3ff << SLOT_SHIFT;
const VERSION_SHIFT = 23;
const VERSION_MASK = -1 << VERSION_SHIFT;
const VERSION_ONE = 1 << VERSION_SHIFT;

export const cellState = (word: number): number => word & STATE_MASK;
export const cellThread = (word: number): number => (word & THREAD_MASK) >>> THREAD_SHIFT;
/** The slot of a GRANTED cell. */
export const cellSlot = (word: number): number => (word & SLOT_MASK) >>> SLOT_SHIFT;
/** The reason of a FAILED cell. */
export const cellReason = cellSlot;

const inState = (word: number, state: number): number => (word & (VERSION_MASK | THREAD_MASK)) | state;
const withSlot = (word: number, state: number, slot: number): number => inState(word, state) | (slot << SLOT_SHIFT);
const nextRound = (word: number): number => ((word & VERSION_MASK) + VERSION_ONE) | 0;

export const NOT_EMPTY = 1;
const HIGH_WATER_SHIFT = 1;
const HIGH_WATER_MASK = 0xffff;
const EPOCH_MASK = -1 << 17;
const EPOCH_ONE = 1 << 17;

export const isLineEmpty = (line: number): boolean => (line & NOT_EMPTY) === 0;
/** As the word says it; `Line.#high` is what may be believed. */
const highWaterOf = (line: number): number => (line >>> HIGH_WATER_SHIFT) & HIGH_WATER_MASK;
const nextEpoch = (line: number): number => ((line & EPOCH_MASK) + EPOCH_ONE) | 0;

/** How many freed cells a thread remembers. */
const REMEMBERED = 1024;

/** No such cell, slot or waiter. */
export const NONE = -1;

/** What a scan of every cell found. */
export const NO_WAITER = 0;
/** A joiner is on the way in, and will match when it waits. */
export const ON_THE_WAY = 1;
/** At least one cell is waiting. */
export const HAS_WAITER = 2;

/** A waiter as a scan saw it: `word` is what a grant must still find. */
export interface Waiting {
  readonly cell: number;
  readonly word: number;
}

export interface Cells {
  readonly cells: number;
  readonly tickets: number;
  readonly marks: number;
  readonly joined: number;
  readonly tags: number;
  readonly cellCount: number;
}

export class Line {
  readonly count: number;
  readonly #words: Int32Array;
  readonly #at: Cells;
  /** Cells that this thread has freed: very likely free, and found without a search. */
  readonly #freed: Int32Array;
  #freedCount = 0;

  constructor(words: Int32Array, at: Cells) {
    this.#words = words;
    this.#at = at;
    this.count = at.cellCount;
    this.#freed = new Int32Array(Math.min(at.cellCount, REMEMBERED));
  }

  load(cell: number): number {
    return Atomics.load(this.#words, this.#at.cells + cell);
  }

  /** Plain reads: the cell must be known not to be FREE or JOINING. */
  ticket(cell: number): number {
    return this.#words[this.#at.tickets + cell];
  }

  mark(cell: number): number {
    return this.#words[this.#at.marks + cell];
  }

  joinedAt(cell: number): number {
    return this.#words[this.#at.joined + cell];
  }

  /** What its waiter waits for: as SLOT_TAG of the slot that it will get. */
  tag(cell: number): number {
    return this.#words[this.#at.tags + cell];
  }

  #swap(cell: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, this.#at.cells + cell, from, to) === from;
  }

  // ── joining

  /** FREE -> JOINING(me). NONE: every cell is in use. */
  claim(me: number): number {
    while (this.#freedCount > 0) {
      const cell = this.#freed[--this.#freedCount];
      if (this.#claim(cell, me)) return cell;
    }
    for (let cell = 0; cell < this.count; cell++) if (this.#claim(cell, me)) return cell;
    return NONE;
  }

  #claim(cell: number, me: number): boolean {
    // A plain read as a hint; the compare-exchange decides.
    const word = this.#words[this.#at.cells + cell];
    return cellState(word) === FREE && this.#swap(cell, word, (word & VERSION_MASK) | (me << THREAD_SHIFT) | JOINING);
  }

  /**
   * JOINING -> WAITING, with a ticket, in a line that says it is not empty. The joiner must then read the state again and match:
   * what became idle before the store of WAITING was not for it.
   */
  enter(cell: number, mark: number, stamped: number, tag = 0): void {
    // Most have none, and find none.
    if (this.#words[this.#at.tags + cell] !== tag) this.#words[this.#at.tags + cell] = tag;
    this.#words[this.#at.marks + cell] = mark;
    this.#words[this.#at.joined + cell] = stamped;
    this.#words[this.#at.tickets + cell] = Atomics.add(this.#words, TICKET_WORD, 1);
    this.#publish(cell);
    Atomics.store(this.#words, this.#at.cells + cell, inState(this.load(cell), WAITING));
  }

  /** LINE: not empty, up to this cell, next epoch. Pairs with the compare-exchange in `empty`. */
  #publish(cell: number): void {
    for (;;) {
      const line = this.loadLine();
      const high = Math.max(isLineEmpty(line) ? 0 : highWaterOf(line), cell + 1);
      const next = nextEpoch(line) | (high << HIGH_WATER_SHIFT) | NOT_EMPTY;
      if (Atomics.compareExchange(this.#words, LINE_WORD, line, next) === line) return;
    }
  }

  // ── serving

  /** WAITING -> GRANTED(slot), by a match that has the slot TAKEN. The matcher must wake the waiter. */
  grant(cell: number, waiting: number, slot: number): boolean {
    return this.#swap(cell, waiting, withSlot(waiting, GRANTED, slot));
  }

  /** WAITING -> FAILED(reason). The caller must wake the waiter. */
  fail(cell: number, waiting: number, reason: number): boolean {
    return this.#swap(cell, waiting, withSlot(waiting, FAILED, reason));
  }

  // ── changing places

  /**
   * WAITING(me) -> WAITING(me), of the next round: the waiters of two cells of this thread change places, with mark, time and tag; each
   * ticket stays where it is. `granted` must be GRANTED, and not collected. False: `cell` was granted or failed first, and neither waiter
   * has moved.
   */
  exchange(cell: number, granted: number, me: number): boolean {
    const word = this.load(cell);
    if (cellState(word) !== WAITING || cellThread(word) !== me) return false;
    this.#trade(cell, granted);
    // A thread that read the word before, and then the old mark, can do nothing by it any more. One that has done it makes this fail.
    const hasMoved = this.#swap(cell, word, nextRound(word) | inState(word & THREAD_MASK, WAITING));
    if (!hasMoved) this.#trade(cell, granted);
    return hasMoved;
  }

  /** What two waiters brought along. */
  #trade(a: number, b: number): void {
    for (const column of [this.#at.marks, this.#at.joined, this.#at.tags]) {
      const of = this.#words[column + a];
      this.#words[column + a] = this.#words[column + b];
      this.#words[column + b] = of;
    }
  }

  // ── going

  /** WAITING(me) -> FREE, by the waiter. False: it was granted or failed first. The leaver must match. */
  leave(cell: number, me: number): boolean {
    const word = this.load(cell);
    return cellState(word) === WAITING && cellThread(word) === me && this.free(cell, word);
  }

  /** GRANTED or FAILED -> FREE, by the waiter once it has what it was given; any state -> FREE by the owner for a dead thread. */
  free(cell: number, word: number): boolean {
    if (!this.#swap(cell, word, nextRound(word))) return false;
    if (this.#freedCount < this.#freed.length) this.#freed[this.#freedCount++] = cell;
    return true;
  }

  // ── looking

  /** Never beyond the cells, whatever LINE says. */
  #high(line: number): number {
    return Math.min(highWaterOf(line), this.count);
  }

  /** No waiter is at or above this cell. */
  get reach(): number {
    return this.#high(this.loadLine());
  }

  loadLine(): number {
    return Atomics.load(this.#words, LINE_WORD);
  }

  /**
   * Every waiter whose ticket was drawn before this began, with its age in tickets; gives the counter that ages are from. The counter is
   * read before the high water: a waiter that was in line before another drew its ticket is below that. Plain reads: what they find is
   * confirmed by `grant`, and what they miss by `scan`, before a match ends.
   */
  scanOldest(visit: (cell: number, age: number) => void): number {
    const counter = Atomics.load(this.#words, TICKET_WORD);
    const { cells, tickets } = this.#at;
    const high = this.#high(this.loadLine());
    let found = false;
    let strays = false;
    for (let cell = 0; cell < high; cell++) {
      if (cellState(this.#words[cells + cell]) !== WAITING) continue;
      // Tickets wrap: only differences mean something, and fewer than 2^31 are out at a time.
      const age = (counter - this.#words[tickets + cell]) | 0;
      if (age > 0) {
        found = true;
        visit(cell, age);
      } else strays = true;
    }
    if (!found && strays) this.#scanDamagedTickets(counter, visit);
    return counter;
  }

  /**
   * Waiters whose ticket has not been drawn even now: theirs is damaged, or the counter is. They are served after all others, but they
   * are served: `scan` sees them, so a match would otherwise never end.
   */
  #scanDamagedTickets(counter: number, visit: (cell: number, age: number) => void): void {
    const { cells, tickets } = this.#at;
    const drawn = Atomics.load(this.#words, TICKET_WORD);
    const high = this.#high(this.loadLine());
    for (let cell = 0; cell < high; cell++) {
      if (cellState(this.#words[cells + cell]) !== WAITING) continue;
      const ticket = this.#words[tickets + cell];
      if (((drawn - ticket) | 0) <= 0) visit(cell, (counter - ticket) | 0);
    }
  }

  /** The word of the waiter in this cell, if it is still the one with this ticket; else NONE, which no word is. */
  wordIfStillWaiting(cell: number, ticket: number): number {
    const word = this.load(cell);
    return cellState(word) === WAITING && this.#words[this.#at.tickets + cell] === ticket ? word : NONE;
  }

  /** Is there a waiter? With atomic loads: this may decide that a match is over. */
  scan(line: number): typeof NO_WAITER | typeof ON_THE_WAY | typeof HAS_WAITER {
    const high = this.#high(line);
    let found: typeof NO_WAITER | typeof ON_THE_WAY | typeof HAS_WAITER = NO_WAITER;
    for (let cell = 0; cell < high; cell++) {
      const state = cellState(this.load(cell));
      if (state === WAITING) return HAS_WAITER;
      if (state === JOINING) found = ON_THE_WAY;
    }
    return found;
  }

  /**
   * LINE -> empty, from the very word under which `scan` found no waiter. A joiner publishes after it has claimed, so either `scan` saw
   * its claim or this compare-exchange fails. The second look is for an epoch that came round (15 bits) while we slept in between.
   */
  empty(line: number): boolean {
    const emptied = nextEpoch(line);
    if (Atomics.compareExchange(this.#words, LINE_WORD, line, emptied) !== line) return false;
    if (this.scan(line) === NO_WAITER) return true;
    this.reopen();
    return false;
  }

  /** LINE: not empty, up to the last cell. Always safe: the next match empties it again if there is no waiter. */
  reopen(): void {
    this.#publish(this.count - 1);
  }

  /**
   * The waiters that sleep in line, in no order. As `trying`: one that is missed has just come, and reads the state after it has entered.
   */
  sleeping(): Waiting[] {
    return this.#marked(MARK_SYNC);
  }

  /**
   * The waiters that only try, in no order. One look at the cells by plain reads, and no object for other waiters. What the reads find is
   * confirmed: a waiter's mark is read after an atomic load of its WAITING (rule 3). A try that they miss has just come, and calls the
   * owner again when it waits.
   */
  trying(): Waiting[] {
    return this.#marked(MARK_TRIES);
  }

  #marked(mark: number): Waiting[] {
    const { cells, marks } = this.#at;
    const high = this.#high(this.loadLine());
    const marked: Waiting[] = [];
    for (let cell = 0; cell < high; cell++) {
      if (cellState(this.#words[cells + cell]) !== WAITING || (this.#words[marks + cell] & mark) === 0) continue;
      const word = this.load(cell);
      if (cellState(word) === WAITING && (this.mark(cell) & mark) !== 0) marked.push({ cell, word });
    }
    return marked;
  }

  /** Have fewer than `count` waiters stood in line for longer than the one in this cell? */
  isAmongFirst(cell: number, count: number): boolean {
    const ticket = this.ticket(cell);
    const high = this.#high(this.loadLine());
    let older = 0;
    for (let other = 0; other < high && older < count; other++)
      if (cellState(this.load(other)) === WAITING && ((this.ticket(other) - ticket) | 0) < 0) older++;
    return older < count;
  }

  /** Do fewer than this many wait? It does not look any further than to the last that matters. */
  isShorterThan(limit: number): boolean {
    const high = this.#high(this.loadLine());
    let waiting = 0;
    for (let cell = 0; cell < high && waiting < limit; cell++) if (cellState(this.#words[this.#at.cells + cell]) === WAITING) waiting++;
    return waiting < limit;
  }

  /**
   * Do fewer than this many stand in line until they are served? Waiters that only try may be
   * refused instead. Atomic loads, for the marks (rule 3).
   */
  hasFewerStaying(limit: number): boolean {
    const high = this.#high(this.loadLine());
    let patient = 0;
    for (let cell = 0; cell < high && patient < limit; cell++)
      if (cellState(this.load(cell)) === WAITING && (this.mark(cell) & MARK_TRIES) === 0) patient++;
    return patient < limit;
  }

  /** Waiters in line. Exact only while none joins or leaves. */
  waiting(): number {
    const high = this.#high(this.loadLine());
    let waiting = 0;
    for (let cell = 0; cell < high; cell++) if (cellState(this.#words[this.#at.cells + cell]) === WAITING) waiting++;
    return waiting;
  }
}
