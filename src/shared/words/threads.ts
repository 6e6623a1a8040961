/**
 * The attached threads. Records are given out and taken back by the owner alone; every thread may read them.
 * Record 0 is the owner's. A record is free again only when everything its thread left behind has been repaired.
 */
import { THREAD_BEHIND, THREAD_ID, THREAD_STATUS, THREAD_STRIDE } from '../layout.ts';
import { NONE } from './line.ts';

const FREE = 0;
const ATTACHED = 1;

export const OWNER = 0;

export class Threads {
  readonly count: number;
  readonly #words: Int32Array;
  readonly #base: number;

  constructor(words: Int32Array, base: number, count: number) {
    this.#words = words;
    this.#base = base;
    this.count = count;
  }

  #at(thread: number): number {
    return this.#base + thread * THREAD_STRIDE;
  }

  isAttached(thread: number): boolean {
    return Atomics.load(this.#words, this.#at(thread) + THREAD_STATUS) === ATTACHED;
  }

  /** Node's number for the thread. */
  threadId(thread: number): number {
    return this.#words[this.#at(thread) + THREAD_ID];
  }

  /** Threads attached, the owner not counted. */
  attached(): number {
    let attached = 0;
    for (let thread = 1; thread < this.count; thread++) if (this.isAttached(thread)) attached++;
    return attached;
  }

  /** The thread itself: so many of its waiters stand behind one that has a place in the line. */
  setBehind(thread: number, waiters: number): void {
    Atomics.store(this.#words, this.#at(thread) + THREAD_BEHIND, waiters);
  }

  /** So many of that thread's. A plain read, as every borrower that has to wait asks for those of all. */
  behindOf(thread: number): number {
    return this.#words[this.#at(thread) + THREAD_BEHIND];
  }

  /** The same of all threads. */
  behind(): number {
    let behind = 0;
    for (let thread = 0; thread < this.count; thread++) behind += this.behindOf(thread);
    return behind;
  }

  // ── the owner only

  /**
   * A free record for the thread, or NONE. The owner looks in its own list, as a status may be
   * damaged, and two threads with one number would be one.
   */
  attach(threadId: number, isTaken = (thread: number): boolean => this.isAttached(thread)): number {
    for (let thread = 1; thread < this.count; thread++) {
      if (isTaken(thread)) continue;
      this.occupy(thread, threadId);
      return thread;
    }
    return NONE;
  }

  occupy(thread: number, threadId: number): void {
    this.#words[this.#at(thread) + THREAD_ID] = threadId;
    Atomics.store(this.#words, this.#at(thread) + THREAD_STATUS, ATTACHED);
  }

  detach(thread: number): void {
    this.setBehind(thread, 0);
    Atomics.store(this.#words, this.#at(thread) + THREAD_STATUS, FREE);
  }
}
