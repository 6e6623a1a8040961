/** Ctrl-C: the first one ends the run with what there is, another one ends it at once. */

/** npm passes on the SIGINT that the terminal has already sent to us as well: within this time it is the same one. Milliseconds. */
const SAME_SIGNAL = 500;

export class Interruption {
  readonly #controller = new AbortController();
  #first: number | undefined;

  /** Aborted from the first one on. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it is to end at once. `now`: milliseconds, on any clock. */
  press(now: number): boolean {
    this.#first ??= now;
    this.#controller.abort();
    return now - this.#first > SAME_SIGNAL;
  }
}
