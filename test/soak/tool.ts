/** The resource of the soak: it has a number, and methods of every kind. */
import { HANGING, type Ledger, oneShotCallOf } from './ledger.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Tool {
  readonly number: number;
  readonly #ledger: Ledger;
  readonly #oneShotCall: number;
  readonly #fail: (what: string) => void;

  /** What `fail` is told must not depend on whether the caller lives to hear of it. */
  constructor(number: number, ledger: Ledger, ownersLife: number, fail: (what: string) => void) {
    this.number = number;
    this.#ledger = ledger;
    this.#oneShotCall = oneShotCallOf(ownersLife);
    this.#fail = fail;
  }

  id(): number {
    return this.number;
  }

  /** Who has it, as the owner sees it. */
  holder(): number {
    return this.#ledger.holder(this.number);
  }

  /** A call of this borrower: until it has settled nobody else may have the resource, though the borrower may have given it back, or be dead. */
  async slow(ms: number, holder: number): Promise<number> {
    await pause(ms);
    this.#guarded(() => this.#ledger.assertNobodyElse(this.number, holder));
    return this.number;
  }

  /** A one-shot call: nobody else may have it all the while. */
  async solo(ms: number, fails: boolean): Promise<number> {
    this.#guarded(() => this.#ledger.swapIn(this.number, this.#oneShotCall));
    if (ms > 0) await pause(ms);
    this.#guarded(() => this.#ledger.swapOut(this.number, this.#oneShotCall));
    if (fails) throw new Error('chaos: a one-shot call');
    return this.number;
  }

  fail(): never {
    throw new Error('chaos: a method');
  }

  hang(): Promise<never> {
    this.#ledger.count(HANGING);
    return new Promise(() => {});
  }

  #guarded(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#fail((error as Error).message);
    }
  }
}
