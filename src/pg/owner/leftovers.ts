/** What the texts that ran in a session have left there, as far as they tell, and how it is undone. */
import type { Client, QueryConfig } from 'pg';
import { CLEAN, DIRTY, type Dirt, type Reading, readStatement } from '../sql/dirt.ts';
import { withStatement } from '../sql/made.ts';

export type Reset = 'auto' | 'always' | 'never';

export class Leftovers {
  readonly #reset: Reset;
  /** The statements that made the session what a new one is. */
  #setup: readonly QueryConfig[];
  #dirt: Dirt = CLEAN;
  #isUsed = false;

  constructor(reset: Reset, setup: readonly QueryConfig[]) {
    this.#reset = reset;
    this.#setup = setup.filter(({ text }) => readStatement(text).dirt !== CLEAN);
  }

  touch({ dirt }: Pick<Reading, 'dirt'>): void {
    this.#isUsed = true;
    if (dirt > this.#dirt) this.#dirt = dirt;
  }

  get dirt(): Dirt {
    return this.#dirt;
  }

  /** Something was set on purpose: the borrower comes back for it. */
  get isOnPurpose(): boolean {
    return this.#dirt === DIRTY;
  }

  get isAny(): boolean {
    return this.#reset === 'always' ? this.#isUsed : this.#reset === 'auto' && this.#dirt !== CLEAN;
  }

  /** What this statement has left belongs to the session from now on. It does not change what a borrower has left. */
  adopt({ dirt }: Reading, text: string, values: readonly unknown[] | undefined): void {
    if (dirt !== CLEAN) this.#setup = withStatement(this.#setup, { text, ...(values === undefined ? {} : { values: [...values] }) });
  }

  /**
   * Makes the session as good as new. `discarded` is called when nothing is prepared any more, and the statements that make it new may be
   * prepared again.
   */
  async undo(client: Client, discarded: () => void): Promise<void> {
    await client.query('DISCARD ALL');
    discarded();
    for (const config of this.#setup) await client.query({ ...config });
    this.#forget();
  }

  #forget(): void {
    this.#dirt = CLEAN;
    this.#isUsed = false;
  }
}
