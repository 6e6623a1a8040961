/** The resource of the soak: it has a number, and methods of every kind. */
import { errandOf, type Ledger } from './ledger.ts';

export class Tool {
  readonly number: number;
  readonly #ledger: Ledger;
  readonly #errand: number;

  constructor(number: number, ledger: Ledger, ownersLife: number) {
    this.number = number;
    this.#ledger = ledger;
    this.#errand = errandOf(ownersLife);
  }

  id(): number {
    return this.number;
  }

  /** Who has it, as the owner sees it. */
  holder(): number {
    return this.#ledger.holder(this.number);
  }

  slow(ms: number): Promise<number> {
    return new Promise((resolve) => setTimeout(resolve, ms, this.number));
  }

  /** An errand: nobody else may have it all the while. */
  async solo(ms: number, fails: boolean): Promise<number> {
    this.#ledger.swapIn(this.number, this.#errand);
    if (ms > 0) await this.slow(ms);
    this.#ledger.swapOut(this.number, this.#errand);
    if (fails) throw new Error('chaos: an errand');
    return this.number;
  }

  fail(): never {
    throw new Error('chaos: a method');
  }

  hang(): Promise<never> {
    return new Promise(() => {});
  }
}
