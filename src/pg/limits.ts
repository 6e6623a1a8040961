/** Timeout and signal of one borrower, for what it waits for together with others, or before it is in line. */
import { clearTimeout, setTimeout } from 'node:timers';
import type { AcquireOptions } from '../worker/index.ts';

export class Limits {
  readonly #options: AcquireOptions | undefined;
  /** In ms from its creation. 0: none. */
  readonly #timeout: number;
  readonly #timedOut: (timeout: number) => Error;
  readonly #since = performance.now();
  #hasWaited = false;

  /** `acquireTimeout` is that of a borrower with none of its own. */
  constructor(options: AcquireOptions | undefined, acquireTimeout: number, timedOut: (timeout: number) => Error) {
    this.#options = options;
    this.#timeout = options?.timeout ?? acquireTimeout;
    this.#timedOut = timedOut;
  }

  /** What is left of them, for `acquire`. */
  get left(): AcquireOptions | undefined {
    if (!this.#hasWaited || this.#timeout === 0) return this.#options;
    return { ...this.#options, timeout: Math.max(1, this.#timeout - (performance.now() - this.#since)) };
  }

  /** The promise, or rejects as `acquire` does when a limit is reached: what is promised goes on for the others. */
  async within<V>(promise: Promise<V>): Promise<V> {
    this.#hasWaited = true;
    const signal = this.#options?.signal;
    signal?.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    let abort: (() => void) | undefined;
    try {
      return await new Promise<V>((resolve, reject) => {
        promise.then(resolve, reject);
        if (this.#timeout > 0) {
          const rest = this.#timeout - (performance.now() - this.#since);
          timer = setTimeout(() => reject(this.#timedOut(this.#timeout)), Math.max(0, rest));
        }
        abort = () => reject(signal?.reason);
        signal?.addEventListener('abort', abort, { once: true });
      });
    } finally {
      clearTimeout(timer);
      if (abort !== undefined) signal?.removeEventListener('abort', abort);
    }
  }
}
