/**
 * Has a one-shot call begun? One word between the owner, which begins it, and the thread whose caller may stop waiting for it. The first to
 * move the word has decided, though the other one be busy: what has begun is waited for, and what was withdrawn never runs.
 *
 *                +---------+  begin   +-------+
 *                | WAITING | -------> | BEGUN |
 *                +---------+          +-------+
 *                     |   withdraw    +-----------+
 *                     +-------------> | WITHDRAWN |
 *                                     +-----------+
 *
 * A word for each one-shot call with limits, in a buffer of its own that goes along with the call. It is no part of the control block:
 * nothing is lent by it, so nothing has to be repaired if the thread dies. It is used once, so it needs no version.
 */
import { types } from 'node:util';

export const WAITING = 0;
export const BEGUN = 1;
export const CANCELLED = 2;

export const CLAIM_STATES = ['WAITING', 'BEGUN', 'WITHDRAWN'] as const;

/** Legal transitions: state -> the states it leaves to. A test holds this, the code and docs/state-machines.md together. */
export const CLAIM_TRANSITIONS: Readonly<Record<(typeof CLAIM_STATES)[number], readonly (typeof CLAIM_STATES)[number][]>> = {
  WAITING: ['BEGUN', 'WITHDRAWN'],
  BEGUN: [],
  WITHDRAWN: [],
};

export class Claim {
  readonly buffer: SharedArrayBuffer;
  readonly #word: Int32Array;

  constructor(buffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#word = new Int32Array(buffer, 0, 1);
  }

  /** What came with a call. Undefined: nothing of the kind, and its caller waits for ever. */
  static open(buffer: unknown): Claim | undefined {
    return types.isSharedArrayBuffer(buffer) && buffer.byteLength >= Int32Array.BYTES_PER_ELEMENT ? new Claim(buffer) : undefined;
  }

  /** Owner. False: its caller has withdrawn it. */
  begin(): boolean {
    return Atomics.compareExchange(this.#word, 0, WAITING, BEGUN) === WAITING;
  }

  /** The caller's thread. False: it has begun. */
  withdraw(): boolean {
    return Atomics.compareExchange(this.#word, 0, WAITING, CANCELLED) === WAITING;
  }

  /** Owner: nothing has to be borrowed for it. */
  get isWithdrawn(): boolean {
    return Atomics.load(this.#word, 0) === CANCELLED;
  }
}
