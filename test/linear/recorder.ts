/**
 * What every thread did, in memory that they all share. Instants come from one counter, so they are comparable and no two are equal: an operation is called after
 * `called` was drawn and has returned before `returned` was.
 */
import { KINDS, type Kind, type Operation, OUTCOMES, type Outcome } from './history.ts';

const CLOCK = 0;
const ARRIVED = 1;
const ROUND = 2;
const HEADER = 32;

// ── a thread: how much it has done, what it sleeps on just now; then its operations
const COUNT = 0;
const ASLEEP = 1;
const THREAD_HEADER = 32;
const FIELDS = 8;
const [KIND, LANE, RESOURCE, PATIENCE, OUTCOME, CALLED, JOINED, RETURNED] = Array.from({ length: FIELDS }, (_, field) => field);
const MOST = 64;
const STRIDE = THREAD_HEADER + MOST * FIELDS;

/** Patience is kept in microseconds. */
const MICROSECONDS = 1000;

export class Record {
  readonly words: Int32Array;
  readonly threads: number;

  constructor(threads: number, buffer: SharedArrayBuffer = new SharedArrayBuffer(4 * (HEADER + threads * STRIDE))) {
    this.threads = threads;
    this.words = new Int32Array(buffer);
  }

  get buffer(): SharedArrayBuffer {
    return this.words.buffer as SharedArrayBuffer;
  }

  base(thread: number): number {
    return HEADER + thread * STRIDE;
  }

  instant(): number {
    return Atomics.add(this.words, CLOCK, 1) + 1;
  }

  // ── between two runs, when nobody does anything

  clear(): void {
    this.words[CLOCK] = 0;
    this.words[ARRIVED] = 0;
    for (let thread = 0; thread < this.threads; thread++) this.words.fill(0, this.base(thread), this.base(thread) + STRIDE);
  }

  /** Blocks until so many threads have come. */
  meet(threads: number): void {
    const round = Atomics.load(this.words, ROUND);
    if (Atomics.add(this.words, ARRIVED, 1) + 1 === threads) {
      Atomics.add(this.words, ROUND, 1);
      Atomics.notify(this.words, ROUND);
      return;
    }
    while (Atomics.load(this.words, ROUND) === round) Atomics.wait(this.words, ROUND, round, 1000);
  }

  read(): Operation[] {
    const operations: Operation[] = [];
    for (let thread = 0; thread < this.threads; thread++) {
      const base = this.base(thread);
      for (let index = 0; index < this.words[base + COUNT]; index++) {
        const at = base + THREAD_HEADER + index * FIELDS;
        const instant = (field: number): number => this.words[at + field] || Number.POSITIVE_INFINITY;
        operations.push({
          thread,
          lane: this.words[at + LANE],
          kind: KINDS[this.words[at + KIND]],
          resource: this.words[at + RESOURCE],
          patience: this.words[at + PATIENCE] / MICROSECONDS,
          outcome: OUTCOMES[this.words[at + OUTCOME]],
          called: this.words[at + CALLED],
          joined: instant(JOINED),
          returned: instant(RETURNED),
        });
      }
    }
    return operations;
  }
}

/** One thread's pen. */
export class Recorder {
  readonly record: Record;
  readonly #base: number;
  readonly #words: Int32Array;

  constructor(record: Record, thread: number) {
    this.record = record;
    this.#words = record.words;
    this.#base = record.base(thread);
  }

  #at(index: number): number {
    return this.#base + THREAD_HEADER + index * FIELDS;
  }

  get isFull(): boolean {
    // Whatever is held has still to be given back.
    return this.#words[this.#base + COUNT] > MOST / 2;
  }

  /** To be followed by the call. `asleep`: this thread does nothing else until that returns. */
  begin(kind: Kind, lane: number, resource: number, patience: number, asleep = false): number {
    const index = this.#words[this.#base + COUNT]++;
    if (index >= MOST) throw new Error('the record is full');
    const at = this.#at(index);
    this.#words[at + KIND] = KINDS.indexOf(kind);
    this.#words[at + LANE] = lane;
    this.#words[at + RESOURCE] = resource;
    this.#words[at + PATIENCE] = Math.round(patience * MICROSECONDS);
    if (asleep) Atomics.store(this.#words, this.#base + ASLEEP, index + 1);
    this.#words[at + CALLED] = this.record.instant();
    return index;
  }

  /** The call has returned a promise: whoever waits has joined by now. */
  promised(index: number): void {
    this.#words[this.#at(index) + JOINED] = this.record.instant();
  }

  end(index: number, outcome: Outcome, resource?: number): void {
    const at = this.#at(index);
    this.#words[at + RETURNED] = this.record.instant();
    Atomics.store(this.#words, this.#base + ASLEEP, 0);
    this.#words[at + OUTCOME] = OUTCOMES.indexOf(outcome);
    if (resource !== undefined) this.#words[at + RESOURCE] = resource;
  }

  /** Says of each sleeper of other threads that we see in line that it has joined by now. `isInLine` looks at the line itself, just then. */
  witness(isInLine: (thread: number) => boolean): void {
    for (let thread = 0; thread < this.record.threads; thread++) {
      const base = this.record.base(thread);
      const asleep = Atomics.load(this.#words, base + ASLEEP);
      if (asleep === 0 || !isInLine(thread)) continue;
      const at = base + THREAD_HEADER + (asleep - 1) * FIELDS + JOINED;
      if (Atomics.load(this.#words, at) !== 0) continue;
      const instant = this.record.instant();
      // Still the same sleep: so it was that one we saw.
      if (Atomics.load(this.#words, base + ASLEEP) === asleep) Atomics.compareExchange(this.#words, at, 0, instant);
    }
  }
}
