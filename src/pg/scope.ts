/** One connection for everything inside: borrowed when something needs it, kept while something is open on it, and lent to others in between. */
import type { QueryResult } from 'pg';
import type { AcquireOptions } from '../worker/index.ts';
import { TransactionRolledBackError } from './begin.ts';
import { receiveError } from './database-error.ts';
import { GIVEN_UP, type Hold, type RemoteSession, resultOf } from './hold.ts';
import type { Lender } from './lender.ts';
import { Limits } from './limits.ts';
import type { Answer } from './protocol.ts';
import { argumentsOf, type Question } from './question.ts';

const ROLLBACK = /^\s*(?:rollback|abort)(?:\s+(?:work|transaction))?(?:\s+and\s+no\s+chain)?\s*(?:;|$)/i;

export class Scope {
  readonly #lender: Lender;
  #hold: Hold | undefined;
  #borrowing: Promise<Hold> | undefined;
  /** Who uses the connection just now: queries, clients, cursors, transactions. */
  #uses = 0;
  /** Transactions that must not move to another connection. */
  #transactions = 0;
  readonly #returning = new Set<Promise<void>>();
  /**
   * The connection that was lost or given up in the middle of a transaction, or of whatever else had it pinned; or may have been, while
   * calls on it are under way.
   */
  #gone: Hold | undefined;
  #isOver = false;

  constructor(lender: Lender) {
    this.#lender = lender;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The connection that it has now, if it has one. */
  get hold(): Hold | undefined {
    return this.#hold;
  }

  /** It is getting a connection, which can only come when this thread is back at its event loop. */
  get isBusy(): boolean {
    return this.#borrowing !== undefined;
  }

  /** A connection borrowed by somebody else's means, without waiting. */
  adopt(hold: Hold): void {
    this.#hold = hold;
    this.#uses++;
  }

  /** Its connection, until `leave`. */
  async enter(options?: AcquireOptions): Promise<Hold> {
    const { hold, answer } = await this.enterWith(options, hello);
    if (answer?.error === undefined) return hold;
    this.leave();
    throw receiveError(answer.error);
  }

  /** Those of one that is about to enter. */
  limits(options?: AcquireOptions): Limits {
    return new Limits(options, this.#lender.acquireTimeout, (timeout) => this.#lender.timedOut(timeout));
  }

  /** The same; with no connection yet, borrows one by making this call on it. No answer: it has not been made. */
  async enterWith(
    options: AcquireOptions | undefined,
    first: (session: RemoteSession, borrow: string) => Promise<Answer>,
    limits = this.limits(options),
  ): Promise<{ hold: Hold; answer: Answer | undefined }> {
    this.#assertOpen(options);
    this.#uses++;
    try {
      for (;;) {
        if (this.#borrowing !== undefined) {
          // If it fails, that was by the limits of whoever began it.
          const hold = await limits.within(this.#borrowing.catch(() => undefined));
          if (hold !== undefined) return { hold, answer: undefined };
        } else if (this.#isInDoubt) await limits.within(this.#gone!.answered());
        else break;
        this.#assertOpen(options);
      }
      this.giveBackBroken();
      this.#assertNotLost();
      if (this.#hold !== undefined) return { hold: this.#hold, answer: undefined };
      const borrowing = this.#lender.borrow(limits.left, first);
      this.#borrowing = borrowing.then(({ hold }) => hold);
      this.#borrowing.catch(() => {});
      try {
        const { hold, answer } = await borrowing;
        this.#hold = hold;
        return { hold, answer };
      } finally {
        this.#borrowing = undefined;
      }
    } catch (error) {
      this.#uses--;
      throw error;
    }
  }

  #assertOpen(options: AcquireOptions | undefined): void {
    options?.signal?.throwIfAborted();
    // Nobody would give back what it borrows now.
    if (this.#isOver) throw new Error('this scope is over: await everything that uses the pool before its body returns');
    this.#assertNotLost();
  }

  /**
   * What was begun went with the connection, and the server has rolled it back. Whoever goes on as if it were still there is stopped, like in a transaction that has failed: until
   * ROLLBACK, or the end of the scope.
   */
  #assertNotLost(): void {
    if (this.#gone?.lost !== undefined) throw new TransactionRolledBackError(this.#gone.lost, GIVEN_UP);
  }

  /** The connection has gone while calls were under way on it, and only their answers tell whether they have begun something. */
  get #isInDoubt(): boolean {
    return this.#gone?.lost === undefined && this.#gone?.isCalling === true;
  }

  /** For a call that blocks this thread, with no connection here: may another one be borrowed? */
  assertMayBorrow(): void {
    this.#assertNotLost();
    if (this.#isInDoubt)
      throw new Error('the connection of this scope was given up while queries ran on it: await them before a query that blocks');
  }

  /** A ROLLBACK, of the whole and not to a savepoint: whoever says that knows. */
  forgive({ text }: Question): void {
    this.giveBackBroken();
    if (this.#gone !== undefined && text !== undefined && ROLLBACK.test(text)) this.#gone = undefined;
  }

  /** A transaction has to stay on its connection, broken or not. */
  giveBackBroken(): void {
    if (this.#hold?.isBroken && this.#transactions === 0) this.#giveBack();
  }

  leave(): void {
    if (--this.#uses === 0 && this.#transactions === 0 && (!this.#hold?.isPinned || this.#hold.isBroken)) this.#giveBack();
  }

  async run(question: Question): Promise<QueryResult<any>> {
    this.forgive(question);
    const { hold, answer } = await this.enterWith(undefined, (session, id) => session.run(id, ...argumentsOf(question)));
    try {
      return answer === undefined ? await hold.run(question) : resultOf(answer, question);
    } finally {
      this.leave();
    }
  }

  /** The connection stays, lost or not, until the other. */
  beginTransaction(): void {
    this.#transactions++;
  }

  endTransaction(): void {
    this.#transactions--;
  }

  /** Its borrower has it destroyed. What uses it sees that; a transaction stays with it, and is refused everything, until its end. */
  destroy(error: Error): void {
    this.#keep(this.#hold?.giveBack(error));
    this.giveBackBroken();
  }

  #giveBack(): void {
    const hold = this.#hold;
    this.#hold = undefined;
    this.#keep(hold?.giveBack());
    if (hold?.isBroken && this.#gone?.lost === undefined) this.#gone = hold;
  }

  #keep(returning: Promise<void> | undefined): void {
    if (returning === undefined) return;
    this.#returning.add(returning);
    void returning.then(() => this.#returning.delete(returning));
  }

  /** Nothing of it is left when this resolves: rolled back, reset, given back. Never rejects. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#borrowing?.catch(() => {});
    this.#giveBack();
    await Promise.all(this.#returning);
  }
}

export const hello = (session: RemoteSession, id: string): Promise<Answer> => session.hello(id);
