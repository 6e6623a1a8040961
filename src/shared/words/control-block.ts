/** Views of one SharedArrayBuffer. The owner makes it, all other threads attach to it. */

import { stamp } from '../clock.ts';
import {
  ACQUIRE_TIMEOUT_WORD,
  CELLS_WORD,
  FEATURES_WORD,
  KNOWN_FEATURES,
  type Layout,
  LENGTH_WORD,
  layoutOf,
  MAGIC,
  MAGIC_WORD,
  MAX_CELLS,
  MAX_SLOTS,
  MAX_THREADS,
  MAX_USES_WORD,
  MAX_WAITING_WORD,
  PAD,
  POOL_ID_WORD,
  SLOT_GENERATION,
  SLOT_LEFT,
  SLOT_MADE,
  SLOT_RETIRED,
  SLOT_SINCE,
  SLOT_STRIDE,
  SLOT_TRACED,
  SLOT_USES,
  SLOTS_WORD,
  THREADS_WORD,
  WORD_BYTES,
} from '../layout.ts';
import { abiOf, difference, isReadable, OURS, storeAbi } from './abi.ts';
import { Bells } from './bell.ts';
import { Counters } from './counters.ts';
import { Histogram } from './histogram.ts';
import { Limits } from './limits.ts';
import { Line } from './line.ts';
import { Slots } from './slot.ts';
import { Snapshot } from './snapshot.ts';
import { PoolState } from './state.ts';
import { Threads } from './threads.ts';

/** What never changes in the life of a pool. */
export interface Constants {
  readonly poolId: number;
  /** How many slots are laid out: what `max` may be set to. */
  readonly ceiling: number;
  /** Threads besides the owner. */
  readonly maxThreads: number;
  readonly maxWaiting: number;
  readonly acquireTimeout: number;
  readonly maxUses: number;
  readonly features: number;
}

/** With what a pool begins. `ceiling`: `max`, unless it is given. */
export interface Beginning extends Omit<Constants, 'ceiling'> {
  readonly min: number;
  readonly max: number;
  readonly ceiling?: number | undefined;
}

/** Why a buffer is no control block that we can use. `foreign`: it is none at all. */
export interface Rejection {
  readonly foreign: boolean;
  readonly why: string;
}

export class ControlBlock {
  readonly constants: Constants;
  readonly layout: Layout;
  readonly words: Int32Array;
  readonly floats: Float64Array;
  readonly slots: Slots;
  readonly limits: Limits;
  readonly line: Line;
  readonly snapshot: Snapshot;
  readonly bells: Bells;
  readonly state: PoolState;
  readonly threads: Threads;
  readonly counters: Counters;
  readonly waitTimes: Histogram;
  readonly holdTimes: Histogram;
  /** Of factory calls that have brought a resource. Written by the owner. */
  readonly createTimes: Histogram;

  private constructor(buffer: SharedArrayBuffer, constants: Constants, layout: Layout) {
    this.constants = constants;
    this.layout = layout;
    this.words = new Int32Array(buffer);
    this.floats = new Float64Array(buffer);
    this.slots = new Slots(this.words, layout.slots, layout.slotCount);
    this.limits = new Limits(this.words, this.slots);
    this.line = new Line(this.words, layout);
    this.snapshot = new Snapshot(this.slots, this.line, this.limits);
    this.bells = new Bells(this.words, layout.threads, layout.threadCount);
    this.state = new PoolState(this.words);
    this.threads = new Threads(this.words, layout.threads, layout.threadCount);
    this.counters = new Counters(this.words, this.floats, layout.threads, layout.threadCount);
    this.waitTimes = new Histogram(this.words, layout.waitTimes);
    this.holdTimes = new Histogram(this.words, layout.holdTimes);
    this.createTimes = new Histogram(this.words, layout.createTimes);
  }

  /** Waiters, with a place in the line or behind another of their thread. Exact only while none comes or goes. */
  waiting(): number {
    return this.line.waiting() + this.threads.behind();
  }

  /** Fewer wait than `maxWaiting`. */
  get hasRoom(): boolean {
    return this.line.isShorterThan(this.constants.maxWaiting - this.threads.behind());
  }

  static create({ min, max, ceiling = max, ...others }: Beginning): ControlBlock {
    const constants: Constants = { ...others, ceiling };
    const threads = constants.maxThreads + 1;
    // A cell for each waiter, and one for each thread that was granted something and has not picked it up, or passed the limit in a
    // burst.
    // As many as there are places may wait in any case, hence the slots.
    const layout = layoutOf(ceiling, threads, Math.min(constants.maxWaiting + threads + ceiling, MAX_CELLS));
    const buffer = new SharedArrayBuffer(layout.bytes);
    const words = new Int32Array(buffer);
    words[MAGIC_WORD] = MAGIC;
    words[LENGTH_WORD] = layout.bytes;
    words[POOL_ID_WORD] = constants.poolId;
    words[SLOTS_WORD] = layout.slotCount;
    words[THREADS_WORD] = layout.threadCount;
    words[CELLS_WORD] = layout.cellCount;
    words[MAX_WAITING_WORD] = constants.maxWaiting;
    words[ACQUIRE_TIMEOUT_WORD] = constants.acquireTimeout;
    words[MAX_USES_WORD] = constants.maxUses;
    const block = new ControlBlock(buffer, constants, layout);
    block.limits.set(min, max);
    storeAbi(words, constants.features);
    return block;
  }

  /**
   * The views of a buffer that comes from outside, or what is wrong with it. Every constant is read once, and then judged: the block may
   * be damaged at any time, and then what was judged must be what is used.
   */
  static open(buffer: SharedArrayBuffer): ControlBlock | Rejection {
    const foreign = (why: string): Rejection => ({ foreign: true, why });
    // Its first line says what it is, whatever the version.
    if (buffer.byteLength < PAD * WORD_BYTES || buffer.byteLength % (2 * WORD_BYTES) !== 0)
      return foreign(`its buffer has ${buffer.byteLength} bytes, which no control block has`);
    const words = new Int32Array(buffer);
    const abi = abiOf(words);
    if (words[MAGIC_WORD] !== MAGIC) return foreign('its buffer does not begin like a control block');
    if (abi.version !== OURS.version && !isReadable(abi)) return { foreign: false, why: difference(abi) };
    const length = words[LENGTH_WORD];
    const cells = words[CELLS_WORD];
    const constants = constantsOf(words);
    const { ceiling, maxThreads } = constants;
    if (!isWithin(ceiling, 1, MAX_SLOTS) || !isWithin(maxThreads, 0, MAX_THREADS) || !isWithin(cells, 1, MAX_CELLS))
      return foreign('its control block is damaged: there is no pool of such a size');
    const layout = layoutOf(ceiling, maxThreads + 1, cells);
    if (length !== buffer.byteLength || layout.bytes !== buffer.byteLength)
      return foreign('its control block is damaged: sizes do not agree');
    const { poolId, maxWaiting, acquireTimeout, maxUses, features } = constants;
    const sane = poolId > 0 && isWithin(maxWaiting, 0, MAX_CELLS) && acquireTimeout >= 0 && maxUses >= 0;
    if (!sane || (features & ~KNOWN_FEATURES) !== 0 || !isReadable(abi))
      return foreign('its control block is damaged: no pool has such settings');
    return new ControlBlock(buffer, constants, layout);
  }

  /** On a buffer that `create` has made. */
  static attach(buffer: SharedArrayBuffer): ControlBlock {
    const block = ControlBlock.open(buffer);
    if (block instanceof ControlBlock) return block;
    throw new TypeError(`not a control block: ${block.why}`);
  }

  get buffer(): SharedArrayBuffer {
    return this.words.buffer as SharedArrayBuffer;
  }

  // ── plain words of a slot: only the thread that has the slot writes them (see layout.ts)

  uses(slot: number): number {
    return this.words[this.layout.slots + slot * SLOT_STRIDE + SLOT_USES];
  }

  generation(slot: number): number {
    return this.words[this.layout.slots + slot * SLOT_STRIDE + SLOT_GENERATION];
  }

  /** A new resource: never used, not retired. Gives its generation. */
  renew(slot: number): number {
    this.words[this.layout.slots + slot * SLOT_STRIDE + SLOT_USES] = 0;
    this.words[this.layout.slots + slot * SLOT_STRIDE + SLOT_MADE] = stamp();
    this.setRetired(slot, false);
    return ++this.words[this.layout.slots + slot * SLOT_STRIDE + SLOT_GENERATION];
  }

  /** When its resource was made: see `stamp`. */
  madeAt(slot: number): number {
    return this.words[this.layout.slots + slot * SLOT_STRIDE + SLOT_MADE];
  }

  borrowedAt(slot: number): number {
    return this.words[this.layout.slots + slot * SLOT_STRIDE + SLOT_SINCE];
  }

  setBorrowedAt(slot: number, lease: number, stamped: number): void {
    this.words[this.layout.slots + slot * SLOT_STRIDE + SLOT_SINCE] = stamped;
    // Pairs with the load in `tracedSince`: a reader that sees the lease sees its time.
    Atomics.store(this.words, this.layout.slots + slot * SLOT_STRIDE + SLOT_TRACED, lease);
  }

  /** When exactly this lease began, or undefined: its borrower has not said so. */
  tracedSince(slot: number, lease: number): number | undefined {
    const traced = this.layout.slots + slot * SLOT_STRIDE + SLOT_TRACED;
    if (Atomics.load(this.words, traced) !== lease) return undefined;
    const stamped = this.borrowedAt(slot);
    return Atomics.load(this.words, traced) === lease ? stamped : undefined;
  }

  /** This lease is over for its borrower, and ends when the owner hears of it. */
  setLeft(slot: number, lease: number): void {
    Atomics.store(this.words, this.layout.slots + slot * SLOT_STRIDE + SLOT_LEFT, lease);
  }

  hasLeft(slot: number, lease: number): boolean {
    return Atomics.load(this.words, this.layout.slots + slot * SLOT_STRIDE + SLOT_LEFT) === lease;
  }

  /** Written by the owner before it flags the slot, read by the borrower when it finds the flag. */
  isRetired(slot: number): boolean {
    return Atomics.load(this.words, this.layout.slots + slot * SLOT_STRIDE + SLOT_RETIRED) !== 0;
  }

  setRetired(slot: number, retired: boolean): void {
    Atomics.store(this.words, this.layout.slots + slot * SLOT_STRIDE + SLOT_RETIRED, retired ? 1 : 0);
  }
}

/** One read of each. */
function constantsOf(words: Int32Array): Constants {
  return {
    poolId: words[POOL_ID_WORD],
    ceiling: words[SLOTS_WORD],
    maxThreads: words[THREADS_WORD] - 1,
    maxWaiting: words[MAX_WAITING_WORD],
    acquireTimeout: words[ACQUIRE_TIMEOUT_WORD],
    maxUses: words[MAX_USES_WORD],
    features: words[FEATURES_WORD],
  };
}

const isWithin = (value: number, least: number, most: number): boolean => value >= least && value <= most;
