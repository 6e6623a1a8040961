/** When the owner takes a turn: at once if it is asked to, and once more if it is asked to during a turn. */
export class TurnLoop {
  readonly #run: () => void;
  #isRunning = false;
  #again = false;

  /** `run`: one turn. */
  constructor(run: () => void) {
    this.#run = run;
  }

  /** Something may have changed: takes a turn at once. If a turn is under way already, that one goes round once more. */
  request(): void {
    this.#again = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      while (this.#again) {
        this.#again = false;
        this.#run();
      }
    } finally {
      this.#isRunning = false;
    }
  }
}
