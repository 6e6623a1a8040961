/** A thread of a runner as the runner has it: its seats, its port, and how it has ended. */
import type { MessagePort, Worker } from 'node:worker_threads';
import { ringAt, withOwnBytes } from '../shared/index.ts';
import { sent } from './errors.ts';
import { BELL, CANCEL, NO_BELL, RESULT, SAID, type ToRunner, type ToThread } from './protocol.ts';
import { bytesFor, heapOf, Seat } from './seat.ts';
import type { ThreadEnd } from './types.ts';

/**
 * loading: it has not loaded the job's file yet; ready: it may be given jobs; retiring: it finishes those that it has; ending: it is being
 * ended; gone.
 */
export type ThreadState = 'loading' | 'ready' | 'retiring' | 'ending' | 'gone';

/** A job that has a seat. */
export interface Occupant {
  readonly job: number;
  readonly cancelled: object | undefined;
  /** The last message of its progress. */
  said: { readonly report: number; readonly message: string } | undefined;
}

interface Bell {
  readonly words: Int32Array;
  readonly at: number;
}

export class RunnerThread {
  readonly buffer: SharedArrayBuffer;
  readonly port: MessagePort;
  state: ThreadState = 'loading';
  worker: Worker | undefined;
  /** Node's id; kept, since a worker that has ended has none. */
  threadId = -1;
  /** Resolves when it has loaded the job's file, or will not. Gives what went wrong, in a box. */
  loaded: Promise<{ readonly error: unknown } | undefined> = Promise.resolve(undefined);
  /** Resolves when it has ended, and what it held has been reclaimed. */
  readonly gone: Promise<void>;
  isGone: () => void = () => {};
  /** Why it is being ended; undefined: it has died. */
  reason: ThreadEnd | undefined;
  /** The uncaught error that ended it, in a box. */
  uncaught: { readonly error: unknown } | undefined;
  exitCode: number | undefined;
  /** Jobs that it was given in all. */
  given = 0;
  /** Jobs that ran on it when it began to end. */
  company = 0;
  /** Another one takes over from it. */
  isReplaced = false;
  idleTimer: NodeJS.Timeout | undefined;
  readonly seats: readonly Seat[];
  /** By seat, what runs there. */
  readonly jobs: (Occupant | undefined)[];
  #running = 0;
  readonly #words: Int32Array;
  readonly #bells: Bell[] = [];
  /** By seat: values that have come ahead of their answers. */
  readonly #results: { job: number; value: unknown }[] = [];

  constructor(seats: number, port: MessagePort) {
    this.port = port;
    this.buffer = new SharedArrayBuffer(bytesFor(seats));
    this.#words = new Int32Array(this.buffer);
    this.seats = Array.from({ length: seats }, (_, index) => new Seat(this.buffer, index));
    this.jobs = Array.from({ length: seats }, () => undefined);
    this.gone = new Promise((resolve) => {
      this.isGone = resolve;
    });
    port.on('message', (message: ToRunner) => this.receive(message));
    port.unref();
  }

  get running(): number {
    return this.#running;
  }

  /** May it be given one more job? */
  get hasRoom(): boolean {
    return this.state === 'ready' && this.#running < this.seats.length;
  }

  /** In MB, after its last job. */
  get heap(): number {
    return heapOf(this.#words);
  }

  take(job: Occupant): number {
    const seat = this.jobs.indexOf(undefined);
    this.jobs[seat] = job;
    this.#running++;
    this.given++;
    this.seats[seat].reset();
    return seat;
  }

  release(seat: number): void {
    this.jobs[seat] = undefined;
    this.#running--;
  }

  // ── its port

  /** The reason first, then the word, then the bells: see cancellation.ts. */
  cancel(seat: number, job: number, reason: unknown): void {
    const buffers: Uint8Array[] = [];
    const wire = withOwnBytes(sent(reason), buffers);
    this.port.postMessage([CANCEL, seat, job, wire, buffers] satisfies ToThread);
    this.seats[seat].cancel();
    for (const { words, at } of this.#bells) ringAt(words, at);
  }

  receive(message: ToRunner): void {
    switch (message[0]) {
      case BELL: {
        const bell = { words: new Int32Array(message[1]), at: message[2] };
        this.#bells.push(bell);
        // A cancel may have come before this bell was known.
        if (this.jobs.some((job) => job?.cancelled !== undefined)) ringAt(bell.words, bell.at);
        break;
      }
      case NO_BELL: {
        const buffer = message[1];
        const index = this.#bells.findIndex(({ words, at }) => at === message[2] && words.buffer === buffer);
        if (index >= 0) this.#bells.splice(index, 1);
        break;
      }
      case SAID: {
        const [, seat, number, report, text] = message;
        const job = this.jobs[seat];
        if (job?.job === number) job.said = { report, message: text };
        break;
      }
      case RESULT: {
        const [, seat, job, value] = message;
        this.#results[seat] = { job, value };
        break;
      }
    }
  }

  /** The value of a job, which its thread sent ahead of the answer that has come. */
  resultOf(seat: number, job: number): unknown {
    const result = this.#results[seat];
    if (result?.job !== job) return undefined;
    delete this.#results[seat];
    return result.value;
  }
}
