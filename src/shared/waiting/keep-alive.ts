/**
 * Keeps the event loop alive while something of ours is pending, and not a moment longer. A pending Atomics.waitAsync, a promise of
 * postMessageToThread and an unref'd port do not.
 */
import { LONGEST } from '../clock.ts';
import { clearInterval, setInterval } from '../node.ts';

export class KeepAlive {
  #pending = 0;
  #timer: NodeJS.Timeout | undefined;

  ref(): void {
    if (this.#pending++ > 0) return;
    if (this.#timer === undefined) this.#timer = setInterval(() => {}, LONGEST);
    else this.#timer.ref();
  }

  unref(): void {
    if (--this.#pending === 0) this.#timer?.unref();
  }

  /** Holds until the promise has settled. */
  async during<V>(promise: PromiseLike<V>): Promise<V> {
    this.ref();
    try {
      return await promise;
    } finally {
      this.unref();
    }
  }

  /** Nothing will be pending any more. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
