/** What the server says unasked, on its way to the borrower: with the next answer, or at once to a borrower that listens. */
import type { Answer, Heard } from '../messages/protocol.ts';

/**
 * How many notices and notifications are kept for the next answer of a borrower that does not listen. It may never ask again, or have no
 * use for them, and the memory is the owner's. Of one that listens all are kept: the server says how many there are, as with pg.
 */
const MOST_UNHEEDED = 1000;

interface Listening {
  readonly borrow: string;
  readonly resolve: (answer: Answer) => void;
}

export class Hearing {
  #heard: Heard[] = [];
  /** How many more there were. */
  #unheard = 0;
  /** The borrower listens. */
  #isHeeded = false;
  readonly #listening: Listening[] = [];

  hear(event: Heard['event'], message: object): void {
    if (this.#isHeeded || this.#heard.length < MOST_UNHEEDED) this.#heard.push({ event, message: { ...message } });
    else this.#unheard++;
  }

  /** The borrower listens, to its end: none of what comes is left out. */
  heed(): void {
    this.#isHeeded = true;
  }

  get isAny(): boolean {
    return this.#heard.length > 0;
  }

  /** All that was heard since the last time. If some was left out, the last one says how many. */
  take(): readonly Heard[] {
    const heard = this.#heard;
    if (heard.length > 0) this.#heard = [];
    if (this.#unheard > 0) heard.push({ event: 'unheard', message: { count: this.#unheard } });
    this.#unheard = 0;
    return heard;
  }

  /** Another borrower begins: what was said before is not for it. */
  forget(): void {
    this.#heard = [];
    this.#unheard = 0;
    this.#isHeeded = false;
  }

  listen(borrow: string): Promise<Answer> {
    return new Promise((resolve) => this.#listening.push({ borrow, resolve }));
  }

  /** Those that listen, to be told now. */
  takeListening(): readonly Listening[] {
    return this.#listening.splice(0);
  }
}
