/** Something that a program waits for, until it has come about, its time is over, or the pool ends. */
import { PoolClosedError } from '../../shared/errors.ts';
import { clearTimeout, setTimeout } from '../../shared/node.ts';
import { show } from '../../shared/show.ts';
import { abortReason, SharedAbortListeners } from '../../shared/waiting/abort-signals.ts';
import type { Turn } from '../turn/turn.ts';

/** Why a pool that is not open any more is not steered. */
export const notOpen = (pool: string, { life }: Turn): PoolClosedError =>
  new PoolClosedError(`pool ${show(pool)} is ${life.isClosing ? 'closed' : 'draining'}`, pool);

export class Pending<V> {
  readonly promise: Promise<V>;
  #resolve: (value: V) => void = () => {};
  #reject: (error: unknown) => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #signal: AbortSignal | undefined;
  readonly #signals = new SharedAbortListeners((signal) => this.fail(abortReason(signal)));
  #isOver = false;
  /** What else is to be done when it is given up. */
  readonly #givenUp: (error: unknown) => void;

  constructor(givenUp: (error: unknown) => void = () => {}) {
    this.#givenUp = givenUp;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.promise.catch(() => {});
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Given up with what `late` makes after so long, in ms. 0: no limit. */
  within(timeout: number, late: () => unknown): this {
    if (timeout > 0 && !this.#isOver) this.#timer = setTimeout(() => this.fail(late()), timeout);
    return this;
  }

  /** Given up with the signal's reason. A signal that is not Node's may throw: then with that. */
  unless(signal: AbortSignal | undefined): this {
    if (signal === undefined || this.#isOver) return this;
    this.#signal = signal;
    try {
      this.#signals.add(signal);
      if (signal.aborted) this.fail(abortReason(signal));
    } catch (error) {
      this.fail(error);
    }
    return this;
  }

  done(value: V): void {
    if (this.#end()) this.#resolve(value);
  }

  fail(error: unknown): void {
    if (!this.#end()) return;
    this.#givenUp(error);
    this.#reject(error);
  }

  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#timer);
    if (this.#signal !== undefined) this.#signals.remove(this.#signal);
    return true;
  }
}
