/** The resource of the soak: it has a number, and methods of every kind. */
import type { Ledger } from './ledger.ts';

export class Tool {
  readonly number: number;
  readonly #ledger: Ledger;

  constructor(number: number, ledger: Ledger) {
    this.number = number;
    this.#ledger = ledger;
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

  fail(): never {
    throw new Error('chaos: a method');
  }

  hang(): Promise<never> {
    return new Promise(() => {});
  }
}
