/**
 * What the parts of a program that can be cancelled (jobs) ask on connections by themselves, and how it ends when they do. By calls of the
 * owner it would end as all calls do.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { abortReason, type Cancellation, SharedAbortListeners } from '../../shared/index.ts';
import { PLACE, Roster, type Rostered } from './roster.ts';
import type { Sessions } from './sessions.ts';

interface Asked extends Rostered {
  readonly signal: AbortSignal;
  end(reason: unknown): void;
}

export class Parts {
  readonly #sessions: Sessions;
  /** The context of no part. */
  readonly outside = AsyncLocalStorage.snapshot();
  readonly #asked = new Roster<Asked>();
  readonly #signals = new SharedAbortListeners((signal) => this.#aborted(signal));

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  /** The part that the present code belongs to. */
  get present(): Cancellation | undefined {
    return this.#sessions.presentPart!();
  }

  /** Throws the reason if the part that the present code belongs to is to end, and has not been told. */
  assertGoesOn(): void {
    const box = this.present?.untold();
    if (box !== undefined) throw box.reason;
  }

  /** The same function, called in the present context. */
  bound<V>(body: () => V): () => V {
    const here = AsyncLocalStorage.snapshot();
    return () => here(body);
  }

  /**
   * Asks, for the part that the present code belongs to. When that is to end, this rejects with the reason, and then `leave` is called,
   * outside of all parts. `leave` must not throw.
   */
  follow<V>(ask: () => Promise<V>, leave: (reason: unknown) => void): Promise<V> {
    const signal = this.present?.signal;
    // One that has aborted is of a part that cleans up.
    if (signal === undefined || signal.aborted) return ask();
    return new Promise((resolve, reject) => {
      const asked: Asked = {
        [PLACE]: undefined,
        signal,
        end: (reason) => {
          reject(reason);
          this.outside(() => leave(reason));
        },
      };
      const settled = (): void => {
        if (this.#asked.delete(asked)) this.#signals.remove(signal);
      };
      this.#asked.add(asked);
      this.#signals.add(signal);
      ask().then(
        (value) => {
          settled();
          resolve(value);
        },
        (error) => {
          settled();
          reject(error);
        },
      );
    });
  }

  #aborted(signal: AbortSignal): void {
    for (const asked of this.#asked.all())
      if (asked.signal === signal && this.#asked.delete(asked)) {
        this.#signals.remove(signal);
        asked.end(abortReason(signal));
      }
  }
}
