/** What the server says unasked, on its way to the borrower: with the next answer, or at once to a borrower that listens. */
import type { Answer, Heard } from '../messages/protocol.ts';

/** How many notices and notifications are kept for the next answer, at most. */
const MOST_HEARD = 1000;

interface Listening {
  readonly borrow: string;
  readonly resolve: (answer: Answer) => void;
}

export class Hearing {
  #heard: Heard[] = [];
  readonly #listening: Listening[] = [];

  hear(event: Heard['event'], message: object): void {
    if (this.#heard.length < MOST_HEARD) this.#heard.push({ event, message: { ...message } });
  }

  get isAny(): boolean {
    return this.#heard.length > 0;
  }

  /** All that was heard since the last time. */
  take(): readonly Heard[] {
    const heard = this.#heard;
    if (heard.length > 0) this.#heard = [];
    return heard;
  }

  /** Another borrower begins: what was said before is not for it. */
  forget(): void {
    this.#heard = [];
  }

  listen(borrow: string): Promise<Answer> {
    return new Promise((resolve) => this.#listening.push({ borrow, resolve }));
  }

  /** Those that listen, to be told now. */
  takeListening(): readonly Listening[] {
    return this.#listening.splice(0);
  }
}
