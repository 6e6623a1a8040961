/** A thread of a runner as the runner has it: its seats, its port, and how it has ended. */
import type { MessagePort, Worker } from 'node:worker_threads';
import { ringAt, withOwnBytes } from '../shared/index.ts';
import { sent } from './errors.ts';
import { type Answer, BELL, CANCEL, JOB, NO_BELL, SAID, type ToRunner, type ToThread } from './protocol.ts';
import { SEAT_BYTES, Seat } from './seat.ts';
import type { ThreadEnd } from './types.ts';

/**
 * loading: it has not loaded the job's file yet; ready: it may be given jobs; retiring: it finishes those that it has; ending: it is being
 * ended; gone.
 */
export type ThreadState = 'loading' | 'ready' | 'retiring' | 'ending' | 'gone';

/** A job that has a seat. */
export interface Occupant {
  readonly job: number;
  readonly name: string | undefined;
  readonly attempt: number;
  readonly payload: unknown;
  readonly seat: number;
  readonly cancelled: object | undefined;
  /** The last message of its progress, if it has not been told. */
  said: string | undefined;
  /** Its function has ended. */
  answered(answer: Answer): void;
  /** Its thread has ended under it, and what it held has been reclaimed. */
  bereft(): void;
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
  /** Why there is none, in a box: it could not be made. */
  unmade: { readonly error: unknown } | undefined;
  /** It has loaded the job's file. */
  hasLoaded = false;
  /** Why it is being ended; undefined: it has died. */
  reason: ThreadEnd | undefined;
  /** The uncaught error that ended it, in a box. */
  uncaught: { readonly error: unknown } | undefined;
  exitCode: number | undefined;
  /** Jobs that it was given in all. */
  given = 0;
  /** Jobs that ran on it when it began to end. */
  company = 0;
  /** As recycleAfter says, another is to take over from it. */
  isDue = false;
  /** The one that takes over from it as soon as it is ready. */
  successor: RunnerThread | undefined;
  /** The one that it takes over from as soon as it is ready. */
  predecessor: RunnerThread | undefined;
  idleTimer: NodeJS.Timeout | undefined;
  readonly seats: readonly Seat[];
  /** By seat, what runs there. */
  readonly #jobs: (Occupant | undefined)[];
  #running = 0;
  /** By number, one for each pool that the thread has attached to. */
  readonly #bells = new Map<number, Bell>();

  constructor(seats: number, port: MessagePort) {
    this.port = port;
    this.buffer = new SharedArrayBuffer(seats * SEAT_BYTES);
    this.seats = Array.from({ length: seats }, (_, index) => new Seat(this.buffer, index));
    this.#jobs = Array.from({ length: seats }, () => undefined);
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

  /** Jobs that have a seat here. */
  get jobs(): Occupant[] {
    return this.#jobs.filter((job) => job !== undefined);
  }

  /** A seat for that job. Running jobs keep the process alive, threads do not. */
  take(job: Occupant): number {
    const seat = this.#jobs.indexOf(undefined);
    this.#jobs[seat] = job;
    if (this.#running++ === 0) this.port.ref();
    this.seats[seat].reset();
    return seat;
  }

  release(seat: number): void {
    this.#jobs[seat] = undefined;
    if (--this.#running === 0) this.port.unref();
  }

  // ── its port

  /** Throws the DataCloneError of the payload. */
  give(seat: number, { job, attempt, name, payload }: Occupant, transferList: readonly unknown[] | undefined): void {
    const message: ToThread = [JOB, seat, job, attempt, name, payload];
    if (transferList === undefined) this.port.postMessage(message);
    else this.port.postMessage(message, transferList as Parameters<MessagePort['postMessage']>[1]);
    this.given++;
  }

  /** The reason first, then the word, then the bells: see cancellation.ts. */
  cancel(seat: number, job: number, reason: unknown): void {
    const buffers: Uint8Array[] = [];
    const wire = withOwnBytes(sent(reason), buffers);
    this.port.postMessage([CANCEL, seat, job, wire, buffers] satisfies ToThread);
    this.seats[seat].cancel();
    for (const { words, at } of this.#bells.values()) ringAt(words, at);
  }

  receive(message: ToRunner): void {
    switch (message[0]) {
      case BELL: {
        const bell = { words: new Int32Array(message[2]), at: message[3] };
        this.#bells.set(message[1], bell);
        // A cancel may have come before this bell was known.
        if (this.#jobs.some((job) => job?.cancelled !== undefined)) ringAt(bell.words, bell.at);
        break;
      }
      case NO_BELL:
        this.#bells.delete(message[1]);
        break;
      case SAID: {
        const job = this.#jobs[message[1]];
        if (job !== undefined) job.said = message[2];
        break;
      }
      default:
        this.#jobs[message[1]]?.answered(message);
    }
  }
}
