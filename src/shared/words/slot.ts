/**
 * The slot word: the one truth about one resource.
 *
 *     31           14 13         4  3   2     0
 *     +--------------+------------+---+-------+
 *     |   version    |   thread   | F | state |
 *     +--------------+------------+---+-------+
 *
 *     uncontended        IDLE --borrow--> LEASED --giveBack--> IDLE
 *     through the line   IDLE --take--> TAKEN --pickUp--> LEASED --giveBackFlagged--> IDLE, or TAKEN --putBack--> IDLE
 *     by the owner       LEASED --toReturned--> RETURNED --acceptReturn--> CHECKING, or LEASED --seize, revoke--> CHECKING
 *     checks, and ends   IDLE --check--> CHECKING --toIdle--> IDLE, or --toTakenByOwner--> TAKEN, or --toEmpty--> EMPTY
 *     begins             EMPTY --reserve--> CREATING --toIdle--> IDLE, or --toTakenByOwner--> TAKEN, or --toEmpty--> EMPTY
 *     repairs            TAKEN --untake--> IDLE
 *
 * Rules
 *  1. EMPTY, CREATING, RETURNED and CHECKING are left by the owner only.
 *  2. LEASED(t) is left by t only. The owner may leave it for t when t is dead, or has asked it to by message; or it takes it from t
 *     (`revoke`), and then all that t does with that lease fails.
 *  3. TAKEN(t) is left by the waiter it was granted to (`pickUp`), by t (`putBack`), or by the owner when t is dead.
 *  4. IDLE belongs to the thread whose compare-exchange comes first.
 *  5. F means "look at the line and the state when you give this back". Any thread may set it on LEASED and TAKEN; none clears it there.
 *     So a release without F needs no look at all: one compare-exchange.
 *  6. The version goes up whenever a word becomes IDLE or EMPTY: a lease is (slot, version), and a late compare-exchange
 *     from an earlier round fails. 18 bits: it would have to sleep for exactly a multiple of 262,144 rounds, and even then
 *     would find a word that really is in the state it expects.
 */
import { EXTENT_WORD, SLOT_BEHALF, SLOT_STATE, SLOT_STRIDE, SLOT_TAG, SLOT_USES } from '../layout.ts';

export const EMPTY = 0;
export const CREATING = 1;
export const IDLE = 2;
export const TAKEN = 3;
export const LEASED = 4;
export const RETURNED = 5;
export const CHECKING = 6;

export const SLOT_STATES = ['EMPTY', 'CREATING', 'IDLE', 'TAKEN', 'LEASED', 'RETURNED', 'CHECKING'] as const;

/** Legal transitions: state -> the states it leaves to. A test holds this, the code and docs/state-machines.md together. */
export const SLOT_TRANSITIONS: Readonly<Record<(typeof SLOT_STATES)[number], readonly (typeof SLOT_STATES)[number][]>> = {
  EMPTY: ['CREATING'],
  CREATING: ['IDLE', 'TAKEN', 'EMPTY'],
  IDLE: ['LEASED', 'TAKEN', 'CHECKING'],
  TAKEN: ['LEASED', 'IDLE'],
  LEASED: ['IDLE', 'RETURNED', 'CHECKING'],
  RETURNED: ['CHECKING'],
  CHECKING: ['IDLE', 'TAKEN', 'EMPTY'],
};

const STATE_MASK = 0b111;
/** No word ever has it, unless something else has written into the block. */
const NO_STATE = 7;
export const FLAG = 0b1000;
const THREAD_SHIFT = 4;
const THREAD_MASK = 0x3ff << THREAD_SHIFT;
const VERSION_SHIFT = 14;
const VERSION_MASK = -1 << VERSION_SHIFT;
const VERSION_ONE = 1 << VERSION_SHIFT;

export const slotState = (word: number): number => word & STATE_MASK;
export const slotThread = (word: number): number => (word & THREAD_MASK) >>> THREAD_SHIFT;
export const slotVersion = (word: number): number => word >>> VERSION_SHIFT;
export const isFlagged = (word: number): boolean => (word & FLAG) !== 0;
/** The word without its flag: what a borrower remembers of its lease. */
export const leaseOf = (word: number): number => word & ~FLAG;

/** What a lease's word has besides its version. */
export const leasedTo = (thread: number): number => (thread << THREAD_SHIFT) | LEASED;
/**
 * What to add to the word of an idle slot to lend it to this thread; and to the word of such a lease, for the slot that is idle after it.
 */
export const leaseDelta = (thread: number): number => leasedTo(thread) - IDLE;
export const releaseDelta = (thread: number): number => VERSION_ONE - leaseDelta(thread);
const inState = (word: number, state: number, thread: number): number => (word & VERSION_MASK) | (thread << THREAD_SHIFT) | state;
const nextRound = (word: number, state: number): number => ((word & VERSION_MASK) + VERSION_ONE) | 0 | state;

/** What `flag` found. */
export const FLAGGED = 0;
export const FOUND_IDLE = 1;
/** EMPTY, CREATING, RETURNED or CHECKING: only the owner makes such a slot IDLE, and the owner always looks at the line. */
export const OWNERS = 2;

export class Slots {
  /** How many are laid out. Those that anything may be in are fewer: see `extent`. */
  readonly count: number;
  private readonly words: Int32Array;
  private readonly base: number;
  /** The owner's own list of the slots that it has in hand. No other thread can write there. */
  private readonly ownerHolds: Uint8Array;

  constructor(words: Int32Array, base: number, count: number) {
    this.words = words;
    this.base = base;
    this.ownerHolds = new Uint8Array(count);
    this.count = count;
  }

  /** Slots from this one on are EMPTY: a search ends here. What a damaged word says is not believed. */
  get extent(): number {
    const extent = Atomics.load(this.words, EXTENT_WORD);
    return extent > 0 && extent < this.count ? extent : this.count;
  }

  /** The same by a plain read, for a search in which nothing found means nothing. */
  get extentHint(): number {
    const extent = this.words[EXTENT_WORD];
    return extent > 0 && extent < this.count ? extent : this.count;
  }

  /** Is there such a slot? A number out of a cell may be a damaged one. */
  has(slot: number): boolean {
    return slot < this.count;
  }

  at(slot: number): number {
    return this.base + slot * SLOT_STRIDE + SLOT_STATE;
  }

  load(slot: number): number {
    return Atomics.load(this.words, this.at(slot));
  }

  private swap(slot: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.words, this.at(slot), from, to) === from;
  }

  /** Into the owner's hands. */
  private ownerClaim(slot: number, from: number, to: number): boolean {
    if (!this.swap(slot, from, to)) return false;
    this.ownerHolds[slot] = 1;
    return true;
  }

  /** Out of them, whatever the word says by now. */
  private ownerRelease(slot: number, from: number, to: number): boolean {
    this.ownerHolds[slot] = 0;
    return isOwnerHeld(from) && this.swap(slot, from, to);
  }

  // ── by any thread

  /**
   * IDLE -> LEASED(me). `as` is `leasedTo(me)`, with FLAG where returns are guarded.
   * Gives the word as it is now, or 0: it was not idle, or another thread was first.
   */
  borrow(slot: number, as: number): number {
    const idle = this.words[this.at(slot)];
    const leased = (idle & VERSION_MASK) | as;
    return slotState(idle) === IDLE && this.borrowAgain(slot, idle, leased) ? leased : 0;
  }

  /**
   * The same from exactly `idle`, the word of an idle slot, whichever thread left it; `leased` is what `leasing` makes of it. The fast
   * path: a thread that knows what it left in a slot need not read it first. The borrower counts the use; a thread that dies before it does
   * has hardly used it.
   */
  borrowAgain(slot: number, idle: number, leased: number): boolean {
    const at = this.base + slot * SLOT_STRIDE;
    if (Atomics.compareExchange(this.words, at, idle, leased) !== idle) return false;
    ++this.words[at + SLOT_USES];
    return true;
  }

  /** What was borrowed has not been used after all. By its borrower. */
  unborrow(slot: number): void {
    const at = this.base + slot * SLOT_STRIDE + SLOT_USES;
    const uses = this.words[at];
    this.words[at] = uses - 1;
  }

  /** IDLE -> TAKEN(me): mine to grant. Flagged from the start, as there is a line. */
  take(slot: number, idle: number, me: number): boolean {
    return this.swap(slot, idle, inState(idle, TAKEN, me) | FLAG);
  }

  /**
   * TAKEN(me) -> IDLE: there is no waiter to grant it to. The matcher must look at the line again: a joiner may have relied on the flag.
   */
  putBack(slot: number, me: number): boolean {
    const word = this.load(slot);
    return slotState(word) === TAKEN && slotThread(word) === me && this.swap(slot, word, nextRound(word, IDLE));
  }

  /**
   * TAKEN(its matcher) -> LEASED(me), by the waiter it was granted to, before that frees its cell.
   * Keeps the flag, counts the use. Gives the lease, or 0 if the block is damaged.
   */
  pickUp(slot: number, me: number): number {
    const word = this.load(slot);
    const lease = inState(word, LEASED, me);
    if (slotState(word) !== TAKEN || !this.swap(slot, word, lease | FLAG)) return 0;
    ++this.words[this.at(slot) + SLOT_USES];
    return lease;
  }

  /**
   * LEASED(me) -> IDLE, the fast path; `idle` is what `releaseDelta` makes of the lease.
   * Fails if the flag is set, or if the lease is not ours (any more).
   */
  giveBack(slot: number, lease: number, idle: number): boolean {
    return Atomics.compareExchange(this.words, this.base + slot * SLOT_STRIDE, lease, idle) === lease;
  }

  /** LEASED(me)|F -> IDLE. The borrower must match afterwards. */
  giveBackFlagged(slot: number, lease: number): boolean {
    return this.swap(slot, lease | FLAG, nextRound(lease, IDLE));
  }

  /** LEASED(me)|F -> RETURNED: the owner has to see it first. The borrower must ring the owner. */
  toReturned(slot: number, lease: number): boolean {
    return this.swap(slot, lease | FLAG, inState(lease, RETURNED, slotThread(lease)));
  }

  /** Sets F on a slot that is out, so that its return is seen. Pairs with the compare-exchange in `giveBack`, which then fails. */
  flag(slot: number): typeof FLAGGED | typeof FOUND_IDLE | typeof OWNERS {
    for (;;) {
      const word = this.load(slot);
      switch (slotState(word)) {
        case IDLE:
          return FOUND_IDLE;
        case LEASED:
        case TAKEN:
          if (isFlagged(word) || this.swap(slot, word, word | FLAG)) return FLAGGED;
          break;
        default:
          return OWNERS;
      }
    }
  }

  /** The thread that the owner has it LEASED for: see SLOT_BEHALF. If it is not 0, it is so at this instant. */
  behalf(slot: number): number {
    return Atomics.load(this.words, this.base + slot * SLOT_STRIDE + SLOT_BEHALF);
  }

  /** What its borrower has it for: see SLOT_TAG. Holds for the word that is there before and after. */
  tag(slot: number): number {
    return Atomics.load(this.words, this.base + slot * SLOT_STRIDE + SLOT_TAG);
  }

  /** By the borrower, while it has the slot; by the owner for one that is gone. 0: for nothing in particular. */
  setTag(slot: number, tag: number): void {
    Atomics.store(this.words, this.base + slot * SLOT_STRIDE + SLOT_TAG, tag);
  }

  // ── the owner only

  /** The owner has this slot LEASED for a one-shot call of that thread. 0: no more; to be said before that lease ends. */
  actFor(slot: number, thread: number): void {
    Atomics.store(this.words, this.base + slot * SLOT_STRIDE + SLOT_BEHALF, thread);
  }

  /**
   * -> CHECKING from a word that is damaged: the state that does not exist, or one in which the owner has
   * it in hand, and it has not. The owner takes what it stands for.
   */
  reclaimDamaged(slot: number): boolean {
    const word = this.load(slot);
    const isDamaged = slotState(word) === NO_STATE || (isOwnerHeld(word) && this.ownerHolds[slot] === 0);
    return isDamaged && this.ownerClaim(slot, word, inState(word, CHECKING, 0));
  }

  /** EMPTY -> CREATING. */
  reserve(slot: number): boolean {
    const word = this.load(slot);
    return slotState(word) === EMPTY && this.ownerClaim(slot, word, inState(word, CREATING, 0));
  }

  /** CREATING or CHECKING -> IDLE. The owner matches afterwards. */
  toIdle(slot: number): boolean {
    const word = this.load(slot);
    return this.ownerRelease(slot, word, nextRound(word, IDLE));
  }

  /** CREATING or CHECKING -> TAKEN(owner), to grant it. Flagged like `take`. */
  toTakenByOwner(slot: number): boolean {
    const word = this.load(slot);
    return this.ownerRelease(slot, word, inState(word, TAKEN, 0) | FLAG);
  }

  /** CREATING or CHECKING -> EMPTY: the factory failed, or the destructor is through. */
  toEmpty(slot: number): boolean {
    const word = this.load(slot);
    return this.ownerRelease(slot, word, nextRound(word, EMPTY));
  }

  /** IDLE -> CHECKING: a health check, a hook, or the end. */
  check(slot: number): boolean {
    const word = this.load(slot);
    return slotState(word) === IDLE && this.ownerClaim(slot, word, inState(word, CHECKING, 0));
  }

  /** RETURNED -> CHECKING. */
  acceptReturn(slot: number): boolean {
    const word = this.load(slot);
    return slotState(word) === RETURNED && this.ownerClaim(slot, word, inState(word, CHECKING, 0));
  }

  /** LEASED(t) -> CHECKING for a thread that is dead, or that asked for it: exactly this lease, flagged or not. */
  seize(slot: number, lease: number): boolean {
    return this.ownerClaim(slot, lease, inState(lease, CHECKING, 0)) || this.ownerClaim(slot, lease | FLAG, inState(lease, CHECKING, 0));
  }

  /**
   * LEASED(t) -> CHECKING from a thread that lives and has not asked for it: exactly this lease, flagged or not. A return, or a death, that
   * came first makes it fail. What the lease was for is said no more: t may not hear of this for a while, and must not write there then.
   */
  revoke(slot: number, lease: number): boolean {
    if (!this.seize(slot, lease)) return false;
    this.setTag(slot, 0);
    return true;
  }

  /** TAKEN(t) -> IDLE, exactly from the word that was seen: t is dead and granted it to no waiter. The owner matches afterwards. */
  untake(slot: number, taken: number): boolean {
    return this.swap(slot, taken, nextRound(taken, IDLE));
  }
}

/** CREATING or CHECKING: the owner has it in hand. */
function isOwnerHeld(word: number): boolean {
  const state = slotState(word);
  return state === CREATING || state === CHECKING;
}
