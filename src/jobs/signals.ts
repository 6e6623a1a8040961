/** The signals that cancel jobs: one listener for each, however many jobs it is for. What is over leaves nothing behind. */
import { abortReason } from '../shared/index.ts';

/** What a signal ends. */
export interface Abortable {
  cancel(reason: unknown): unknown;
}

export class Signals {
  readonly #listening = new Map<AbortSignal, { readonly of: Set<Abortable>; readonly abort: () => void }>();

  /**
   * A signal that has aborted cancels at once. One that is not Node's may abort as it is listened to, or throw: that cancels, too, with
   * what it has thrown.
   */
  add(signal: AbortSignal, of: Abortable): void {
    let isAborted: boolean;
    try {
      isAborted = signal.aborted;
      if (!isAborted) this.#listen(signal, of);
    } catch (error) {
      return void of.cancel(error);
    }
    if (isAborted) of.cancel(abortReason(signal));
  }

  #listen(signal: AbortSignal, of: Abortable): void {
    const known = this.#listening.get(signal);
    if (known !== undefined) {
      known.of.add(of);
      return;
    }
    const all = new Set([of]);
    const abort = (): void => {
      for (const each of [...all]) each.cancel(abortReason(signal));
    };
    this.#listening.set(signal, { of: all, abort });
    try {
      signal.addEventListener('abort', abort, { once: true });
    } catch (error) {
      this.#listening.delete(signal);
      throw error;
    }
  }

  remove(signal: AbortSignal, of: Abortable): void {
    const entry = this.#listening.get(signal);
    if (entry === undefined || !entry.of.delete(of) || entry.of.size > 0) return;
    this.#listening.delete(signal);
    try {
      signal.removeEventListener('abort', entry.abort);
    } catch {
      // Its listener stays, and finds nothing to cancel.
    }
  }
}
