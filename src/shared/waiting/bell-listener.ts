/** One standing Atomics.waitAsync for a thread with an event loop, for as long as there is something to hear. */
import type { Bells } from '../words/bell.ts';

export class BellListener {
  readonly #bells: Bells;
  readonly #me: number;
  readonly #isWanted: () => boolean;
  readonly #onRing: () => void;
  #listening = false;
  #isOver = false;

  /** `heard` is called after each ring as long as `wanted()`; it must look at everything that the bell may be about. */
  constructor(bells: Bells, me: number, wanted: () => boolean, heard: () => void) {
    this.#bells = bells;
    this.#me = me;
    this.#isWanted = wanted;
    this.#onRing = heard;
  }

  /** Listens from now on: look once more afterwards, or before anything can ring. */
  listen(): void {
    if (this.#listening || this.#isOver) return;
    this.#listening = true;
    this.#bells.listen(this.#me, this.#rung);
  }

  /**
   * Before the thread's record becomes another thread's:
   * the standing wait may yet be woken, and must not touch a bell that is no longer ours.
   */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#bells.stopListening(this.#me);
  }

  readonly #rung = (): void => {
    this.#listening = false;
    if (this.#isOver) return;
    if (!this.#isWanted()) {
      this.#bells.stopListening(this.#me);
      return;
    }
    // Listen first, then look: what happens in between rings again.
    this.listen();
    this.#onRing();
  };
}
