/**
 * The state word of the pool: everything that is true of all slots at once. Zero means open, ACTIVE, no hooks:
 * the fast path asks nothing else.
 *
 *     31        8   7   6   5   4   3 2   1   0
 *     +----------+---+---+---+---+-----+---+---+
 *     |    0     | X | S | R | H |  B  | D | C |
 *     +----------+---+---+---+---+-----+---+---+
 *
 *  C closed    D draining    B breaker: 0 ACTIVE, 1 INACTIVE, 2 RECOVERING
 *  H every hand-out passes the owner (beforeAcquire)    R every return does (beforeRelease, a strategy)
 *  S suspended: nothing is handed out    X and a new acquire is refused instead of waiting (never without S)
 *
 * Any thread may move the breaker. C and D are set by the owner, C also by a thread that finds the owner dead; neither is ever cleared.
 * H is set before any thread attaches; R, S and X are the owner's. A thread that sets a bit must afterwards flag every slot that is out
 * (or the return would not look).
 */
import { STATE_WORD } from '../layout.ts';

export const CLOSED = 1;
export const DRAINING = 2;
const BREAKER_MASK = 0b1100;
export const ACTIVE = 0;
export const INACTIVE = 0b0100;
export const RECOVERING = 0b1000;
export const HAND_OUTS_GUARDED = 16;
export const RETURNS_GUARDED = 32;
export const SUSPENDED = 64;
export const SUSPENDED_REFUSING = 128;

export type Breaker = typeof ACTIVE | typeof INACTIVE | typeof RECOVERING;

export const breakerOf = (state: number): Breaker => (state & BREAKER_MASK) as Breaker;
export const isClosed = (state: number): boolean => (state & CLOSED) !== 0;
export const isDraining = (state: number): boolean => (state & DRAINING) !== 0;
/** Is nothing handed out for now? Waiters stay in line. */
export const isSuspended = (state: number): boolean => (state & SUSPENDED) !== 0;
/** May a new borrower come in? */
export const isRefusing = (state: number): boolean =>
  (state & (CLOSED | DRAINING | SUSPENDED_REFUSING)) !== 0 || breakerOf(state) === INACTIVE;
/** Are all waiters to be sent away? */
export const isEvicting = (state: number): boolean => isClosed(state) || breakerOf(state) === INACTIVE;
/** Does each hand-out pass the owner? */
export const guardsHandOuts = (state: number): boolean => (state & HAND_OUTS_GUARDED) !== 0 || breakerOf(state) === RECOVERING;
/** Does each return? */
export const guardsReturns = (state: number): boolean => (state & RETURNS_GUARDED) !== 0 || breakerOf(state) === RECOVERING;

export class PoolState {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  load(): number {
    return Atomics.load(this.#words, STATE_WORD);
  }

  /** Sets bits; gives the word before. */
  set(bits: number): number {
    return Atomics.or(this.#words, STATE_WORD, bits);
  }

  clear(bits: number): number {
    return Atomics.and(this.#words, STATE_WORD, ~bits);
  }

  /** Gives the breaker state before. */
  moveBreaker(to: Breaker): Breaker {
    for (;;) {
      const word = this.load();
      const next = (word & ~BREAKER_MASK) | to;
      if (next === word || Atomics.compareExchange(this.#words, STATE_WORD, word, next) === word) return breakerOf(word);
    }
  }
}
