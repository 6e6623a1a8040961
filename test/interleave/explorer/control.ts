// The explorer's own memory, shared by the threads of one exploration and never seen by the code under test.
// Only the thread whose turn it is reads and writes it, so plain access will do: the hand-over of the turn (turns.ts) orders it.
export const MAX_THREADS = 8;
export const MAX_WAITERS = 64;
export const MAX_SEGMENTS = 16_384;
/** Words for the strategy: its own state, and the stack of a depth-first search. */
const STRATEGY_WORDS = 65_536;
/** A hash set of what has been seen, to count the executions that differ. */
const SEEN_WORDS = 1 << 19;

/** Single words. */
export const C = {
  /** RUNNING, or STOPPED when the exploration is over. */
  phase: 0,
  /** Operations so far in this schedule. */
  step: 1,
  /** Bit masks over the threads. */
  runnable: 2,
  sleeping: 3,
  started: 4,
  unfinished: 5,
  dead: 6,
  /** The thread that is being killed, + 1, and who has to go on afterwards, + 1. */
  victim: 7,
  killer: 8,
  /** Mask of the dead that the repair thread has seen to. */
  repaired: 9,
  /** Waits that end by themselves. */
  timed: 10,
  /** Everyone has to unwind: the schedule has failed, or only daemons are left. */
  abort: 11,
  /** A Failure kind, or 0. */
  failure: 12,
  failedThread: 13,
  /** Operations in a row by the same thread. */
  row: 14,
  segments: 15,
  /** Serial number of the last waiter. */
  waiters: 16,
  /** A hash over all operations of this schedule with their results. */
  hash: 17,
  /** State of the replaced Math.random. */
  random: 18,
  /** Numbers the lines of the trace. */
  records: 19,
  /** Over the whole exploration. */
  schedules: 20,
  distinct: 21,
  longest: 22,
  /** Set by the main thread: stop after this schedule. */
  halt: 23,
  complete: 24,
} as const;

/** Doubles, for the virtual clock and sums. */
export const D = { now: 0, steps: 1, deadlines: 2 } as const;

export const RUNNING = 1;
export const STOPPED = 2;

export const failures = ['', 'deadlock', 'livelock', 'error', 'invariant', 'diverged'] as const;
export type FailureKind = 'deadlock' | 'livelock' | 'error' | 'invariant' | 'diverged';

export interface Control {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  /** One futex word per thread, each on lines of its own. */
  readonly turns: Int32Array;
  /** Waiter table: WAITER_WORDS each. */
  readonly waiters: Int32Array;
  /** The schedule so far: pairs of (choice, operations). */
  readonly segments: Int32Array;
  readonly strategy: Int32Array;
  readonly seen: Int32Array;
}

export const TURN_STRIDE = 64;
export const WAITER_WORDS = 5;

const ints = (length: number) => new Int32Array(new SharedArrayBuffer(length * 4));

export function createControl(): Control {
  return {
    words: ints(64),
    doubles: new Float64Array(new SharedArrayBuffer((D.deadlines + MAX_WAITERS) * 8)),
    turns: ints(MAX_THREADS * TURN_STRIDE),
    waiters: ints(MAX_WAITERS * WAITER_WORDS),
    segments: ints(MAX_SEGMENTS * 2),
    strategy: ints(STRATEGY_WORDS),
    seen: ints(SEEN_WORDS),
  };
}

/** Counts `hash` as seen; true the first time. Full: everything else counts as seen. */
export function firstSeen(seen: Int32Array, hash: number): boolean {
  const key = hash || 1;
  for (let i = 0; i < 64; i++) {
    const at = (Math.imul(key, 0x9e3779b1) + i) & (seen.length - 1);
    if (seen[at] === key) return false;
    if (seen[at] === 0) {
      seen[at] = key;
      return true;
    }
  }
  return false;
}
