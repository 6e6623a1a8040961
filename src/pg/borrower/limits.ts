/** Timeout and signal of one borrower, for the time in which it waits together with others or is not in line yet. */
import { clearTimeout, setTimeout } from 'node:timers';
import type { AcquireOptions } from '../../worker/index.ts';

export class Limits {
  readonly #options: AcquireOptions | undefined;
  /** In ms from the creation of this object. 0: no limit. */
  readonly #timeout: number;
  readonly #timedOut: (timeout: number) => Error;
  readonly #since = performance.now();
  #hasWaited = false;

  /** `acquireTimeout` (ms) counts for a borrower that sets no timeout of its own. */
  constructor(options: AcquireOptions | undefined, acquireTimeout: number, timedOut: (timeout: number) => Error) {
    this.#options = options;
    this.#timeout = options?.timeout ?? acquireTimeout;
    this.#timedOut = timedOut;
  }

  /** The limits that are left, as options for `acquire`. */
  get left(): AcquireOptions | undefined {
    if (!this.#hasWaited || this.#timeout === 0) return this.#options;
    return { ...this.#options, timeout: Math.max(1, this.#timeout - (performance.now() - this.#since)) };
  }

  /** Settles as the promise does, or rejects as `acquire` does when a limit is reached. The promise goes on for the other waiters. */
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
