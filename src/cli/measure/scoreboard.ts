/**
 * What the threads of one setting share, with every contestant: the starting gun, tickets, which thread is in which slot, and what each
 * thread has done. The scoreboard watches every contestant from outside and in the same way; no contestant uses it to lend.
 *
 *   words   READY | PHASE | ASKED | SERVED | JUMPED | CLASHES | a word for each slot      each on a line of its own
 *   then    for each thread   done, overtaken, worst, started | longest (a float) | histogram of waits
 */
import { BUCKETS, bucketOf } from './histogram.ts';

/** In 32-bit words. Words of different writers stand 128 bytes apart. */
export const PAD = 32;

const READY = 0;
const PHASE = PAD;
const ASKED = 2 * PAD;
const SERVED = 3 * PAD;
const JUMPED = 4 * PAD;
const CLASHES = 5 * PAD;
const SLOTS = 6 * PAD;

/** Words of a thread's record. `longest` is a float of two words. */
const DONE = 0;
const OVERTAKEN = 1;
const WORST = 2;
const STARTED = 3;
const LONGEST = 4;
const WAITS = PAD;
const RECORD = WAITS + Math.ceil(BUCKETS / PAD) * PAD;

/** Before this nothing is recorded: threads wake one after the other, and the first would have everything to itself. */
const GO = 1;
const STOP = 2;

/** What a thread's `Scoreboard` is made from. */
export interface ScoreboardHandle {
  readonly buffer: SharedArrayBuffer;
  readonly slots: number;
  readonly threads: number;
}

/** What the scoreboard says when all threads have stopped. */
export interface Entries {
  /** Operations of each thread. */
  readonly done: readonly number[];
  /** How many operations were overtaken by later ones, and by how many at most. */
  readonly overtaken: number;
  readonly worst: number;
  /** How often a slot was entered while another thread was in it. */
  readonly clashes: number;
  /** How many waits fell into each bucket, and the longest wait in milliseconds. */
  readonly waits: Float64Array;
  readonly longest: number;
}

export function createScoreboard(slots: number, threads: number): ScoreboardHandle {
  const words = SLOTS + slots * PAD + threads * RECORD;
  return { buffer: new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT), slots, threads };
}

export class Scoreboard {
  readonly handle: ScoreboardHandle;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #slots: number;
  readonly #records: number;

  constructor(handle: ScoreboardHandle) {
    this.handle = handle;
    this.#words = new Int32Array(handle.buffer);
    this.#floats = new Float64Array(handle.buffer);
    this.#slots = handle.slots;
    this.#records = SLOTS + handle.slots * PAD;
  }

  // ── the slice: main thread

  /** May be called only while no thread works. */
  reset(): void {
    this.#words.fill(0);
  }

  /** How many threads have done their first operation. */
  ready(): number {
    return Atomics.load(this.#words, READY);
  }

  go(): void {
    Atomics.store(this.#words, PHASE, GO);
  }

  stop(): void {
    Atomics.store(this.#words, PHASE, STOP);
  }

  /** May be called only when no thread works any more. */
  read(): Entries {
    const done: number[] = [];
    const waits = new Float64Array(BUCKETS);
    let overtaken = 0;
    let worst = 0;
    let longest = 0;
    for (let thread = 0; thread < this.handle.threads; thread++) {
      const record = this.#records + thread * RECORD;
      done.push(this.#words[record + DONE]);
      overtaken += this.#words[record + OVERTAKEN];
      worst = Math.max(worst, this.#words[record + WORST]);
      longest = Math.max(longest, this.#floats[(record + LONGEST) / 2]);
      for (let bucket = 0; bucket < BUCKETS; bucket++) waits[bucket] += this.#words[record + WAITS + bucket];
    }
    return { done, overtaken, worst, clashes: this.#words[CLASHES], waits, longest };
  }

  // ── the slice: every thread

  stopped(): boolean {
    return Atomics.load(this.#words, PHASE) === STOP;
  }

  // ── one operation

  /** Draws the ticket. A thread does so right before it asks. */
  ask(): number {
    return Atomics.add(this.#words, ASKED, 1);
  }

  /** Read together with the ticket, and given to `served`. */
  lastJump(): number {
    return Atomics.load(this.#words, JUMPED);
  }

  /**
   * Called right after a thread was served. Gives by how many later ones this ticket was overtaken; 0 unless that is certain.
   *
   * In a strict order, as many threads were served before this one as had asked before it. If they are fewer, this thread has jumped ahead
   * of another; if they are more, another has jumped ahead of this one. But a thread that got its slot in time may be slow to wake, and
   * then looks overtaken. That explains one for each of the other slots. So this thread has certainly jumped the line only if at least as
   * many older ones as there are slots are still without one. It was certainly overtaken only if another thread has done that while it
   * waited.
   */
  served(ticket: number, lastJump: number): number {
    const late = (Atomics.add(this.#words, SERVED, 1) - ticket) | 0;
    if (late <= -this.#slots) Atomics.store(this.#words, JUMPED, ticket + 1);
    return late > 0 && Atomics.load(this.#words, JUMPED) !== lastJump ? late : 0;
  }

  /** The witness: notes a clash unless this thread is alone in the slot. */
  enter(slot: number, thread: number): void {
    if (!(slot >= 0 && slot < this.#slots)) throw new Error(`there is no slot ${slot}`);
    if (Atomics.compareExchange(this.#words, SLOTS + slot * PAD, 0, thread + 1) !== 0) Atomics.add(this.#words, CLASHES, 1);
  }

  leave(slot: number, thread: number): void {
    if (Atomics.compareExchange(this.#words, SLOTS + slot * PAD, thread + 1, 0) !== thread + 1) Atomics.add(this.#words, CLASHES, 1);
  }

  /** A thread's record has one writer at a time. An operation that ended after the stop counts as a wait, but not as done. */
  record(thread: number, wait: number, overtakenBy: number): void {
    const record = this.#records + thread * RECORD;
    const phase = Atomics.load(this.#words, PHASE);
    if (phase === GO) this.#words[record + DONE]++;
    else if (phase !== STOP) {
      if (this.#words[record + STARTED] === 0) Atomics.add(this.#words, READY, 1);
      this.#words[record + STARTED] = 1;
      return;
    }
    this.#words[record + WAITS + bucketOf(wait)]++;
    if (wait > this.#floats[(record + LONGEST) / 2]) this.#floats[(record + LONGEST) / 2] = wait;
    if (overtakenBy === 0) return;
    this.#words[record + OVERTAKEN]++;
    if (overtakenBy > this.#words[record + WORST]) this.#words[record + WORST] = overtakenBy;
  }
}
