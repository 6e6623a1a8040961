/**
 * Borrowing, giving back and waiting, as one thread does them. With matching.ts, the only code that moves slot, line and bell together.
 *
 * Two promises, and what keeps them
 *  - A slot that is idle and a waiter that waits never both persist. A joiner stores WAITING and then looks at every slot (`match`: it
 *    takes what is idle, and flags what is out). A release makes the slot IDLE and, if it finds the flag, then looks at the line. Both are
 *    sequentially consistent, so at least one side sees the other. A match that finds nothing idle has, before it ends, flagged every slot
 *    that is out; every other slot is the owner's, which matches whenever it makes one IDLE.
 *  - No borrower passes the line: `tryBorrow` takes nothing while LINE says that it is not empty, and `match` serves the oldest ticket
 *    first.
 */
import { now, stamp } from '../clock.ts';
import { COUNTER_ACQUIRED, COUNTER_RELEASED, FEATURE_TRACE, LINE_WORD, STATE_WORD } from '../layout.ts';
import type { ControlBlock } from '../words/control-block.ts';
import {
  cellReason,
  cellSlot,
  cellState,
  cellThread,
  FAILED,
  FREE,
  GRANTED,
  isLineEmpty,
  NONE,
  NOT_EMPTY,
  REASON_DAMAGED,
  WAITING,
} from '../words/line.ts';
import { FLAG, leaseDelta, leasedTo, leaseOf, releaseDelta, type Slots } from '../words/slot.ts';
import { CLOSED, isSuspended, RETURNS_GUARDED } from '../words/state.ts';
import { type Matched, Matching } from './matching.ts';
import { type Outcome, PENDING, type Refused, refused, served } from './outcome.ts';

/**
 * In the long run one hold in this many is timed, as the clock costs more than a hand-out.
 * Before that, each whose number is a power of two.
 */
const SAMPLE_EVERY = 256;

/**
 * How often a thread that only ever borrows and gives back looks up from it, in ms: it may never get to its event loop. Estimated from
 * the recent pace of borrowing, as the clock is not read in between; so a thread that suddenly holds for longer may be late by
 * SAMPLE_EVERY holds.
 */
const LOOK_EVERY = 250;

/** No slot ever has it: see `Lending.lastIdle`. */
const NO_WORD = -1;

/** In `detour`: acquires are published, so none goes the short way. No bit of the state word. */
const PUBLISHED = 1 << 29;

export interface Listener extends Matched {
  /** Now and then, between hand-outs. */
  lookUp(): void;
  /** A lease of this slot ends. Only while returns are published. */
  released?(slot: number): void;
  /** This thread borrows a slot that it still believes to have: that lease was revoked, and the word of it has yet to be heard. */
  revoked?(slot: number): void;
}

/**
 * Its members are private by TypeScript's word only, like those of `Slots`. What a thread does for each borrow should fit into the
 * function that borrows: V8 puts no more than 920 bytes of bytecode into one, everything included, and a call to what is left out takes
 * as long as half a compare-exchange. A `#` costs a byte or three each time. For the same reason tags and timed holds are no objects of
 * their own: the fast path asks `nextDueAt` and `timing` of this very object whether anything is due.
 */
export class Lending {
  readonly me: number;
  readonly block: ControlBlock;
  readonly matching: Matching;
  /**
   * The words of slots without their flag, as this thread had them when it last borrowed each: its lease, as long as it `holds` the slot.
   * Afterwards it must not be compared with, nor sent.
   */
  readonly leases: Int32Array;
  /**
   * The number of this thread's lease of each slot, 0: none.
   * Unlike the version in a lease it does not come round: what is handed out remembers it.
   */
  readonly serials: number[];
  private readonly words: Int32Array;
  private readonly slots: Slots;
  private readonly floats: Float64Array;
  /** What is added to the word of a slot when we borrow it, and when we give it back. */
  private readonly leaseDelta: number;
  private readonly releaseDelta: number;
  /** Where our counters are. */
  private readonly acquired: number;
  private readonly released: number;
  private readonly maxUses: number;
  private readonly traced: boolean;
  private readonly listener: Listener;
  /** What tells the tag of what runs now, if anything does: see `tagWith`. */
  private tagOf: (() => number) | undefined;
  /** The tags of the leases that this thread has, by slot. */
  private readonly tags: Int32Array;
  /** When each of the holds began that are timed; 0: it is not. Negative: not for the histogram, only to look up. */
  private readonly timedAt: Float64Array;
  /** Hand-outs so far: the number of a lease, and our counter of hand-outs. */
  private handOuts = 0;
  /** The next hand-out whose hold is a sample; the next after which this thread looks up; and the next that anything is due for. */
  private nextSampleAt = 1;
  private nextOwnerCheckAt = 1;
  private nextDueAt = 1;
  private watchesAll: boolean;
  /** How many of those under way are timed, and how many have a tag: something is to be done at their end. */
  private timing = 0;
  /**
   * Not 0: nothing is borrowed the short way. CLOSED as soon as this thread has left, as for it the pool is; PUBLISHED while acquires
   * are.
   */
  private detour = 0;
  private publishesReleases = false;
  private ownerCheckedAt = 0;
  /** How many hand-outs there had been when a timed hold last ended, and when that was: the pace. */
  private pacedBegun = 0;
  private pacedAt = 0;
  /** Where to look first: what one thread used last is in its caches. */
  private lastSlot = 0;
  /**
   * The word that we left there, or NO_WORD if we have found it by a search since, or been granted it. A guess: the compare-exchange
   * decides. Never the word of another slot: this one may come to that in a later round. Then we would borrow what we believe to have
   * still, as its resource was taken from us and made anew; or borrow in a pool that was suspended since we read its state.
   */
  private lastIdle = NO_WORD;

  constructor(block: ControlBlock, me: number, listener: Listener) {
    this.block = block;
    this.me = me;
    this.leases = new Int32Array(block.slots.count);
    this.serials = Array.from({ length: block.slots.count }, () => 0);
    this.words = block.words;
    this.slots = block.slots;
    this.matching = new Matching(block, me, listener);
    this.floats = block.floats;
    this.leaseDelta = leaseDelta(me);
    this.releaseDelta = releaseDelta(me);
    this.acquired = block.counters.of(me) + COUNTER_ACQUIRED;
    this.released = block.counters.of(me) + COUNTER_RELEASED;
    this.maxUses = block.constants.maxUses || Number.POSITIVE_INFINITY;
    this.traced = (block.constants.features & FEATURE_TRACE) !== 0;
    this.watchesAll = this.traced || block.constants.maxUses !== 0;
    this.listener = listener;
    this.timedAt = new Float64Array(block.slots.count);
    this.tags = new Int32Array(block.slots.count);
  }

  /** The slot that this thread has last given back or, if that was later, found by a search or been granted. */
  get last(): number {
    return this.lastSlot;
  }

  /** Has this thread borrowed that slot? */
  holds(slot: number): boolean {
    return this.serials[slot] !== 0;
  }

  /**
   * Is the lease with this serial still this thread's? It may be over, and the slot even be lent to this thread again, under another
   * serial. What is handed out asks for itself (`currentSlot` in worker/remote.ts): there a call would cost as much as the answer.
   */
  isCurrent(slot: number, serial: number): boolean {
    return this.serials[slot] === serial;
  }

  // ── tags: what the present lease of a slot is for, and what a waiter waits for

  /**
   * From now on this thread says of each lease, and of each place in line, what it is for: what `tag` gives at that moment, a whole
   * number other than 0, such as the number of a job; 0 for nothing in particular. It is asked when a borrow begins: a lease that was
   * waited for has the tag of the wait, whatever runs when it is granted. It must not throw. undefined: this thread says nothing any
   * more, and borrowing costs what it did. Every thread reads it by `tagged`, or from the cell of a waiter by `Line.tag`.
   */
  tagWith(tag: (() => number) | undefined): void {
    this.tagOf = tag;
    this.watchesAll = this.traced || tag !== undefined || this.block.constants.maxUses !== 0;
    this.plan();
  }

  /** What runs now. */
  get tag(): number {
    return this.tagOf === undefined ? 0 : this.tagOf() | 0;
  }

  /** Our lease of this slot is for that. Undone where the lease ends. */
  setTag(slot: number, tag: number): void {
    if (tag === this.tags[slot]) return;
    if (this.tags[slot] === 0) this.timing++;
    else if (tag === 0) this.timing--;
    this.tags[slot] = tag;
    this.slots.setTag(slot, tag);
  }

  // ── borrowing

  /**
   * IDLE -> LEASED(me) for one slot, or NONE. The fast path: plain reads as hints, and a guess at the slot, on which one compare-exchange
   * decides. NONE proves nothing: a borrower that must know for sure joins the line.
   */
  tryBorrow(): number {
    if ((this.words[STATE_WORD] | this.detour | (this.words[LINE_WORD] & NOT_EMPTY)) !== 0) return this.tryBorrowGuarded();
    const slot = this.lastSlot;
    const idle = this.lastIdle;
    const lease = (idle + this.leaseDelta) | 0;
    if (!this.slots.borrowAgain(slot, idle, lease)) return this.borrowAnother(0);
    this.begin(slot, lease);
    return slot;
  }

  /**
   * Where the owner looks at returns they are flagged from the start. Anything else that the state says keeps us from passing the line.
   */
  private tryBorrowGuarded(): number {
    return (this.detour & PUBLISHED) === 0 ? this.tryBorrowUnpublished() : NONE;
  }

  /** As `tryBorrow`, for what is published by its caller, or not at all. */
  tryBorrowUnpublished(): number {
    const state = this.words[STATE_WORD] | (this.detour & ~PUBLISHED);
    if ((state & ~RETURNS_GUARDED) !== 0 || !isLineEmpty(this.words[LINE_WORD])) return NONE;
    return this.borrowAnother(state === 0 ? 0 : FLAG);
  }

  /** Are acquires published? Then `tryBorrow` gives NONE. */
  get isPublished(): boolean {
    return (this.detour & PUBLISHED) !== 0;
  }

  /**
   * Which of the two are published from now on. Without any, neither path asks for it: a hand-out sees `detour`, a return sees `timing`,
   * as ever.
   */
  publish(acquires: boolean, releases: boolean): void {
    this.detour = acquires ? this.detour | PUBLISHED : this.detour & ~PUBLISHED;
    if (releases === this.publishesReleases) return;
    this.publishesReleases = releases;
    this.timing += releases ? 1 : -1;
  }

  /** The first that is idle, from the one that we had last on. */
  private borrowAnother(flag: number): number {
    const slots = this.slots;
    const as = leasedTo(this.me) | flag;
    const extent = slots.extentHint;
    let slot = this.lastSlot;
    for (let left = extent; left > 0; left--) {
      if (slot >= extent) slot = 0;
      const lease = leaseOf(slots.borrow(slot, as));
      if (lease !== 0) {
        // Read behind the compare-exchange: a slot that became idle after the pool was suspended
        // is not borrowed by what was read before that.
        if (isSuspended(this.words[STATE_WORD])) return this.undo(slot, lease);
        this.found(slot);
        if (this.serials[slot] !== 0) this.listener.revoked?.(slot);
        this.begin(slot, lease);
        return slot;
      }
      slot++;
    }
    return NONE;
  }

  /** Borrowed, and not from a word that we left. */
  private found(slot: number): void {
    this.lastSlot = slot;
    this.lastIdle = NO_WORD;
  }

  /** Nothing has been handed out yet: as if it had not been borrowed. */
  private undo(slot: number, lease: number): number {
    this.slots.unborrow(slot);
    if (!this.slots.giveBack(slot, lease, (lease + this.releaseDelta) | 0)) this.giveBackFlagged(slot, lease);
    return NONE;
  }

  /** This thread leaves: its record may soon be another thread's, so nothing may be borrowed under its number any more. */
  detach(): void {
    this.detour |= CLOSED;
  }

  /** A lease of ours begins. What is not due each time is left to `watch`: this is the fast path. */
  private begin(slot: number, lease: number): void {
    const begun = ++this.handOuts;
    this.leases[slot] = lease;
    this.serials[slot] = begun;
    this.floats[this.acquired] = begun;
    if (begun >= this.nextDueAt) this.watch(slot, begun);
  }

  private watch(slot: number, begun: number): void {
    // The last hand-out of a resource: its return has to be seen.
    if (this.block.uses(slot) >= this.maxUses) this.slots.flag(slot);
    if (this.traced) this.block.setBorrowedAt(slot, this.leases[slot], stamp());
    if (this.tagOf !== undefined) this.setTag(slot, this.tag);
    const isSample = begun >= this.nextSampleAt;
    if (isSample) this.nextSampleAt = begun + Math.min(begun, SAMPLE_EVERY);
    if (isSample || begun >= this.nextOwnerCheckAt) {
      if (this.timedAt[slot] === 0) this.timing++;
      this.timedAt[slot] = isSample ? now() : -now();
    }
    this.plan();
  }

  private plan(): void {
    this.nextDueAt = this.watchesAll ? 0 : Math.min(this.nextSampleAt, this.nextOwnerCheckAt);
  }

  // ── giving back

  /** Ends our lease of a slot: it becomes idle, goes to the oldest waiter, or to the owner to be looked at. */
  giveBack(slot: number): void {
    this.endLease(slot);
    const lease = this.leases[slot];
    const idle = (lease + this.releaseDelta) | 0;
    if (!this.slots.giveBack(slot, lease, idle)) return this.giveBackFlagged(slot, lease);
    this.lastSlot = slot;
    this.lastIdle = idle;
  }

  /** Our lease is over for this thread; the owner moves the slot, told by a message. Gives the lease. */
  forget(slot: number): number {
    const lease = this.leases[slot];
    // Before this thread can wait for anything: it does not hold what is on its way back.
    this.block.setLeft(slot, lease);
    this.endLease(slot);
    return lease;
  }

  /** Our lease was taken from us: what is written beside the slot is not ours to change. */
  lose(slot: number): void {
    if (this.tags[slot] !== 0) {
      this.tags[slot] = 0;
      this.timing--;
    }
    this.endLease(slot);
  }

  private endLease(slot: number): void {
    this.serials[slot] = 0;
    this.floats[this.released]++;
    if (this.timing !== 0) this.endTiming(slot);
  }

  private endTiming(slot: number): void {
    this.setTag(slot, 0);
    if (this.publishesReleases) this.listener.released?.(slot);
    const began = this.timedAt[slot];
    if (began === 0) return;
    const time = now();
    if (began > 0) this.block.holdTimes.record(time - began);
    this.timedAt[slot] = 0;
    this.timing--;
    // From one hand-out to the next, as it was on the whole since the last time, or as this hold alone says.
    const round = Math.max(time - Math.abs(began), (time - this.pacedAt) / (this.handOuts - this.pacedBegun));
    this.nextOwnerCheckAt = this.handOuts + (Math.min(LOOK_EVERY / round, SAMPLE_EVERY) | 0 || 1);
    this.pacedBegun = this.handOuts;
    this.pacedAt = time;
    this.plan();
    if (time - this.ownerCheckedAt > LOOK_EVERY) {
      this.ownerCheckedAt = time;
      this.listener.lookUp();
    }
  }

  private giveBackFlagged(slot: number, lease: number): void {
    if (this.matching.mustReturn(slot)) this.returnToOwner(slot, lease);
    else this.passOn(slot, lease);
  }

  /** To the owner, which has to see it first. */
  private returnToOwner(slot: number, lease: number): void {
    const { slots } = this.block;
    if (slots.toReturned(slot, lease)) this.matching.callOwner();
  }

  /** To the next in line. */
  private passOn(slot: number, lease: number): void {
    const { slots } = this.block;
    if (!slots.giveBackFlagged(slot, lease)) return;
    this.match();
    this.matching.callOwnerIfDue(slot);
  }

  /** Has the slot that this thread believes to have been taken from it? Asked where a body ends: a compare-exchange would only fail. */
  isLost(slot: number): boolean {
    return leaseOf(this.slots.load(slot)) !== this.leases[slot];
  }

  // ── waiting

  /** Stands in line: a cell that is WAITING, or NONE when there is no cell. Follow with `match`. */
  join(mark: number): number {
    const cell = this.block.line.claim(this.me);
    if (cell !== NONE) this.block.line.enter(cell, mark, stamp(), this.tag);
    return cell;
  }

  /**
   * Takes what a waiter of ours was given.
   * REASON_DAMAGED: the cell is not ours any more, or says what cannot be. Then there is nothing behind it that this thread may use.
   */
  collect(cell: number): Outcome {
    const { line } = this.block;
    const word = line.load(cell);
    if (cellThread(word) !== this.me) return refused(REASON_DAMAGED);
    switch (cellState(word)) {
      case WAITING:
        return PENDING;
      case GRANTED: {
        const tag = line.tag(cell);
        const lease = this.pickUp(cell, word);
        if (lease === 0) return refused(REASON_DAMAGED);
        const slot = cellSlot(word);
        this.found(slot);
        if (this.serials[slot] !== 0) this.listener.revoked?.(slot);
        this.begin(slot, lease);
        // The tag of the waiter, not of what runs now.
        if (this.tagOf !== undefined) this.setTag(slot, tag);
        return served(slot);
      }
      case FAILED:
        line.free(cell, word);
        return refused(cellReason(word));
      case FREE:
        return refused(REASON_DAMAGED);
      default:
        line.free(cell, word);
        return refused(REASON_DAMAGED);
    }
  }

  /** The slot first, then the cell: in between, the slot says whose it is. Gives the lease, or 0 if the block is damaged. */
  private pickUp(cell: number, granted: number): number {
    const { line, slots } = this.block;
    const slot = cellSlot(granted);
    const lease = slots.has(slot) ? slots.pickUp(slot, this.me) : 0;
    line.free(cell, granted);
    return lease;
  }

  /** Out of the line. False: it was served first, `collect` it. */
  leave(cell: number): boolean {
    if (!this.block.line.leave(cell, this.me)) return false;
    // What it might have got is passed on; and a match has to find out whether the line is empty.
    this.match();
    return true;
  }

  /**
   * Takes a waiter out of the line in any case: if it was granted a slot meanwhile, that is passed on. No borrower has had that slot, so
   * it is not counted as borrowed, and neither beforeRelease nor a strategy hears of a return. Gives the refusal, if it was refused
   * first.
   */
  withdraw(cell: number): Refused | undefined {
    if (this.leave(cell)) return undefined;
    const word = this.block.line.load(cell);
    if (cellThread(word) !== this.me || cellState(word) !== GRANTED) {
      const outcome = this.collect(cell);
      return outcome.kind === 'refused' ? outcome : undefined;
    }
    const lease = this.pickUp(cell, word);
    if (lease === 0) return undefined;
    const slot = cellSlot(word);
    if (this.block.isRetired(slot)) this.returnToOwner(slot, lease);
    else this.passOn(slot, lease);
    return undefined;
  }

  // ── matching

  /** See Matching. It begins its search where this thread has last found something. */
  match(): void {
    this.matching.match(this.lastSlot);
  }

  /** The same, without the call to the owner: true if that is needed. */
  serve(): boolean {
    return this.matching.serve(this.lastSlot);
  }

  /** Has this cell of ours still to be served? */
  isWaiting(cell: number): boolean {
    return cellState(this.block.line.load(cell)) === WAITING;
  }
}
