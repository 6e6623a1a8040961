/** Making a session as good as new, and setting it to a borrower's profile, each within `checkTimeout`. */
import type { Backend } from '../driver/backend.ts';
import type { Portals } from '../driver/portals.ts';
import type { Runner } from '../driver/runner.ts';
import { profileWith, statementsOf } from '../messages/profile.ts';
import type { TransactionWatch } from '../messages/transaction-watch.ts';
import type { Fitness } from './fitness.ts';
import type { Leftovers } from './leftovers.ts';
import { inTime } from './time-limit.ts';

export interface CleaningParts {
  readonly backend: Backend;
  readonly transaction: TransactionWatch;
  readonly leftovers: Leftovers;
  readonly portals: Portals;
  readonly runner: Runner;
  readonly fitness: Fitness;
}

export class Cleaning {
  readonly #of: CleaningParts;
  /** In ms. */
  readonly #limit: number;
  /** What the session is set to, beyond what made it. Undefined: that is not known. */
  #profile: string | undefined = '';

  constructor(parts: CleaningParts, limit: number) {
    this.#of = parts;
    this.#limit = limit;
  }

  get profile(): string | undefined {
    return this.#profile;
  }

  /** The borrower has set something that belongs to its profile. */
  adopt(text: string, values: readonly unknown[] | undefined): void {
    this.#profile = profileWith(this.#profile ?? '', text, values);
  }

  /** If this fails, the connection must not be used any more. */
  clean(): Promise<void> {
    return inTime(this.#limit, 'resetting a connection', this.#undo());
  }

  /** Sets the session to another profile. If the server refuses some of it, the session is reset before the next borrower. */
  async change(profile: string): Promise<void> {
    const isAsMade = this.#profile === '';
    this.#profile = undefined;
    await inTime(this.#limit, 'setting up a connection', this.#change(profile, isAsMade));
    this.#profile = profile;
  }

  async #change(profile: string, isAsMade: boolean): Promise<void> {
    const { backend, transaction } = this.#of;
    if (!isAsMade) await this.#renew();
    for (const statement of statementsOf(profile)) await backend.client.query(statement);
    if (transaction.isOpen) throw new Error('what is set in a session before its first query must not begin a transaction');
  }

  async #undo(): Promise<void> {
    const { backend, transaction, leftovers, portals, fitness } = this.#of;
    portals.forget();
    if (transaction.isOpen) await backend.client.query('ROLLBACK');
    await fitness.settle();
    if (!leftovers.isAny) return;
    await this.#renew();
    this.#profile = '';
  }

  #renew(): Promise<void> {
    const { backend, leftovers, runner } = this.#of;
    return leftovers.undo(backend.client, () => runner.forgetStatements());
  }
}
