/**
 * Counters. Each thread counts in words of its own, with plain writes (1 ns; an atomic add would cost more than the hand-out it counts);
 * a reader adds them up. 64-bit floats: aligned, so no platform that Node runs on tears them.
 */
import {
  COUNTER_ACQUIRED,
  COUNTER_RELEASED,
  COUNTERS,
  DESTROYED_WORD,
  FOLD_WORD,
  LEFT_COUNTERS,
  THREAD_COUNTERS,
  THREAD_STRIDE,
} from '../layout.ts';

/** Why a resource was destroyed. */
export type DestroyReason =
  | 'closed'
  | 'unhealthy'
  | 'rejected-on-acquire'
  | 'rejected-on-release'
  | 'destroyed'
  | 'idle-timeout'
  | 'max-lifetime'
  | 'max-uses'
  | 'orphaned'
  | 'recycled'
  | 'revoked'
  | 'resized'
  | 'suspended'
  | 'shed'
  | 'lost';

/** In the order of their counters. */
export const DESTROY_REASONS: readonly DestroyReason[] = [
  'closed',
  'unhealthy',
  'rejected-on-acquire',
  'rejected-on-release',
  'destroyed',
  'idle-timeout',
  'max-lifetime',
  'max-uses',
  'orphaned',
  'recycled',
  'revoked',
  'resized',
  'suspended',
  'shed',
  'lost',
];

/** A reader gives up on a consistent sum after so many tries: the owner may have died in the middle of a fold. */
const TRIES = 1000;

export class Counters {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #base: number;
  readonly #threads: number;

  constructor(words: Int32Array, floats: Float64Array, base: number, threads: number) {
    this.#words = words;
    this.#floats = floats;
    this.#base = base;
    this.#threads = threads;
  }

  /** Where a thread's counters begin, in 64-bit floats. */
  of(thread: number): number {
    return (this.#base + thread * THREAD_STRIDE + THREAD_COUNTERS) / 2;
  }

  /** By the thread itself. */
  add(thread: number, counter: number, by = 1): void {
    this.#floats[this.of(thread) + counter] += by;
  }

  /** Owner: a resource is no more. */
  addDestroyed(reason: DestroyReason): void {
    this.#floats[DESTROYED_WORD / 2 + DESTROY_REASONS.indexOf(reason)]++;
  }

  /** How many resources have been destroyed for this reason. */
  destroyedBy(reason: DestroyReason): number {
    return this.#floats[DESTROYED_WORD / 2 + DESTROY_REASONS.indexOf(reason)];
  }

  /**
   * One counter over all threads, those that have left included. What the owner moves over meanwhile must not be counted twice or not at
   * all: FOLD is the same before and after. The second look adds 0. A load would not do where the hardware moves plain loads behind it
   * (ARM): the plain loads above stay before the store that an add is, and the add succeeds only if FOLD has not changed up to that store.
   *
   * Threads go on counting meanwhile. What is counted later is read first: where loads keep their order, no more is released than acquired.
   */
  sums(): Float64Array {
    const sums = new Float64Array(COUNTERS);
    for (let tries = 0; tries < TRIES; tries++) {
      const before = Atomics.load(this.#words, FOLD_WORD);
      if (before & 1 && tries < TRIES - 1) continue;
      for (let counter = COUNTERS - 1; counter >= 0; counter--) {
        let sum = this.#floats[LEFT_COUNTERS / 2 + counter];
        for (let thread = 0; thread < this.#threads; thread++) sum += this.#floats[this.of(thread) + counter];
        sums[counter] = sum;
      }
      if (Atomics.add(this.#words, FOLD_WORD, 0) === before) break;
    }
    return sums;
  }

  /**
   * Owner: a thread is gone and holds nothing any more. Whatever it acquired counts as released, whether it managed to say so or not:
   * it may have died between a hand-out and the line that counts it.
   */
  fold(thread: number): void {
    // Not an add: a word that was damaged into an odd one is put right by the next fold.
    Atomics.or(this.#words, FOLD_WORD, 1);
    // Nothing below is stored before the mark: on ARM a plain store may pass the store half of the instruction
    // above, but not this load, which in turn stays behind that half.
    Atomics.load(this.#words, FOLD_WORD);
    const from = this.of(thread);
    this.#floats[from + COUNTER_RELEASED] = this.#floats[from + COUNTER_ACQUIRED];
    for (let counter = 0; counter < COUNTERS; counter++) {
      this.#floats[LEFT_COUNTERS / 2 + counter] += this.#floats[from + counter];
      this.#floats[from + counter] = 0;
    }
    Atomics.add(this.#words, FOLD_WORD, 1);
  }
}
