/**
 * The shared words of one thread: a line for the thread, and two for each seat, which is the place of one job that runs there.
 *
 *     thread    word 0   HEAP      heap in use after the last job, in MB; written by the thread
 *     seat, 1st word 0   CANCELLED 0: the job goes on, 1: it is cancelled; written by the runner
 *     seat, 2nd word 0   OUTCOME   how the job has ended; written by the thread
 *               word 1   REPORTS   goes up by two with each report of progress, and is odd while one is written; written by the thread
 *               word 2   SAID      the value of REPORTS for which there is a message; written by the thread
 *               words 4-7          done and total, as 64-bit floats; written by the thread
 *
 * Words of the runner and words of the thread stand on lines of their own (128 bytes). A seat needs no version: the runner gives it to
 * the next job only after the last one has ended, or its thread has, and then resets it. So CANCELLED is never read by a job that it was
 * not set for. If the thread dies, its words die with it.
 */
const LINE = 32;
const CANCELLED = 0;
const OUTCOME = LINE;
const REPORTS = LINE + 1;
const SAID = LINE + 2;
/** In 64-bit floats from the beginning of the seat. */
const DONE = (LINE + 4) / 2;
const TOTAL = DONE + 1;

/** The job has ended with a value, which the answer is. */
export const RETURNED = 0;
/** It has thrown: the answer is the error's wire form. */
export const THREW = 1;
/** It has ended with a value that has gone ahead of the answer, by the thread's own port. */
export const SENT = 2;

export const bytesFor = (seats: number): number => LINE * 4 * (1 + 2 * seats);

export interface Report {
  readonly report: number;
  readonly done: number;
  readonly total: number | undefined;
  /** A message belongs to it. */
  readonly isSaid: boolean;
}

export class Seat {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #at: number;
  readonly #floatsAt: number;

  constructor(buffer: SharedArrayBuffer, index: number) {
    this.#words = new Int32Array(buffer);
    this.#floats = new Float64Array(buffer);
    this.#at = LINE * (1 + 2 * index);
    this.#floatsAt = this.#at / 2;
  }

  // ── the runner

  /** For the next job: the last one has ended. */
  reset(): void {
    Atomics.store(this.#words, this.#at + CANCELLED, 0);
    this.#words[this.#at + OUTCOME] = RETURNED;
    this.#words[this.#at + REPORTS] = 0;
    this.#words[this.#at + SAID] = 0;
  }

  /** Ring the thread's bells after this: see cancellation.ts. */
  cancel(): void {
    Atomics.store(this.#words, this.#at + CANCELLED, 1);
  }

  /** How the job has ended, whose answer has come. */
  get outcome(): number {
    return Atomics.load(this.#words, this.#at + OUTCOME);
  }

  /**
   * The last report, if there is one after `seen`. Undefined, too, while one is being written, and for good where its thread has died in
   * that.
   */
  reportAfter(seen: number): Report | undefined {
    const report = Atomics.load(this.#words, this.#at + REPORTS);
    if (report === seen || (report & 1) !== 0) return undefined;
    const done = this.#floats[this.#floatsAt + DONE];
    const total = this.#floats[this.#floatsAt + TOTAL];
    const isSaid = this.#words[this.#at + SAID] === report;
    if (Atomics.load(this.#words, this.#at + REPORTS) !== report) return undefined;
    return { report, done, total: Number.isNaN(total) ? undefined : total, isSaid };
  }

  // ── the thread

  get isCancelled(): boolean {
    return Atomics.load(this.#words, this.#at + CANCELLED) !== 0;
  }

  end(outcome: number): void {
    Atomics.store(this.#words, this.#at + OUTCOME, outcome);
  }

  /** Gives the number of the report. */
  report(done: number, total: number, isSaid: boolean): number {
    const report = (this.#words[this.#at + REPORTS] + 2) | 0;
    Atomics.store(this.#words, this.#at + REPORTS, report - 1);
    this.#floats[this.#floatsAt + DONE] = done;
    this.#floats[this.#floatsAt + TOTAL] = total;
    if (isSaid) this.#words[this.#at + SAID] = report;
    Atomics.store(this.#words, this.#at + REPORTS, report);
    return report;
  }
}

/** In MB. */
export const heapOf = (words: Int32Array): number => Atomics.load(words, 0);
export const setHeap = (words: Int32Array, megabytes: number): void => void Atomics.store(words, 0, megabytes);
