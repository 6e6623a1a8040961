/** A connection on its way to a scope, and the calls that wait for it. They are made on it in the order in which they were asked. */
import type { AcquireOptions } from '../worker/index.ts';
import { type Call, Hold, isEnough, type Sessions } from './hold.ts';
import type { Answer } from './protocol.ts';

/** The connection, and the answer to the call. No answer: none was asked for. */
export interface Granted {
  readonly hold: Hold;
  readonly answer: Answer | undefined;
}

interface Waiting {
  readonly options: AcquireOptions | undefined;
  /** Undefined: it only wants the connection. */
  readonly call: Call | undefined;
  readonly resolve: (granted: Granted | PromiseLike<Granted>) => void;
  readonly reject: (error: unknown) => void;
}

export const hello: Call = (session, id) => session.hello(id);

export class Borrowing {
  readonly #sessions: Sessions;
  readonly #arrived: (hold: Hold) => void;
  #waiting: Waiting[] = [];
  /** Borrowed, and the first call is on its way there. Only its answer tells whether the connection is still alive. */
  #candidate: Hold | undefined;
  #hasArrived = false;
  #ended: Promise<void> = Promise.resolve();
  /** Takes the borrow out of the line. */
  #leaving = new AbortController();

  /** `arrived` is told of the connection before the calls that wait are made on it. */
  constructor(sessions: Sessions, arrived: (hold: Hold) => void) {
    this.#sessions = sessions;
    this.#arrived = arrived;
  }

  /** Calls wait for it. */
  get isAwaited(): boolean {
    return this.#waiting.length > 0;
  }

  get hasArrived(): boolean {
    return this.#hasArrived;
  }

  get candidate(): Hold | undefined {
    return this.#candidate;
  }

  /** Nobody waits any more. Never rejects. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Makes the call as soon as there is a connection. The first that waits borrows, by its own limits; if that fails, the next one does. */
  ask(options: AcquireOptions | undefined, call: Call | undefined): Promise<Granted> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ options, call, resolve, reject }) === 1) this.#ended = this.#run();
    });
  }

  /** This is the connection: the candidate, which is alive, or one that was borrowed by other means. All calls that wait are made at once. */
  arrive(hold: Hold): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#hasArrived = true;
    // What came first is on its way there already.
    if (this.#candidate !== undefined) waiting.shift();
    else this.#leaving.abort();
    this.#arrived(hold);
    for (const { call, resolve, reject } of waiting) {
      if (call === undefined) resolve({ hold, answer: undefined });
      else hold.call(call).then((answer) => resolve({ hold, answer }), reject);
    }
  }

  async #run(): Promise<void> {
    for (let attempts = 1; this.#waiting.length > 0; ) {
      const first = this.#waiting[0];
      try {
        const answer = await this.#borrow(first);
        const hold = this.#candidate!;
        if (!this.#hasArrived) {
          if (answer.unsent && !isEnough(this.#sessions, attempts++)) {
            this.#dismiss();
            continue;
          }
          this.arrive(hold);
        }
        return first.resolve({ hold, answer });
      } catch (error) {
        // Whoever brought another connection has made the first call on that one.
        if (this.#hasArrived && this.#candidate === undefined) return;
        first.reject(error);
        if (this.#hasArrived) return;
        this.#dismiss();
        this.#waiting.shift();
        attempts = 1;
      }
    }
  }

  #dismiss(): void {
    this.#candidate?.giveBack();
    this.#candidate = undefined;
  }

  /** The first call is made in the moment of the grant: this thread may block before it comes back to its promises. */
  async #borrow({ options, call = hello }: Waiting): Promise<Answer> {
    const leaving = new AbortController();
    this.#leaving = leaving;
    const signal = options?.signal;
    const leave = (): void => leaving.abort(signal!.reason);
    if (signal?.aborted) leave();
    signal?.addEventListener('abort', leave, { once: true });
    try {
      return await this.#sessions.take({ timeout: options?.timeout, signal: leaving.signal }, (session) => {
        this.#candidate = new Hold(this.#sessions, session);
        return this.#candidate.call(call);
      });
    } finally {
      signal?.removeEventListener('abort', leave);
    }
  }
}
