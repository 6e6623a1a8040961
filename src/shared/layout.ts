/**
 * The byte map of the control block: one SharedArrayBuffer per pool. Nothing here but numbers; docs/memory-layout.md draws it.
 *
 * Offsets are in 32-bit words. Words with different writers stand on lines of their own (128 bytes: two cache lines,
 * because adjacent-line prefetch drags the neighbour along). Cells are dense instead: a match scans all of them,
 * and one scan of packed words is cheaper than a thousand cache misses.
 */

/** Stored last by the creator and checked first by a thread that attaches. Changes whenever anything in this file does. */
export const ABI_VERSION = 2;
export const MAGIC = 0x43454e4f; // "CENO"

export const WORD_BYTES = 4;
/** Words to a padded line. */
export const PAD = 32;

// ── header: constants of the pool, written once before any thread attaches
export const MAGIC_WORD = 0;
export const ABI_WORD = 1;
export const LENGTH_WORD = 2;
export const POOL_ID_WORD = 3;
export const SLOTS_WORD = 4;
export const THREADS_WORD = 5;
export const CELLS_WORD = 6;
export const MIN_WORD = 7;
export const MAX_WAITING_WORD = 8;
export const ACQUIRE_TIMEOUT_WORD = 9;
export const MAX_USES_WORD = 10;
export const FEATURES_WORD = 11;

/** Every borrower writes when it borrowed, and remembers from where. */
export const FEATURE_TRACE = 1;
/** Workers receive a value of each resource instead of a proxy. */
export const FEATURE_SHARE = 2;

// ── words that all threads contend for, a line each
export const STATE_WORD = PAD * 1;
export const LINE_WORD = PAD * 2;
export const TICKET_WORD = PAD * 3;

// ── statistics of the owner and of threads that have left, written by the owner only
/** Odd while the owner moves a leaver's counters over: read again. */
export const FOLD_WORD = PAD * 4;
export const TALLY = PAD * 4 + 2;
const HEADER_WORDS = PAD * 5;

// ── a slot: one padded line
export const SLOT_STRIDE = PAD;
export const SLOT_STATE = 0;
/** Hand-outs since the resource was made. Written by the borrower, or by the owner while no borrower has it. */
export const SLOT_USES = 1;
/** Not zero: past its lifetime, not to be handed out again. Written by the owner. */
export const SLOT_RETIRED = 2;
/** When the present borrower got it, in whole milliseconds modulo 2^32; only with FEATURE_TRACE. Written by the borrower. */
export const SLOT_SINCE = 3;

/** Which resource it is: goes up with each one made. Written by the owner before the slot can be had. */
export const SLOT_GENERATION = 4;
/**
 * The thread that the owner has it LEASED for: the record of the one whose one-shot call it runs. 0: for itself, or a thread has it.
 * Written by the owner, and cleared before the slot leaves that lease.
 */
export const SLOT_BEHALF = 5;
/** In SLOT_BEHALF: the thread is gone, and its call still runs. Its record may be another thread's by now. */
export const BEHALF_GONE = -1;

// ── a thread: two padded lines, the first for the threads that ring, the second for the thread itself
export const THREAD_STRIDE = PAD * 2;
export const THREAD_BELL = 0;
export const THREAD_STATUS = PAD;
export const THREAD_ID = PAD + 1;
export const THREAD_TALLY = PAD + 2;

// ── counters of one tally: 64-bit floats, because 2^31 hand-outs pass in a minute
export const COUNTER_ACQUIRED = 0;
export const COUNTER_RELEASED = 1;
export const COUNTER_TIMED_OUT = 2;
export const COUNTER_REJECTED = 3;
export const COUNTER_CREATED = 4;
export const COUNTER_DESTROYED = 5;
export const COUNTER_FACTORY_FAILURES = 6;
export const COUNTER_RECLAIMED = 7;
export const COUNTERS = 8;

/** Buckets of a histogram: eight to each power of two, from 1 us to 2^41 us (25 days). */
export const HISTOGRAM_BUCKETS = 320;

export const MAX_SLOTS = 1023;
export const MAX_THREADS = 1022;
export const MAX_CELLS = 65_535;

/** Where everything is in a block of the given size. */
export interface Layout {
  readonly slotCount: number;
  /** Thread records, the owner's (index 0) included. */
  readonly threadCount: number;
  readonly cellCount: number;
  readonly slots: number;
  readonly threads: number;
  readonly cells: number;
  readonly tickets: number;
  readonly marks: number;
  readonly joined: number;
  readonly waitTimes: number;
  readonly holdTimes: number;
  readonly bytes: number;
}

export function layoutOf(slotCount: number, threadCount: number, cellCount: number): Layout {
  const slots = HEADER_WORDS;
  const threads = slots + slotCount * SLOT_STRIDE;
  const cells = threads + threadCount * THREAD_STRIDE;
  const tickets = cells + cellCount;
  const marks = tickets + cellCount;
  const joined = marks + cellCount;
  const waitTimes = joined + cellCount;
  const holdTimes = waitTimes + HISTOGRAM_BUCKETS;
  const words = holdTimes + HISTOGRAM_BUCKETS;
  // Whole padded lines, so that the 64-bit view of the block has no remainder.
  const bytes = Math.ceil(words / PAD) * PAD * WORD_BYTES;
  return { slotCount, threadCount, cellCount, slots, threads, cells, tickets, marks, joined, waitTimes, holdTimes, bytes };
}
