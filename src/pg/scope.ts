/** One connection for everything inside: borrowed when something needs it, kept while something is open on it, and lent to others in between. */
import type { QueryResult } from 'pg';
import type { AcquireOptions } from '../worker/index.ts';
import { TransactionRolledBackError } from './begin.ts';
import { Borrowing, type Granted } from './borrowing.ts';
import { receiveError } from './database-error.ts';
import { type Call, type Hold, resultOf, type Sessions } from './hold.ts';
import { argumentsOf, type Question } from './question.ts';

const ROLLBACK = /^\s*(?:rollback|abort)(?:\s+(?:work|transaction))?(?:\s+and\s+no\s+chain)?\s*(?:;|$)/i;

export class Scope {
  readonly #sessions: Sessions;
  #hold: Hold | undefined;
  #borrowing: Borrowing;
  /** Who uses the connection just now: queries, clients, cursors, transactions. */
  #uses = 0;
  /** Transactions that must not move to another connection. */
  #transactions = 0;
  readonly #returning = new Set<Promise<void>>();
  /** The connection was lost in the middle of a transaction, or of whatever else had it pinned. */
  #lost: Error | undefined;
  #isOver = false;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
    this.#borrowing = this.#newBorrowing();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The connection that it has now, if it has one. */
  get hold(): Hold | undefined {
    return this.#hold;
  }

  /** Its connection, until `leave`. */
  async enter(options?: AcquireOptions): Promise<Hold> {
    const { hold, answer } = await this.enterWith(options, undefined);
    if (answer?.error === undefined) return hold;
    this.leave();
    throw receiveError(answer.error);
  }

  /** The same, and makes this call on it: at once, or, where it has to be borrowed first, when it comes. Calls are made in the order in which they were asked. */
  async enterWith(options: AcquireOptions | undefined, call: Call | undefined): Promise<Granted> {
    this.#assertOpen(options);
    this.#uses++;
    try {
      const hold = this.#hold;
      if (hold !== undefined) return { hold, answer: call && (await hold.call(call)) };
      return await this.#nextBorrowing().ask(options, call);
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  /**
   * `enter` for a caller that blocks: where there is no connection `bring` gets one without waiting for this thread. What waits for it was asked before, and is
   * sent on it before this returns.
   */
  enterSync(bring: (borrowing: Borrowing) => Hold): Hold {
    this.#assertOpen(undefined);
    if (this.#hold === undefined) {
      const borrowing = this.#nextBorrowing();
      borrowing.arrive(bring(borrowing));
    }
    this.#uses++;
    return this.#hold!;
  }

  /** The one that is under way, if there is one. */
  #nextBorrowing(): Borrowing {
    if (this.#borrowing.hasArrived) this.#borrowing = this.#newBorrowing();
    return this.#borrowing;
  }

  #newBorrowing(): Borrowing {
    return new Borrowing(this.#sessions, (hold) => {
      this.#hold = hold;
    });
  }

  #assertOpen(options: AcquireOptions | undefined): void {
    options?.signal?.throwIfAborted();
    // Nobody would give back what it borrows now.
    if (this.#isOver) throw new Error('this scope is over: await everything that uses the pool before its body returns');
    if (this.#hold?.isBroken && this.#transactions === 0) this.#giveBack();
    this.assertNotLost();
  }

  /**
   * What was begun went with the connection, and the server has rolled it back. Whoever goes on as if it were still there is stopped, like in a transaction that has failed: until
   * ROLLBACK, or the end of the scope.
   */
  assertNotLost(): void {
    if (this.#lost === undefined) return;
    throw new TransactionRolledBackError(
      this.#lost,
      'the connection was lost in the middle of a transaction, which is rolled back; nothing is done until ROLLBACK',
    );
  }

  /** A ROLLBACK, of the whole and not to a savepoint: whoever says that knows. */
  forgive({ text }: Question): void {
    if (this.#hold?.isBroken && this.#transactions === 0) this.#giveBack();
    if (this.#lost !== undefined && text !== undefined && ROLLBACK.test(text)) this.#lost = undefined;
  }

  leave(): void {
    if (--this.#uses === 0 && this.#transactions === 0 && (!this.#hold?.isPinned || this.#hold.isBroken)) this.#giveBack();
  }

  async run(question: Question): Promise<QueryResult<any>> {
    this.forgive(question);
    this.#hold?.assertNoSecondBegin(question);
    const { answer } = await this.enterWith(undefined, (session, id) => session.run(id, ...argumentsOf(question)));
    try {
      return resultOf(answer!, question);
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

  /** What uses the connection now sees it destroyed. */
  destroy(error: Error): void {
    const hold = this.#hold;
    this.#hold = undefined;
    this.#keep(hold?.giveBack(error));
  }

  #giveBack(): void {
    const hold = this.#hold;
    this.#hold = undefined;
    this.#lost ??= hold?.lost;
    this.#keep(hold?.giveBack());
  }

  #keep(returning: Promise<void> | undefined): void {
    if (returning === undefined) return;
    this.#returning.add(returning);
    void returning.then(() => this.#returning.delete(returning));
  }

  /** Nothing of it is left when this resolves: rolled back, reset, given back. Never rejects. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#borrowing.ended;
    this.#giveBack();
    await Promise.all(this.#returning);
  }
}
