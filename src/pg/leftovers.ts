/** What has been left in a session, as far as the texts tell that were run in it, and how it is undone. */
import type { Client, QueryConfig } from 'pg';
import { CLEAN, DIRTY, type Dirt, type Reading, readStatement } from './dirt.ts';

export type Reset = 'auto' | 'always' | 'never';

export class Leftovers {
  readonly #reset: Reset;
  /** What made the session what a new one is. */
  readonly #setup: QueryConfig[];
  #dirt: Dirt = CLEAN;
  #isUsed = false;

  constructor(reset: Reset, setup: readonly QueryConfig[]) {
    this.#reset = reset;
    this.#setup = setup.filter(({ text }) => readStatement(text).dirt !== CLEAN);
  }

  touch({ dirt }: Reading): void {
    this.#isUsed = true;
    if (dirt > this.#dirt) this.#dirt = dirt;
  }

  /** Whoever set it comes back for it. */
  get isOnPurpose(): boolean {
    return this.#dirt === DIRTY;
  }

  get isAny(): boolean {
    return this.#reset === 'always' ? this.#isUsed : this.#reset === 'auto' && this.#dirt !== CLEAN;
  }

  /** What this statement has left belongs to the session from now on. Of what a borrower has left it changes nothing. */
  adopt({ dirt }: Reading, text: string, values: readonly unknown[] | undefined): void {
    if (dirt !== CLEAN) this.#setup.push({ text, ...(values === undefined ? {} : { values: [...values] }) });
  }

  /** As new. `discarded` is called when nothing is prepared any more, and what makes it new may be prepared again. */
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
