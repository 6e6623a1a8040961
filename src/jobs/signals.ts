/** The signals that cancel jobs: one listener for each, however many jobs it is for. What is over leaves nothing behind. */
import { abortReason } from '../shared/index.ts';

/** What a signal ends. */
export interface Abortable {
  cancel(reason: unknown): unknown;
}

export class Signals {
  readonly #listening = new Map<AbortSignal, { readonly of: Set<Abortable>; readonly abort: () => void }>();

  /** The signal has not aborted yet. */
  add(signal: AbortSignal, of: Abortable): void {
    let entry = this.#listening.get(signal);
    if (entry === undefined) {
      const all = new Set<Abortable>();
      entry = {
        of: all,
        abort: () => {
          for (const each of [...all]) each.cancel(abortReason(signal));
        },
      };
      this.#listening.set(signal, entry);
      signal.addEventListener('abort', entry.abort, { once: true });
    }
    entry.of.add(of);
  }

  remove(signal: AbortSignal, of: Abortable): void {
    const entry = this.#listening.get(signal);
    if (entry === undefined || !entry.of.delete(of) || entry.of.size > 0) return;
    this.#listening.delete(signal);
    signal.removeEventListener('abort', entry.abort);
  }
}
