/**
 * Whose the socket of a connection is: one word of shared memory for each connection, as two threads have a descriptor of it and only one
 * may read. It is drawn in docs/pg-states.md, which a test holds to this.
 *
 * OWNERS: the owner reads. PARKED: neither does; the connection is clean, the word says which profile is in force there, and its lease may
 * lie with any thread, or with none. OFFERED: the owner has stopped reading for a borrower that has not taken it up. BORROWERS: that
 * borrower reads and writes. HANDED: the borrower has stopped, and the word says how it has left the session.
 *
 * Beside the word stands when the connection was parked last, and whose a descriptor is that is on its way to a thread: see `pass`.
 */
import { ticks } from './clock.ts';
import type { TransactionStatus } from './protocol.ts';

export const CUSTODY = ['OWNERS', 'PARKED', 'OFFERED', 'BORROWERS', 'HANDED'] as const;
export type CustodyName = (typeof CUSTODY)[number];

export const CUSTODY_TRANSITIONS: Readonly<Record<CustodyName, readonly CustodyName[]>> = {
  OWNERS: ['OWNERS', 'OFFERED'],
  PARKED: ['OWNERS', 'BORROWERS'],
  OFFERED: ['OWNERS', 'BORROWERS'],
  BORROWERS: ['OWNERS', 'PARKED', 'HANDED'],
  HANDED: ['OWNERS'],
};

const OWNERS = 0;
const PARKED = 1;
const OFFERED = 2;
const BORROWERS = 3;
const HANDED = 4;
/**
 * Three bits for the state, two for the transaction, two for the dirt, one each for two facts, and the rest for the attachment; of what is
 * PARKED, for the number of its profile.
 */
const STATE = 7;
const STATUS = 8;
const DIRT = 32;
const UNDONE = 128;
const READ_ONLY = 256;
const ATTACHMENT = 512;
const PROFILE = ATTACHMENT;

/** No descriptor is on its way. */
const NONE = 0;

/** There is room for no higher number of a profile. */
export const LAST_PROFILE = 0x7fffffff >>> 9;

const STATUSES: readonly TransactionStatus[] = ['I', 'T', 'E'];

/** How a borrower has left the session. */
export interface Left {
  readonly status: TransactionStatus;
  /** See dirt.ts. */
  readonly dirt: number;
  /** What was open has ended, by no statement of the borrower. */
  readonly isUndone: boolean;
  /** A statement of the transaction that goes on has asked for READ ONLY. */
  readonly asksReadOnly: boolean;
}

/** Where the word stands, where the time, and where the number of the descriptor that is on its way; and how many bytes they have. */
const WORD = 0;
const PARKED_AT = 1;
const PASSED = 2;
const BYTES = 12;

export class Custody {
  readonly #words: Int32Array;
  /** How many descriptors the owner has passed on. */
  #passes = 0;

  /** Without a buffer the word is new, and the owner's. */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(BYTES)) {
    this.#words = new Int32Array(buffer);
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer as SharedArrayBuffer;
  }

  get state(): CustodyName {
    return CUSTODY[this.#load() & STATE];
  }

  /** The attachment that it is offered to, or that has it or has handed it over. Of no use for what is PARKED. */
  get attachment(): number {
    return Math.floor(this.#load() / ATTACHMENT);
  }

  /** Whole ms since it was PARKED last. For the borrower that has just taken it: this pairs with `park`. */
  get parkedFor(): number {
    return (ticks() - this.#words[PARKED_AT]) | 0;
  }

  // ── the owner

  /** The owner has stopped reading. OWNERS to OFFERED. Pairs with `accept`. False: it is not the owner's. */
  offer(attachment: number): boolean {
    return this.#swap(OWNERS, OFFERED | (attachment * ATTACHMENT));
  }

  /** The owner is about to read again. PARKED, or OFFERED and not accepted, to OWNERS. False: a borrower was faster, or has had it. */
  recall(): boolean {
    const word = this.#load();
    const state = word & STATE;
    return (state === PARKED || state === OFFERED) && this.#swap(word, OWNERS);
  }

  /** The owner is about to read again. HANDED to OWNERS, with how the borrower has left the session; undefined if it is not HANDED. */
  receive(): Left | undefined {
    const word = this.#load();
    if ((word & STATE) !== HANDED || !this.#swap(word, OWNERS)) return undefined;
    return {
      status: STATUSES[(word / STATUS) & 3],
      dirt: (word / DIRT) & 3,
      isUndone: (word & UNDONE) !== 0,
      asksReadOnly: (word & READ_ONLY) !== 0,
    };
  }

  /**
   * The owner ends the connection, whatever its borrower is at. Any state to OWNERS. True if the borrower was at it: then the session is in
   * an unknown state.
   */
  seize(): boolean {
    return (Atomics.exchange(this.#words, WORD, OWNERS) & STATE) === BORROWERS;
  }

  /**
   * A descriptor goes to a thread by message, and the thread may die before it has it: then no thread closes it. So each is
   * claimed before it is used or closed, by the number that this gives. The owner alone calls it, when it has claimed the one before.
   */
  pass(): number {
    this.#passes++;
    Atomics.store(this.#words, PASSED, this.#passes);
    return this.#passes;
  }

  /**
   * True once for each number that `pass` has given: the descriptor is the caller's. The thread that it went to claims it when it has it,
   * and the owner before it passes on another one, and when it has seized the connection.
   */
  claim(pass: number): boolean {
    return Atomics.compareExchange(this.#words, PASSED, pass, NONE) === pass;
  }

  // ── a borrower, while the connection is lent to it

  /** PARKED to BORROWERS. False: the owner has it, or another profile is in force there. */
  take(attachment: number, profile: number): boolean {
    return this.#swap(PARKED | (profile * PROFILE), BORROWERS | (attachment * ATTACHMENT));
  }

  /** OFFERED to BORROWERS. False: the owner has recalled it. */
  accept(attachment: number): boolean {
    return this.#swap(OFFERED | (attachment * ATTACHMENT), BORROWERS | (attachment * ATTACHMENT));
  }

  /**
   * The session is clean but for its profile, which is the borrower's, and the borrower has stopped reading. BORROWERS to PARKED.
   * False: the owner has seized it.
   */
  park(attachment: number, profile: number): boolean {
    // It needs no atomic write: only the one that takes the socket after this reads it.
    this.#words[PARKED_AT] = ticks();
    return this.#swap(BORROWERS | (attachment * ATTACHMENT), PARKED | (profile * PROFILE));
  }

  /** The borrower has stopped reading. BORROWERS to HANDED. False: the owner has seized it. */
  hand(attachment: number, { status, dirt, isUndone, asksReadOnly }: Left): boolean {
    const left = STATUSES.indexOf(status) * STATUS + dirt * DIRT + (isUndone ? UNDONE : 0) + (asksReadOnly ? READ_ONLY : 0);
    return this.#swap(BORROWERS | (attachment * ATTACHMENT), HANDED | left | (attachment * ATTACHMENT));
  }

  #load(): number {
    return Atomics.load(this.#words, WORD);
  }

  #swap(from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, WORD, from, to) === from;
  }
}
