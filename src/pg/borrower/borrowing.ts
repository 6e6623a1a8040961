/** A connection on its way to a scope, and the calls that wait for it. Calls are made on it in the order in which they were asked. */
import type { AcquireOptions } from '../../worker/index.ts';
import { receiveError } from '../messages/database-error.ts';
import type { Answer } from '../messages/protocol.ts';
import { type Granted, isEnough } from './borrow.ts';
import { Hold } from './hold.ts';
import type { Lender } from './lender.ts';
import type { Limits } from './limits.ts';
import type { Leaver, RemoteSession } from './sessions.ts';
import type { Call } from './way.ts';

interface Waiting {
  readonly limits: Limits;
  /** Undefined: the asker only wants the connection. */
  readonly call: Call | undefined;
  readonly resolve: (granted: Granted | PromiseLike<Granted>) => void;
  readonly reject: (error: unknown) => void;
  /** The asker need not wait for others any more: its call has been made, or it is the first. */
  readonly begin: () => void;
}

export const hello: Call = (session, id) => session.hello(id);

export class Borrowing implements Leaver {
  readonly #lender: Lender;
  readonly #arrived: (hold: Hold) => void;
  #waiting: Waiting[] = [];
  /** The connection that was borrowed; the first call is on its way there. Only its answer tells whether the connection is still alive. */
  #candidate: Hold | undefined;
  /** That first call is one of those that wait. */
  #isFirstSent = false;
  #hasArrived = false;
  #ended: Promise<void> | undefined;
  /** Takes the borrow out of the line. */
  #leave: ((reason: unknown) => void) | undefined;

  /** `arrived` is told of the connection before the calls that wait are made on it. */
  constructor(lender: Lender, arrived: (hold: Hold) => void) {
    this.#lender = lender;
    this.#arrived = arrived;
  }

  /** True while calls wait for the connection. */
  get isAwaited(): boolean {
    return this.#waiting.length > 0;
  }

  get hasArrived(): boolean {
    return this.#hasArrived;
  }

  get candidate(): Hold | undefined {
    return this.#candidate;
  }

  /** Resolves when no call waits any more. Never rejects. Undefined: none has. */
  get ended(): Promise<void> | undefined {
    return this.#ended;
  }

  /**
   * Makes the call as soon as there is a connection. The first waiter borrows, by its own limits; if that fails, the next waiter does.
   * The others wait for that within their own limits.
   */
  ask(limits: Limits, call: Call | undefined): Promise<Granted> {
    if (this.#waiting.length > 0) return this.#askBehind(limits, call);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ limits, call, resolve, reject, begin: () => {} });
      this.#ended = this.#run();
    });
  }

  async #askBehind(limits: Limits, call: Call | undefined): Promise<Granted> {
    let waiting!: Waiting;
    let begun!: Promise<void>;
    const granted = new Promise<Granted>((resolve, reject) => {
      begun = new Promise((begin) => {
        waiting = { limits, call, resolve, reject, begin };
      });
    });
    this.#waiting.push(waiting);
    // The asker learns of a failure below, where this promise is awaited.
    granted.catch(() => {});
    try {
      await limits.within(begun);
    } catch (error) {
      const at = this.#waiting.indexOf(waiting);
      if (at > 0) this.#waiting.splice(at, 1);
      throw error;
    }
    return granted;
  }

  /**
   * Brings the connection: the candidate, which is alive, or a connection that was borrowed by other means. All calls that wait are made
   * at once.
   */
  arrive(hold: Hold): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#hasArrived = true;
    if (this.#isFirstSent) waiting.shift();
    if (this.#candidate === undefined) this.#leave?.(ELSEWHERE);
    this.#arrived(hold);
    for (const { call, resolve, reject, begin } of waiting) {
      if (call === undefined) resolve({ hold, answer: undefined });
      else hold.call(call).then((answer) => resolve({ hold, answer }), reject);
      begin();
    }
  }

  async #run(): Promise<void> {
    for (let attempts = 1; this.#waiting.length > 0; ) {
      const first = this.#waiting[0];
      first.begin();
      // What listeners ask of the connection comes before everything else. Only a connection that is alive is shown to them.
      const isShown = this.#lender.isListenedTo;
      try {
        const answer = await this.#borrow(first.limits, isShown ? hello : (first.call ?? hello), !isShown);
        const hold = this.#candidate!;
        if (!this.#hasArrived) {
          if (answer.unsent && !isEnough(this.#lender.sessions, attempts++)) {
            this.#dismiss();
            continue;
          }
          if (isShown) {
            if (answer.error !== undefined) throw receiveError(answer.error);
            await this.#lender.configure(hold);
            this.#lender.announce(hold);
          }
          this.arrive(hold);
        }
        return isShown ? undefined : first.resolve({ hold, answer });
      } catch (error) {
        // A caller that brought another connection meanwhile has made the first call on that one.
        if (this.#hasArrived && !this.#isFirstSent) return;
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
    this.#isFirstSent = false;
  }

  /** The first call is made in the moment of the grant, because this thread may block before it comes back to its promises. */
  async #borrow(limits: Limits, call: Call, isAwaited: boolean): Promise<Answer> {
    const { sessions } = this.#lender;
    const taken = (session: RemoteSession): Promise<Answer> => {
      this.#candidate = new Hold(sessions, session, 0, this.#lender.profile);
      this.#isFirstSent = isAwaited;
      this.#lender.met(this.#candidate);
      return this.#candidate.call(call);
    };
    try {
      return await sessions.take(limits.left ?? NONE, taken, this);
    } finally {
      this.#leave = undefined;
    }
  }

  /** See Leaver. */
  waits(leave: (reason: unknown) => void): void {
    this.#leave = leave;
  }
}

const NONE: AcquireOptions = {};
/** No caller hears of it. */
const ELSEWHERE = new Error('the connection was borrowed by other means');
