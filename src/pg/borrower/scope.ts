/**
 * One connection for everything inside. It is borrowed when something needs it, kept while something is open on it, and lent to others in
 * between.
 */
import type { QueryResult } from 'pg';
import type { AcquireOptions } from '../../worker/index.ts';
import { receiveError } from '../messages/database-error.ts';
import { isOfProfile } from '../messages/mode.ts';
import type { TransactionStatus } from '../messages/protocol.ts';
import type { Question } from '../messages/question.ts';
import { Pins } from '../sql/pins.ts';
import { resultOf } from './answers.ts';
import type { Granted } from './borrow.ts';
import { Borrowing } from './borrowing.ts';
import { GIVEN_UP, type Hold } from './hold.ts';
import type { Lender } from './lender.ts';
import { Limits } from './limits.ts';
import { traced } from './query-channel.ts';
import { TransactionRolledBackError } from './rolled-back.ts';
import { PLACE } from './roster.ts';
import { type Call, wayOf } from './way.ts';

const ROLLBACK = /^\s*(?:rollback|abort)(?:\s+(?:work|transaction))?(?:\s+and\s+no\s+chain)?\s*(?:;|$)/i;

export class Scope {
  readonly #lender: Lender;
  #hold: Hold | undefined;
  #borrowing: Borrowing;
  /** How many queries, clients, cursors and transactions use the connection now. */
  #uses = 0;
  /** How many transactions are under way, which must not move to another connection. */
  #transactions = 0;
  #returning: Set<Promise<void>> | undefined;
  [PLACE]: number | undefined;
  /**
   * The connection that was lost or given up in the middle of a transaction, or of whatever else had it pinned. Perhaps it was not in the
   * middle of anything: that is not known while calls are under way on it.
   */
  #gone: Hold | undefined;
  /** What its statements have left on the connection. */
  readonly #pins: Pins;
  /** Its own statements have set up its sessions. */
  #isSetUp = false;
  readonly #arrived: ((hold: Hold) => void) | undefined;
  #isOver = false;

  /** `arrived` is shown each connection before anything is asked on it. */
  constructor(lender: Lender, arrived?: (hold: Hold) => void) {
    this.#lender = lender;
    this.#pins = new Pins(this);
    this.#arrived = arrived;
    this.#borrowing = this.#newBorrowing();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** It has no connection, waits for none, and nothing was lost in it. */
  get isFree(): boolean {
    return this.#hold === undefined && this.#uses === 0 && this.#transactions === 0 && this.#gone === undefined && !this.#isOver;
  }

  /** The connection that the scope has now, if it has one. */
  get hold(): Hold | undefined {
    return this.#hold;
  }

  /** Something may be open on the connection, or will be when it comes: earlier calls on it are not answered yet. */
  get isInUse(): boolean {
    return this.#hold === undefined ? this.#borrowing.isAwaited : this.#isKept(this.#hold) || this.#hold.isCalling;
  }

  /** Something is open on the connection that the borrower comes back for. */
  #isKept(hold: Hold): boolean {
    return hold.isPinned && (hold.status !== 'I' || !this.#pins.isEmpty);
  }

  /** The scope's connection, until `leave`. */
  async enter(options?: AcquireOptions): Promise<Hold> {
    const { hold, answer } = await this.enterWith(options, undefined);
    if (answer?.error === undefined) return hold;
    this.leave();
    throw receiveError(answer.error);
  }

  /** The limits of a caller that is about to enter. */
  limits(options?: AcquireOptions): Limits {
    return new Limits(options, this.#lender.acquireTimeout, (timeout) => this.#lender.timedOut(timeout));
  }

  /**
   * Enters, and makes this call on the connection: at once, or, if the connection has to be borrowed first, when it comes. Calls are made
   * in the order in which they were asked. Each asker waits for the connection within its own limits.
   */
  async enterWith(options: AcquireOptions | undefined, call: Call | undefined, limits = this.limits(options)): Promise<Granted> {
    this.#assertOpen(options);
    this.#uses++;
    try {
      while (this.#isInDoubt) {
        await limits.within(this.#gone!.answered());
        this.#assertOpen(options);
      }
      const hold = this.#hold;
      if (hold !== undefined) return { hold, answer: call && (await hold.call(call)) };
      return await this.#nextBorrowing().ask(limits, call);
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  /**
   * `enter` for a caller that blocks. If there is no connection, `bring` gets one without waiting for this thread. Calls that wait for it
   * were asked before, and are sent on it before this returns.
   */
  enterSync(bring: (borrowing: Borrowing) => Hold): Hold {
    this.#assertOpen(undefined);
    if (this.#hold === undefined) {
      if (this.#isInDoubt)
        throw new Error('the connection of this scope was given up while queries ran on it: await them before a query that blocks');
      const borrowing = this.#nextBorrowing();
      borrowing.arrive(bring(borrowing));
    }
    this.#uses++;
    return this.#hold!;
  }

  /** The borrowing that is under way, if there is one, else a new one. */
  #nextBorrowing(): Borrowing {
    if (this.#borrowing.hasArrived) this.#borrowing = this.#newBorrowing();
    return this.#borrowing;
  }

  #newBorrowing(): Borrowing {
    return new Borrowing(this.#lender, (hold) => {
      this.#hold = hold;
      this.#pins.clear();
      // Listeners have said something there.
      if (this.#lender.isListenedTo && (hold.isPinned || hold.isCalling)) this.#pins.addUnknown();
      this.#arrived?.(hold);
    });
  }

  #assertOpen(options: AcquireOptions | undefined): void {
    options?.signal?.throwIfAborted();
    // What it would borrow now would never be given back.
    if (this.#isOver) throw new Error('this scope is over: await everything that uses the pool before its body returns');
    this.#giveBackBroken();
    this.#assertNotLost();
  }

  /**
   * What was begun has gone with the connection, and the server has rolled it back. Code that goes on as if it were still there is stopped,
   * as in a transaction that has failed, until ROLLBACK or the end of the scope.
   */
  #assertNotLost(): void {
    if (this.#gone?.lost !== undefined) throw new TransactionRolledBackError(this.#gone.lost, GIVEN_UP);
  }

  /** What was begun has gone with its connection, and its borrower has not said that it knows. */
  get isLost(): boolean {
    const gone = this.#hold?.isBroken ? this.#hold : this.#gone;
    return gone?.lost !== undefined;
  }

  /** The connection has gone while calls were under way on it, and only their answers tell whether they have begun something. */
  get #isInDoubt(): boolean {
    return this.#gone?.lost === undefined && this.#gone?.isCalling === true;
  }

  /** A ROLLBACK of the whole transaction, not to a savepoint, says that its asker knows of the loss. */
  forgive({ text }: Question): void {
    this.#giveBackBroken();
    if (this.#gone !== undefined && text !== undefined && ROLLBACK.test(text)) this.#gone = undefined;
  }

  /**
   * Its answer has come. A ROLLBACK that has found the connection lost has told its asker so: what was begun is undone, and nothing goes
   * on as if it were not.
   */
  answered(hold: Hold, { text }: Question): void {
    if (hold.isBroken && text !== undefined && ROLLBACK.test(text)) hold.told();
  }

  /** Gives back a broken connection, unless a transaction is under way: that has to stay on its connection, broken or not. */
  #giveBackBroken(): void {
    this.#hold?.look();
    if (this.#hold?.isBroken && this.#transactions === 0) this.#giveBack();
  }

  leave(): void {
    // What was said on the connection by other means than `run` is not known here.
    this.#pins.addUnknown();
    this.#leave();
  }

  #leave(): void {
    if (--this.#uses === 0 && this.#transactions === 0 && (this.#hold === undefined || !this.#isKept(this.#hold) || this.#hold.isBroken))
      this.#giveBack();
  }

  /** One statement, published as it is. */
  run(question: Question): Promise<QueryResult<any>> {
    return traced(this.#lender.sessions, question, undefined, (granted) => this.#run(question, granted));
  }

  /** `granted` is called when there is a connection, in the moment in which the statement goes. */
  async #run(question: Question, granted: () => void): Promise<QueryResult<any>> {
    this.forgive(question);
    this.#hold?.assertNoSecondBegin(question);
    const call = wayOf(this.#lender.sessions).run(question);
    const { hold, answer } = await this.enterWith(undefined, (session, borrow) => {
      granted();
      return call(session, borrow);
    });
    let result: QueryResult<any> | undefined;
    let thrown: unknown;
    try {
      result = resultOf(answer!, question);
      return result;
    } catch (error) {
      thrown = error;
      throw error;
    } finally {
      this.answered(hold, question);
      if (hold === this.#hold) this.#note(question, answer!.status, result, thrown);
      this.#leave();
    }
  }

  #note(question: Question, status: TransactionStatus, result: QueryResult<any> | undefined, error: unknown): void {
    if (isOfProfile(question.mode)) this.#isSetUp ||= result !== undefined;
    else this.#pins.note(question, status, result, error);
  }

  /** See Beginning. */
  get isSetUp(): boolean {
    return this.#isSetUp || this.#lender.isSetUp;
  }

  /** From here to `endTransaction` the connection stays, lost or not. */
  beginTransaction(): void {
    this.#transactions++;
  }

  endTransaction(): void {
    this.#transactions--;
  }

  /**
   * The borrower has the connection destroyed. Other users of it see that. A transaction stays with it until its end, and everything that
   * it asks is refused.
   */
  destroy(error: Error): void {
    this.#keep(this.#hold?.giveBack(error));
    this.#giveBackBroken();
  }

  #giveBack(): void {
    const hold = this.#hold;
    this.#hold = undefined;
    this.#keep(hold?.giveBack());
    if (hold?.isBroken && this.#gone?.lost === undefined) this.#gone = hold;
  }

  #keep(returning: Promise<void> | undefined): void {
    if (returning === undefined) return;
    const all = (this.#returning ??= new Set());
    all.add(returning);
    void returning.then(() => all.delete(returning));
  }

  /** When this resolves, nothing of the scope is left: all is rolled back, reset and given back. Never rejects. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#borrowing.ended;
    this.#giveBack();
    if (this.#returning !== undefined) await Promise.all(this.#returning);
  }
}
