/** Taking turns on one connection: what uses it does so one after the other, and what configures it comes first. */
import { setImmediate } from 'node:timers';

export class Turns {
  #tail: Promise<unknown> = Promise.resolve();
  /** The calls of a 'connect' listener that come before the first borrower. */
  #setup: Promise<unknown> | undefined;

  take<V>(body: () => Promise<V>): Promise<V> {
    const turn = this.#tail.then(body);
    this.#tail = turn.catch(() => {});
    return turn;
  }

  /** Calls before the first borrower. They are made one after the other, while that borrower's turn has to wait. */
  takeEarly<V>(body: () => Promise<V>): Promise<V> {
    const turn = (this.#setup ?? Promise.resolve()).then(body);
    this.#setup = turn.catch(() => {});
    return turn;
  }

  get isSettingUp(): boolean {
    return this.#setup !== undefined;
  }

  /** Resolves when a listener asks nothing more: one that was answered may go on from there. */
  async setUp(): Promise<void> {
    for (let last: Promise<unknown> | undefined; last !== this.#setup; ) {
      last = this.#setup;
      await last;
      await new Promise(setImmediate);
    }
    this.#setup = undefined;
  }
}
