/**
 * What a pool shows of itself to its watchers, on every thread, read from shared memory. Imports nothing of ours: cenote/observe
 * finds it on a pool by its symbol, whichever copy of cenote the pool is from.
 */
import type { Standing } from './knots.ts';

/** Under this name a pool has it. */
export const OBSERVED: unique symbol = Symbol.for('cenote.observed') as never;

export type SlotLook = 'empty' | 'making' | 'idle' | 'granted' | 'leased' | 'returned' | 'checking';

/** Durations in ms; `thread` is the number of a thread's record in this pool, `threadId` Node's. */
export interface SlotRow {
  slot: number;
  state: SlotLook;
  thread?: number;
  threadId?: number;
  heldFor?: number;
  uses: number;
  age?: number;
}

export interface LineRow {
  ticket: number;
  thread: number;
  threadId: number;
  waitedFor: number;
  sync: boolean;
}

export interface ThreadRow {
  thread: number;
  threadId: number;
  holds: number[];
  waits: number;
  alive: boolean;
  owner: boolean;
}

/** Idle, being made, and used: there, and neither of these. */
export interface Counts {
  readonly idle: number;
  readonly making: number;
  readonly used: number;
}

/** What is counted beyond `stats()`. */
export interface Totals {
  /** Hand-outs, and those of them that have waited in line. */
  readonly acquired: number;
  readonly fromLine: number;
  readonly destroyed: Readonly<Record<string, number>>;
}

/** Eight buckets to each power of two, in microseconds; each modulo 2^32. */
export type Buckets = Uint32Array;

export interface Observed {
  readonly name: string;
  /** Node's id of the owner's thread. */
  readonly owner: number;
  /** The same for the same pool, however it came here. */
  readonly key: string;
  counts(): Counts;
  totals(): Totals;
  buckets(of: 'wait' | 'hold' | 'create'): Buckets;
  slots(): SlotRow[];
  line(): LineRow[];
  threads(): ThreadRow[];
  /** By the number of its record: how many each thread has out. Those that have none, too. */
  held(): Map<number, number>;
  standing(): Standing;
  /** Are all of this pool's slots lent, to threads that wait in one of these pools? A cheap look: without it there is no knot here. */
  isHeldByWaiters(pools: Iterable<Observed>): boolean;
  /** Node's ids of the threads that wait, each once: takes those away from `threads`. */
  withoutWaiters(threads: Set<number>): void;
}
