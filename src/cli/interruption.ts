/** Ctrl-C: the first one ends the run with the results that there are, a second one ends it at once. */

/** npm passes on the SIGINT that the terminal has already sent. A second one within this time, in ms, is taken for the first. */
const SAME_SIGNAL = 500;

export class Interruption {
  readonly #controller = new AbortController();
  #first: number | undefined;

  /** Aborted from the first SIGINT on. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Notes a SIGINT. True if the run is to end at once. `now`: milliseconds, on any clock. */
  press(now: number): boolean {
    this.#first ??= now;
    this.#controller.abort();
    return now - this.#first > SAME_SIGNAL;
  }
}
