/**
 * The byte map of the control block: one SharedArrayBuffer per pool. Nothing here but numbers; docs/memory-layout.md draws it.
 *
 * Offsets are in 32-bit words. Words with different writers stand on lines of their own (128 bytes: two cache lines,
 * because adjacent-line prefetch drags the neighbour along). Cells are dense instead: a match scans all of them,
 * and one scan of packed words is cheaper than a thousand cache misses.
 */

/**
 * The version of this layout, as major.minor. The major goes up when a word moves or changes its meaning, the minor when a word is added
 * that a thread which does not know it may leave alone. Stored last by the creator; a thread that attaches checks it first (see
 * `words/abi.ts`).
 */
export const ABI_MAJOR = 2;
export const ABI_MINOR = 1;
/** Both in one word: the major in the upper 16 bits. */
export const ABI_VERSION = ABI_MAJOR * 0x10000 + ABI_MINOR;
export const MAGIC = 0x43454e4f; // "CENO"

export const WORD_BYTES = 4;
/** Words to a padded line. */
export const PAD = 32;

// ── header: constants of the pool, written once before any thread attaches
export const MAGIC_WORD = 0;
export const ABI_WORD = 1;
export const LENGTH_WORD = 2;
export const POOL_ID_WORD = 3;
/** How many slots are laid out: the ceiling of the pool, up to which `max` may be set. */
export const SLOTS_WORD = 4;
export const THREADS_WORD = 5;
export const CELLS_WORD = 6;
export const MAX_WAITING_WORD = 7;
export const ACQUIRE_TIMEOUT_WORD = 8;
export const MAX_USES_WORD = 9;
export const FEATURES_WORD = 10;
/** Sizes of the parts, in words: a copy that lays them out otherwise must not read them. */
export const HEADER_SIZE_WORD = 11;
export const SLOT_SIZE_WORD = 12;
export const THREAD_SIZE_WORD = 13;

/** Every borrower writes when it borrowed, and remembers from where. */
export const FEATURE_TRACE = 1;
/** Workers receive a value of each resource instead of a proxy. */
export const FEATURE_SHARE = 2;
/** What a thread must know to take part. It attaches to no pool that has others. */
export const KNOWN_FEATURES = FEATURE_TRACE | FEATURE_SHARE;

// ── words that all threads contend for, a line each
export const STATE_WORD = PAD * 1;
export const LINE_WORD = PAD * 2;
export const TICKET_WORD = PAD * 3;

// ── limits that change while the pool runs, written by the owner only
/** Most resources at once: `max`, at most as many as there are slots. */
export const LIMIT_WORD = PAD * 4;
export const MIN_WORD = PAD * 4 + 1;
/** Slots from this one on are EMPTY: no search goes further. Never less than LIMIT. */
export const EXTENT_WORD = PAD * 4 + 2;

// ── statistics of the owner and of threads that have left, written by the owner only
/** Odd while the owner moves a leaver's counters over: read again. */
export const FOLD_WORD = PAD * 5;
export const LEFT_COUNTERS = PAD * 5 + 2;
/**
 * Resources destroyed, one 64-bit float for each reason, in the order of DESTROY_REASONS (words/counters.ts). Written by the owner only.
 */
export const DESTROYED_WORD = PAD * 6;
export const HEADER_WORDS = PAD * 7;

// ── a slot: one padded line
export const SLOT_STRIDE = PAD;
export const SLOT_STATE = 0;
/** Hand-outs since the resource was made. Written by the borrower, or by the owner while no borrower has it. */
export const SLOT_USES = 1;
/** Not zero: to be handed in to the owner, and to go to no other borrower before. The owner knows why. Written by the owner. */
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
/** In SLOT_BEHALF: the owner has it for a one-shot call of its own. */
export const BEHALF_OWN = -2;
/**
 * What the borrower has it for: the number of a job or a scope, 0: nothing in particular. It is about the present lease only. Written by
 * the borrower when its lease begins, if it has a number to say, and cleared by it before the lease ends; by the owner for a thread that
 * is gone.
 */
export const SLOT_TAG = 6;
/** When its resource was made, in whole milliseconds modulo 2^32. Written by the owner before the slot can be had. */
export const SLOT_MADE = 7;
/** The lease that SLOT_SINCE belongs to. Written by the borrower after it. */
export const SLOT_TRACED = 8;
/** The lease that its borrower has given up by message: the owner ends it when it hears of it. Written by the borrower. */
export const SLOT_LEFT = 9;
// Words from here on are free: 48 bytes of a shared value are to fit into them.

// ── a thread: two padded lines, the first for the threads that ring, the second for the thread itself
export const THREAD_STRIDE = PAD * 2;
export const THREAD_BELL = 0;
export const THREAD_STATUS = PAD;
export const THREAD_ID = PAD + 1;
export const THREAD_COUNTERS = PAD + 2;

/**
 * How many of its waiters stand behind one that has a place in the line, and have none. Written by the thread, and by the owner when the
 * thread is gone.
 */
export const THREAD_BEHIND = PAD + 26;

// ── the counters of one thread: 64-bit floats, because 2^31 hand-outs pass in a minute
export const COUNTER_ACQUIRED = 0;
export const COUNTER_RELEASED = 1;
export const COUNTER_TIMED_OUT = 2;
export const COUNTER_REJECTED = 3;
export const COUNTER_CREATED = 4;
export const COUNTER_DESTROYED = 5;
export const COUNTER_FACTORY_FAILURES = 6;
export const COUNTER_RECLAIMED = 7;
export const COUNTER_REVOKED = 8;
export const COUNTER_CANCELLED = 9;
export const COUNTER_RECYCLED = 10;
/** Of the hand-outs, those that have waited in line. */
export const COUNTER_FROM_LINE = 11;
export const COUNTERS = 12;

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
  readonly tags: number;
  readonly waitTimes: number;
  readonly holdTimes: number;
  readonly createTimes: number;
  readonly bytes: number;
}

export function layoutOf(slotCount: number, threadCount: number, cellCount: number): Layout {
  const slots = HEADER_WORDS;
  const threads = slots + slotCount * SLOT_STRIDE;
  const cells = threads + threadCount * THREAD_STRIDE;
  const tickets = cells + cellCount;
  const marks = tickets + cellCount;
  const joined = marks + cellCount;
  const tags = joined + cellCount;
  const waitTimes = tags + cellCount;
  const holdTimes = waitTimes + HISTOGRAM_BUCKETS;
  const createTimes = holdTimes + HISTOGRAM_BUCKETS;
  const words = createTimes + HISTOGRAM_BUCKETS;
  // Whole padded lines, so that the 64-bit view of the block has no remainder.
  const bytes = Math.ceil(words / PAD) * PAD * WORD_BYTES;
  const parts = { slots, threads, cells, tickets, marks, joined, tags, waitTimes, holdTimes, createTimes };
  return { slotCount, threadCount, cellCount, ...parts, bytes };
}
