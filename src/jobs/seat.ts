/**
 * The words of one seat, which is the place of one job on a thread: whether it is cancelled, and how far it is.
 *
 *     1st line   word 0   CANCEL   GOES_ON, CANCELLED; written by the runner
 *     2nd line   word 0   REPORTS  QUIET (even), WRITING (odd): goes up by two with each report of progress; written by the thread
 *                words 2-5         done and total, as 64-bit floats; written by the thread
 *
 *                          cancel                                    beginReport
 *              +---------+ ------> +-----------+           +-------+ ----------> +---------+
 *              | GOES_ON |         | CANCELLED |           | QUIET |             | WRITING |
 *              +---------+ <------ +-----------+           +-------+ <---------- +---------+
 *                          reset                                      endReport
 *
 * Each word has one writer at a time, so none of this is a compare-exchange, and what two sides write stands on lines of its own (128
 * bytes). A seat needs no version: the runner gives it to the next job only when the last one has ended, or its thread has, and then
 * resets it. So CANCELLED is never read by a job that it was not set for. If the thread dies, its words die with it.
 */
const LINE = 32;
export const CANCEL_WORD = 0;
export const REPORTS_WORD = LINE;
/** In 64-bit floats from the beginning of the seat. */
const DONE = (LINE + 2) / 2;
const TOTAL = DONE + 1;
export const SEAT_BYTES = 2 * LINE * Int32Array.BYTES_PER_ELEMENT;
/** So many plain reads of CANCEL in a row, and then an `Atomics.load`: see `glance`. */
export const GLANCES = 31;

export const GOES_ON = 0;
export const CANCELLED = 1;

export const CANCEL_STATES = ['GOES_ON', 'CANCELLED'] as const;
export const REPORTS_STATES = ['QUIET', 'WRITING'] as const;

/** Legal transitions: state -> the states it leaves to. A test holds this, the code and docs/state-machines.md together. */
export const CANCEL_TRANSITIONS: Readonly<Record<(typeof CANCEL_STATES)[number], readonly (typeof CANCEL_STATES)[number][]>> = {
  GOES_ON: ['CANCELLED'],
  CANCELLED: ['GOES_ON'],
};
export const REPORTS_TRANSITIONS: Readonly<Record<(typeof REPORTS_STATES)[number], readonly (typeof REPORTS_STATES)[number][]>> = {
  QUIET: ['WRITING'],
  WRITING: ['QUIET'],
};

export interface Report {
  /** The value of REPORTS that it was read under. */
  readonly report: number;
  readonly done: number;
  readonly total: number | undefined;
}

export class Seat {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  /** The thread's own: how many plain reads of CANCEL are left. */
  #glances = GLANCES;

  constructor(buffer: SharedArrayBuffer, index: number) {
    this.#words = new Int32Array(buffer, index * SEAT_BYTES, 2 * LINE);
    this.#floats = new Float64Array(buffer, index * SEAT_BYTES, LINE);
  }

  // ── the runner

  /** For the next job: the last one has ended, or its thread has, so there is no other that reads or writes here. */
  reset(): void {
    Atomics.store(this.#words, CANCEL_WORD, GOES_ON);
    Atomics.store(this.#words, REPORTS_WORD, 0);
  }

  /** After the reason has been sent, and before the thread's bells are rung: see cancellation.ts. */
  cancel(): void {
    Atomics.store(this.#words, CANCEL_WORD, CANCELLED);
  }

  /** The last report, if it is not `seen`. Undefined, too, while one is being written, and for good where its thread has died in that. */
  reportAfter(seen: number): Report | undefined {
    const report = Atomics.load(this.#words, REPORTS_WORD);
    if (report === seen || isWriting(report)) return undefined;
    const done = this.#floats[DONE];
    const total = this.#floats[TOTAL];
    // The thread may have gone on meanwhile: then it is half of one report and half of another.
    if (Atomics.load(this.#words, REPORTS_WORD) !== report) return undefined;
    return { report, done, total: Number.isNaN(total) ? undefined : total };
  }

  // ── the thread

  /** Set by `cancel`, whose reason lies in the thread's port then. */
  get isCancelled(): boolean {
    return Atomics.load(this.#words, CANCEL_WORD) === CANCELLED;
  }

  /**
   * The same, for a job that asks in a loop: mostly by a plain read, which costs a small part of an `Atomics.load`. It pairs with the store
   * in `cancel` as the load does. CANCEL changes once while the job runs, so the plain read can be stale and nothing worse, and a stale one
   * only delays: to go on is what the job did anyway, and what is seen is confirmed by a load, behind which the reason lies in the port.
   * How stale? What the job knows of a cancel by an `Atomics.load` or a message, the read sees. Otherwise a compiler may read once ahead of
   * a loop and never in it, so one call in 32 loads. For the job's code only: before a sleep or a wait, only `isCancelled` will do.
   */
  glance(): boolean {
    if (this.#words[CANCEL_WORD] === GOES_ON && this.#glances-- > 0) return false;
    this.#glances = GLANCES;
    return this.isCancelled;
  }

  /** `total` NaN: there is none. */
  report(done: number, total: number): void {
    const report = this.beginReport();
    this.#floats[DONE] = done;
    this.#floats[TOTAL] = total;
    this.endReport(report);
  }

  beginReport(): number {
    // No other writes it while the job runs.
    const report = (this.#words[REPORTS_WORD] + 1) | 0;
    Atomics.store(this.#words, REPORTS_WORD, report);
    return report;
  }

  endReport(report: number): void {
    Atomics.store(this.#words, REPORTS_WORD, (report + 1) | 0);
  }
}

export const isWriting = (report: number): boolean => (report & 1) !== 0;
