/** Cancel requests for what runs on one connection. They go over connections of their own, and must not hit what comes next. */

import type { Backend } from '../driver/backend.ts';
import { cancelUntilReady } from '../driver/ending.ts';

export class Cancels {
  readonly #backend: Backend;
  readonly #request: () => Promise<void>;
  #count = 0;
  #underWay: Promise<unknown> | undefined;

  /** `request` asks the server, once, to cancel what the connection runs. */
  constructor(backend: Backend, request: () => Promise<void>) {
    this.#backend = backend;
    this.#request = request;
  }

  /** How many there have been. What waited when one was made was meant by it as well. */
  get count(): number {
    return this.#count;
  }

  /** Cancels what the borrower has asked so far. Resolves when the server is ready for something else. */
  async cancel(): Promise<void> {
    this.#count++;
    await this.cancelWhatRuns();
  }

  /** Cancels what the server is at, and not what waits. The next turn waits for that. */
  cancelWhatRuns(): Promise<void> {
    const cancelling = this.untilReady();
    this.#underWay = Promise.all([this.#underWay, cancelling]);
    return cancelling;
  }

  untilReady(): Promise<void> {
    return cancelUntilReady(this.#backend.client, this.#request);
  }

  /** Asks the server once. The next turn waits for that. */
  request(): Promise<void> {
    const requesting = this.#request();
    this.#underWay = Promise.all([this.#underWay, requesting]);
    return requesting;
  }

  get isUnderWay(): boolean {
    return this.#underWay !== undefined;
  }

  /** Resolves when no request is under way: nothing that is sent from here on is hit. */
  async settled(): Promise<void> {
    while (this.#underWay !== undefined) {
      const last = this.#underWay;
      await last;
      if (this.#underWay === last) this.#underWay = undefined;
    }
  }
}
