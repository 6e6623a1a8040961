/** One listener for each signal, however many wait with it: many may share one, and Node warns of many listeners. */
export class AbortSignals {
  readonly #aborted: (signal: AbortSignal) => void;
  readonly #listening = new Map<AbortSignal, { users: number; readonly stop: () => void }>();

  /** `aborted` is called once for a signal; whoever uses it is to be found there. */
  constructor(aborted: (signal: AbortSignal) => void) {
    this.#aborted = aborted;
  }

  /** One more uses this signal, which is not aborted yet. */
  use(signal: AbortSignal): void {
    const known = this.#listening.get(signal);
    if (known !== undefined) {
      known.users++;
      return;
    }
    const abort = (): void => this.#aborted(signal);
    signal.addEventListener('abort', abort, { once: true });
    this.#listening.set(signal, { users: 1, stop: () => signal.removeEventListener('abort', abort) });
  }

  /** One less. */
  letGo(signal: AbortSignal): void {
    const known = this.#listening.get(signal);
    if (known === undefined || --known.users > 0) return;
    known.stop();
    this.#listening.delete(signal);
  }
}
