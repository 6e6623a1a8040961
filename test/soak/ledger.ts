/**
 * The soak's own shared memory: it knows who has what without asking the pool. Each resource has a word. A borrower swaps itself in after it has acquired and out
 * before it releases; if a swap finds anybody else there, the pool has given one resource to two.
 *
 * A thread that dies leaves its word behind. Whoever gets the resource next may take it over if that thread is known to be doomed; a doomed thread that
 * still runs finds out when it swaps itself out, so nothing is excused too early.
 */
export const MAX_LIVES = 1024;
export const MAX_RESOURCES = 1 << 19;
export const MAX_LANES = 4;

// ── single words
export const STOP = 0;
/** No more faults: what is asked must now be answered. */
export const CALM = 1;
export const OWNER_DOOMED = 2;
export const MADE = 3;
export const UNMADE = 4;
export const RESOURCES = 5;
export const OPERATIONS = 6;
export const HELD = 7;
export const FAULTS = 8;
export const TAKEN_OVER = 9;
export const DETACHED = 10;
export const BREAKER_MOVES = 11;
export const TIMEOUTS = 12;
export const ABORTS = 13;
export const CALLS = 14;
export const HANGING = 15;
export const REVOCATIONS = 16;
const SINGLES = 32;

// ── a life: one run of one thread
export const ALIVE = 1;
/** It has been told to die, or is about to be terminated. */
export const DOOMED = 2;
const LIFE_STATE = 0;
const LIFE_ORDER = 1;
const LIFE_LANES = 2;
const LIFE_STRIDE = LIFE_LANES + MAX_LANES * 2;

const WITNESSES = SINGLES + MAX_LIVES * LIFE_STRIDE;
const WORDS = WITNESSES + MAX_RESOURCES;

/** The destructor has been called: nobody may have it any more. */
const DESTROYED = -1;
/** The same, after it was taken back: its borrower may not know yet. */
export const REVOKED = -2;

const HOLDER_SHIFT = 3;
/** Who has something: a lane of a life. Never 0. */
export const holderOf = (life: number, lane: number): number => ((life + 1) << HOLDER_SHIFT) | lane;
/** The owner itself, for a one-shot call: a lane that no thread has. */
export const oneShotCallOf = (life: number): number => holderOf(life, (1 << HOLDER_SHIFT) - 1);
const lifeOf = (holder: number): number => (holder >> HOLDER_SHIFT) - 1;
const nameOf = (holder: number): string =>
  holder === DESTROYED || holder === REVOKED
    ? 'its destructor'
    : holder === 0
      ? 'nobody'
      : `lane ${holder & ((1 << HOLDER_SHIFT) - 1)} of life ${lifeOf(holder)}`;

export class Violation extends Error {}

export class Ledger {
  readonly words: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(WORDS * 4)) {
    this.words = new Int32Array(buffer);
  }

  get(word: number): number {
    return Atomics.load(this.words, word);
  }

  set(word: number, value = 1): void {
    Atomics.store(this.words, word, value);
  }

  count(word: number): number {
    return Atomics.add(this.words, word, 1) + 1;
  }

  // ── lives

  #life(life: number): number {
    return SINGLES + life * LIFE_STRIDE;
  }

  isDoomed(life: number): boolean {
    return Atomics.load(this.words, this.#life(life) + LIFE_STATE) === DOOMED;
  }

  bear(life: number): void {
    Atomics.store(this.words, this.#life(life) + LIFE_STATE, ALIVE);
  }

  /** Before the thread can be dead. */
  doom(life: number, order: number): void {
    Atomics.store(this.words, this.#life(life) + LIFE_STATE, DOOMED);
    Atomics.store(this.words, this.#life(life) + LIFE_ORDER, order);
  }

  /** How this life has been told to die; 0: it has not. */
  order(life: number): number {
    return Atomics.load(this.words, this.#life(life) + LIFE_ORDER);
  }

  /** Since when a lane has been busy with an operation: how one that never ends is found. */
  begin(life: number, lane: number, operation: number, stamp: number): void {
    const at = this.#life(life) + LIFE_LANES + lane * 2;
    this.words[at + 1] = stamp;
    Atomics.store(this.words, at, operation + 1);
  }

  end(life: number, lane: number): void {
    Atomics.store(this.words, this.#life(life) + LIFE_LANES + lane * 2, 0);
  }

  busy(life: number, lane: number): { operation: number; stamp: number } | undefined {
    const at = this.#life(life) + LIFE_LANES + lane * 2;
    const operation = Atomics.load(this.words, at);
    return operation === 0 ? undefined : { operation: operation - 1, stamp: this.words[at + 1] };
  }

  // ── witnesses

  holder(id: number): number {
    return Atomics.load(this.words, WITNESSES + id);
  }

  describe(id: number): string {
    return nameOf(this.holder(id));
  }

  /** A borrower has just got it. False: it has been taken back already. */
  swapIn(id: number, holder: number): boolean {
    for (;;) {
      const found = Atomics.compareExchange(this.words, WITNESSES + id, 0, holder);
      if (found === 0) return true;
      if (found === REVOKED) return false;
      if (found === DESTROYED || !this.isDoomed(lifeOf(found)))
        throw new Violation(`resource ${id} was given to ${nameOf(holder)}, but ${nameOf(found)} has it`);
      if (Atomics.compareExchange(this.words, WITNESSES + id, found, holder) !== found) continue;
      this.count(TAKEN_OVER);
      return true;
    }
  }

  assertHeld(id: number, holder: number): void {
    const found = this.holder(id);
    if (found !== holder && found !== REVOKED)
      throw new Violation(`resource ${id} is held by ${nameOf(holder)}, but ${nameOf(found)} has it`);
  }

  /** A call of this borrower is under way, whether or not the borrower is still there. */
  assertNobodyElse(id: number, holder: number): void {
    const found = this.holder(id);
    if (found !== 0 && found !== holder && found !== REVOKED)
      throw new Violation(`a call of ${nameOf(holder)} on resource ${id} is under way, while ${nameOf(found)} has it`);
  }

  /** A borrower is about to give it back. */
  swapOut(id: number, holder: number): void {
    const found = Atomics.compareExchange(this.words, WITNESSES + id, holder, 0);
    if (found !== holder && found !== REVOKED)
      throw new Violation(`resource ${id} was still held by ${nameOf(holder)}, but ${nameOf(found)} has it`);
  }

  /** The owner asks a hook about it: nobody may have it. */
  assertFree(id: number, hook: string): void {
    const found = this.holder(id);
    if (found === 0 || (found !== DESTROYED && this.isDoomed(lifeOf(found)))) return;
    throw new Violation(`${hook} of resource ${id}, while ${nameOf(found)} has it`);
  }

  /** The destructor begins. `revoked`: a borrower may well have it still, and hears of it. */
  destroyed(id: number, revoked = false): void {
    const found = Atomics.exchange(this.words, WITNESSES + id, revoked ? REVOKED : DESTROYED);
    if (found === 0 || revoked || (found !== DESTROYED && this.isDoomed(lifeOf(found)))) return;
    throw new Violation(`the destructor was called for resource ${id}, while ${nameOf(found)} has it`);
  }
}
