/**
 * Statements for which no connection was borrowed, on a thread that speaks to connections by itself. They stand in one queue here, and the
 * thread stands in the pool's line for them: with a place for each, but no more than there are connections, so that a thread with many
 * statements does not keep the others waiting. A connection that is granted serves the first, and with it what may go along.
 */
import type { Companion, Company } from '../../shared/options/company.ts';
import type { Answer } from '../messages/protocol.ts';
import { Hold } from './hold.ts';
import type { RemoteSession, Sessions } from './way.ts';

/** The arguments of a session's `speakOnce`. */
export type SingleArguments = Parameters<RemoteSession['speakOnce']>;

/** So many places a thread may have without looking how many connections there are. */
const FEW = 4;

class Single implements Companion {
  readonly args: SingleArguments;
  readonly since = performance.now();
  readonly answer: Promise<Answer>;
  hasBegun = false;
  resolve!: (answer: Answer | PromiseLike<Answer>) => void;
  reject!: (error: unknown) => void;
  readonly #singles: Singles;

  constructor(singles: Singles, args: SingleArguments) {
    this.#singles = singles;
    this.args = args;
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  // ── gone along with another one

  begin(): boolean {
    if (this.hasBegun) return false;
    this.hasBegun = true;
    this.#singles.remove(this);
    return true;
  }

  back(): void {
    if (!this.hasBegun) this.#singles.putBack(this);
  }

  end(answer?: unknown): void {
    if (answer !== undefined) this.resolve(answer as Answer | Promise<Answer>);
  }
}

export class Singles implements Company {
  readonly #sessions: Sessions;
  /** How many statements a connection serves before it goes to the next in line. */
  readonly #most: number;
  /** The line has a bound: each statement has a place of its own, so that it counts. */
  readonly #isCounted: boolean;
  readonly #queue: Single[] = [];
  #places = 0;
  /** How many may still go along now. */
  #left = 0;

  constructor(sessions: Sessions, most: number, isCounted: boolean) {
    this.#sessions = sessions;
    this.#most = most;
    this.#isCounted = isCounted;
  }

  /** How many wait that have no place in the line. */
  get uncounted(): number {
    return Math.max(0, this.#queue.length - this.#places);
  }

  ask(args: SingleArguments): Promise<Answer> {
    const single = new Single(this, args);
    this.#queue.push(single);
    this.#stand();
    return single.answer;
  }

  remove(single: Single): void {
    const at = this.#queue.indexOf(single);
    if (at !== -1) this.#queue.splice(at, 1);
  }

  /** It is the first again. */
  putBack(single: Single): void {
    if (this.#queue.includes(single)) return;
    this.#queue.unshift(single);
    this.#stand();
  }

  // ── the line

  #stand(): void {
    while (this.#places < this.#queue.length && this.#mayStand()) this.#takePlace(this.#queue[this.#places]);
  }

  #mayStand(): boolean {
    return this.#places < FEW || this.#isCounted || this.#places < this.#sessions.stats().max;
  }

  /** `single` says how long the place may wait. Which one is served is decided when a connection is granted. */
  #takePlace({ since }: Single): void {
    this.#places++;
    let isGranted = false;
    const leave = (): void => {
      if (!isGranted) this.#places--;
      isGranted = true;
    };
    const { acquireTimeout } = this.#sessions;
    const left = acquireTimeout === 0 ? 0 : Math.max(1, acquireTimeout - (performance.now() - since));
    this.#sessions
      .take({ timeout: left }, (session) => {
        leave();
        this.#serve(session);
      })
      .catch((error) => {
        if (isGranted) return;
        leave();
        const first = this.#queue.shift();
        if (first === undefined) return;
        first.hasBegun = true;
        first.reject(error);
        this.#stand();
      });
  }

  /** Must not throw. */
  #serve(session: RemoteSession): void {
    const hold = new Hold(this.#sessions, session);
    const first = this.#queue.shift();
    if (first !== undefined) {
      first.hasBegun = true;
      this.#left = this.#most - 1;
      const served = hold.speakAlone(first.args, this, (answer) => first.resolve(answer));
      served?.then(first.resolve, first.reject);
    }
    // When it is through.
    void hold.giveBack();
    this.#stand();
  }

  next(fits: (args: readonly unknown[]) => boolean): Companion | undefined {
    const next = this.#queue[0];
    if (this.#left === 0 || next === undefined || !fits(next.args)) return undefined;
    this.#left--;
    this.#queue.shift();
    return next;
  }
}
