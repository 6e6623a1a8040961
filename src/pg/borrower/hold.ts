/** A borrowed session as its borrower has it: its calls, what their answers said of its state, and how it is given back. */
import { randomUUID } from 'node:crypto';
import { clearInterval, clearTimeout, setInterval, setTimeout } from 'node:timers';
import type { QueryResult } from 'pg';
import type { Cancellation } from '../../shared/index.ts';
import { receiveError } from '../messages/database-error.ts';
import type { TextColumn } from '../messages/own-columns.ts';
import { withProfile } from '../messages/profile.ts';
import type { Answer, Heard, TransactionStatus } from '../messages/protocol.ts';
import type { Question } from '../messages/question.ts';
import { resultOf, thrownIn } from './answers.ts';
import { LeaseState } from './lease-state.ts';
import type { Along, OwnSession } from './own-session.ts';
import { parsedByOwner } from './owners-parsers.ts';
import { TransactionRolledBackError } from './rolled-back.ts';
import { PLACE } from './roster.ts';
import type { BorrowedSession, RemoteSession, Returning, Sessions } from './sessions.ts';
import { type Call, wayOf } from './way.ts';

/** On a worker, what is released stays borrowed until the calls made before have settled. */
const waitsForCalls = (sessions: Sessions): boolean => 'acquireSync' in sessions;

/** Tells copies of this module apart. Bundlers may load it twice on a thread, and no two borrows may have the same name. */
export const COPY = randomUUID();
let borrows = 0;
/** The owner's number among the attachments. */
const OWNER = 0;

/** Says whether a borrow of this name is that attachment's. A thread may have several attachments. */
export const belongsTo = (borrow: string, attachment: number): boolean => borrow.startsWith(`${attachment}:`);

/** Why a statement is refused when the transaction that it belongs to, or whatever else was open, has gone with its connection. */
export const GIVEN_UP =
  'the connection was lost in the middle of a transaction, which is rolled back; nothing is done until ROLLBACK, or the end of the transaction or scope';

export interface HoldListener {
  heard(heard: Heard): void;
  /** `lost`: what was open there has gone with it, and its borrower goes on. */
  broken(error: Error, lost: boolean): void;
}

const NO_LISTENERS: readonly HoldListener[] = [];

/** In ms: the longest that a timer takes. */
const LONG = 2 ** 31 - 1;

export class Hold implements Returning {
  /** Names this borrow to the session. No two borrows have the same name. Its beginning says which attachment it is of (`belongsTo`). */
  readonly id: string;
  readonly #sessions: Sessions;
  readonly #session: RemoteSession;
  /** The same session, where this thread speaks to it by itself. */
  readonly #own: OwnSession | undefined;
  /** The job that has borrowed it, where jobs run. */
  readonly #part: Cancellation | undefined;
  #listeners: readonly HoldListener[] = NO_LISTENERS;
  #turn = 0;
  #pid = 0;
  #status: TransactionStatus = 'I';
  #isUnclean = false;
  #isPinned = false;
  readonly #life = new LeaseState();
  #isUndone = false;
  #lastError: Error | undefined;
  #calls = 0;
  #whenIdle: (() => void)[] = [];
  /** Submissions that have the connection to themselves until this thread says more. */
  #streams: Set<object> | undefined;
  [PLACE]: number | undefined;
  #bodies = 0;
  #isListening = false;
  /** The time when it begins to listen. */
  #soon: NodeJS.Timeout | undefined;
  /** Keeps the thread alive. */
  #alive: NodeJS.Timeout | undefined;
  #givenBack: ((destroy: Error | undefined) => void) | undefined;

  constructor(sessions: Sessions, session: RemoteSession, pid = 0, profile = '') {
    this.id = withProfile(`${sessions.attachment ?? OWNER}:${COPY}:${++borrows}`, profile);
    this.#sessions = sessions;
    this.#session = session;
    this.#pid = pid;
    this.#part = sessions.presentPart?.();
    this.#own = wayOf(sessions).own?.(session, this.id, (answer) => this.#hear(answer));
  }

  /** The pool that it is borrowed from. */
  get sessions(): Sessions {
    return this.#sessions;
  }

  get pid(): number {
    return this.#pid;
  }

  get status(): TransactionStatus {
    return this.#status;
  }

  get isPinned(): boolean {
    return this.#isPinned;
  }

  /** A new call has to wait for something that only this thread can say, when it is back at its event loop. */
  get isStreaming(): boolean {
    return this.#streams !== undefined && this.#streams.size > 0;
  }

  /** The connection is of no use any more: it is lost, or its borrower has given it up. */
  get isBroken(): boolean {
    return this.#life.isBroken;
  }

  get isOver(): boolean {
    return this.#life.isOver;
  }

  /** This thread speaks there, and what it has asked so far is through and has left nothing. */
  get isFit(): boolean {
    const own = this.#own;
    return own?.isHere === true && own.isQuiet && !this.isBroken && !this.isOver && !this.isUnclean && !this.#isPinned;
  }

  /**
   * Why the connection was lost or given up, if that was in the middle of something (a transaction, say). The next statement must not go
   * to another connection as if nothing had happened.
   */
  get lost(): Error | undefined {
    // Nothing goes on as if nothing had happened where the code has ended that had begun it.
    return this.#part?.hasEnded ? undefined : this.#life.untold;
  }

  /** All that was lost is a transaction that has ended, and its caller knows: what comes after it may go on. */
  told(): void {
    this.#life.told();
  }

  /** Calls are not answered yet, so it is not known what they leave open. */
  get isCalling(): boolean {
    return this.#calls > 0;
  }

  /** Resolves when all calls so far have been answered, or never will be. */
  answered(): Promise<void> {
    return new Promise((resolve) => this.whenIdle(resolve));
  }

  /** Calls `then` when nothing is under way; at once, if that is so now. */
  whenIdle(then: () => void): void {
    if (this.#calls === 0) then();
    else this.#whenIdle.push(then);
  }

  /** The submission has the connection from its first message to its last. */
  streams(submission: object): void {
    this.#streams ??= new Set();
    this.#streams.add(submission);
  }

  endsStream(submission: object): void {
    this.#streams?.delete(submission);
  }

  /** What the server complained about last. */
  get lastError(): Error | undefined {
    return this.#lastError;
  }

  /**
   * The same session for calls that block this thread, which get it in another way. What was asked before is answered by then; throws
   * CallTimeoutError if that takes longer than `timeout` ms.
   */
  toBlock(timeout: number | undefined): RemoteSession {
    this.#own?.block(timeout);
    return this.#session;
  }

  /** See OwnSession. */
  takesSocket(): boolean {
    return this.#own?.takesSocket() === true;
  }

  /** What waits for the socket rejects with what `within` rejects with: the owner may be busy. */
  boundAsking(within: (known: Promise<void>) => Promise<void>): void {
    const own = this.#own;
    if (own !== undefined) within(own.known()).catch((error) => own.abandon(error));
  }

  /** What is called. */
  get #callee(): BorrowedSession {
    return this.#own ?? this.#session;
  }

  listen(listener: HoldListener): void {
    this.#listeners = [...this.#listeners, listener];
  }

  /**
   * From now on, or when the connection is still borrowed after so many ms, the borrower hears at once what the server says unasked, and
   * that the connection is lost.
   */
  listenSoon(after: number): void {
    if (this.#isListening || this.isOver) return;
    if (after === 0) return void this.#hearOn();
    this.#soon ??= setTimeout(() => void this.#hearOn(), after).unref();
  }

  /**
   * The same for a borrower that waits for notifications. As that is all that it may have to do, it keeps its thread alive until the
   * connection is given back or lost.
   */
  awaitNotifications(after: number): void {
    if (this.isOver || this.isBroken) return;
    this.#alive ??= setInterval(() => {}, LONG);
    this.listenSoon(after);
  }

  async #hearOn(): Promise<void> {
    if (this.#isListening) return;
    this.#isListening = true;
    try {
      while (!this.isOver && this.#life.broken === undefined) {
        const answer = await this.#listen();
        // After the end of the borrow the connection's state is no business of this one.
        if (this.isOver) return;
        this.note(answer);
        if (answer.over) return;
      }
    } catch {
      // This thread has left the pool, or the pool has taken the connection back.
      this.look();
    } finally {
      this.#isListening = false;
      clearInterval(this.#alive);
    }
  }

  /** It belongs to no job: the cancel of one would take the connection from what cleans up there. */
  #listen(): Promise<Answer> {
    const listen = (): Promise<Answer> => this.#callee.listen(this.id);
    return this.#sessions.outsideParts?.(listen) ?? listen();
  }

  /** The server says something unasked, and this thread hears it by itself. */
  #hear(answer: Answer): void {
    if (this.isOver) return;
    try {
      this.note(answer);
    } catch {
      // What was open is undone: the next call says so.
    }
  }

  unlisten(listener: HoldListener): void {
    this.#listeners = this.#listeners.filter((other) => other !== listener);
  }

  // ── calling

  /** Makes one call. Rejects only if there was no answer: an answer also carries the server's errors. */
  call(body: Call): Promise<Answer> {
    try {
      this.assertHeld();
    } catch (error) {
      return Promise.reject(error);
    }
    this.#calls++;
    let call: Promise<Answer>;
    try {
      call = body(this.#callee, this.id);
    } catch (error) {
      call = Promise.reject(error);
    }
    return call.then(this.#answered, this.#failed);
  }

  readonly #answered = (answer: Answer): Answer => {
    try {
      this.note(answer);
    } catch (error) {
      return this.#failed(error);
    }
    this.#ends();
    return answer;
  };

  readonly #failed = (error: unknown): never => {
    // The call may have done anything: there is no answer to tell.
    this.#isUnclean = true;
    this.look();
    this.#ends();
    throw error;
  };

  /** Has the owner's program parse them. */
  parse(columns: TextColumn[]): Promise<unknown[][]> {
    return parsedByOwner(this.#sessions, this.#session, columns);
  }

  /** What is a part of an answer: until it has settled, the connection is not given back. */
  during<V>(work: Promise<V>): Promise<V> {
    this.#calls++;
    return work.finally(() => this.#ends());
  }

  /** One call less is under way. */
  #ends(): void {
    if (--this.#calls === 0) for (const then of this.#whenIdle.splice(0)) then();
  }

  /** One statement for which alone this was borrowed, and others with it: see OwnSession. */
  speakAlong(along: Along): Promise<Answer> {
    return this.call((_session, borrow) => this.#own!.speakAlong(borrow, along));
  }

  run(question: Question): Promise<QueryResult<any>> {
    let call: Call;
    try {
      this.assertNoSecondBegin(question);
      call = wayOf(this.#sessions).run(question);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.call(call).then((answer) => resultOf(answer, question));
  }

  /** Notes the session's state, which every answer carries. */
  note(answer: Answer): Answer {
    // The state before this answer counts: the state in the answer is of a connection that is gone.
    const wasOpen = this.#isOpen;
    this.#noteState(answer);
    const { error, broken, undone } = answer;
    const thrown = thrownIn(answer);
    const said = thrown ?? (error && receiveError(error));
    this.#lastError = said ?? this.#lastError;
    for (const heard of answer.heard ?? []) for (const listener of this.#listeners) listener.heard(heard);
    if (this.#status !== 'I') this.#life.opened();
    if (undone) this.#isUndone = true;
    if (broken || undone) {
      const why = broken ? 'Connection terminated' : 'the transaction has ended by no statement in it';
      this.#lose(said ?? new Error(why), wasOpen || undone === true || this.#status !== 'I');
    }
    // The statement was refused because of that.
    if (error !== undefined && answer.outcome === undefined) this.assertNotUndone();
    return answer;
  }

  /**
   * The pool may have taken the connection back: a job has ended, or a call was cancelled, and how far that has come is not known. Then
   * it is lost.
   */
  look(): void {
    if (this.#life.name === 'HELD' && this.#sessions.isBorrowed?.(this.#session) === false)
      this.#lose(new Error('the pool has taken this connection back from its borrower'), this.#isOpen);
  }

  #lose(error: Error, wasOpen: boolean): void {
    if (!this.#life.lose(error, wasOpen)) return;
    clearInterval(this.#alive);
    for (const listener of this.#listeners) listener.broken(error, this.lost !== undefined);
  }

  /** Something is open that the borrower comes back for, as far as it was told. */
  get #isOpen(): boolean {
    return this.#status !== 'I' || this.#isPinned;
  }

  /** This thread has stopped waiting for an answer, and cannot know what state the connection is in: the connection is lost. */
  giveUp(error: Error): void {
    if (this.#life.broken !== undefined || this.isOver) return;
    this.#callee.giveUp().catch(() => {});
    this.#lose(error, this.#isOpen);
  }

  /** The answer to a blocking call may be newer than answers that are still on their way. */
  #noteState({ turn, pid, status, unclean, pinned }: Answer): void {
    if (turn < this.#turn) return;
    this.#turn = turn;
    this.#pid = pid;
    this.#status = status;
    this.#isUnclean = unclean;
    this.#isPinned = pinned;
  }

  /** On the owner nothing else keeps a late call away from the next borrower's connection. */
  assertHeld(): void {
    this.assertNotGivenUp();
    if (this.isOver) throw new Error('this connection has been given back to the pool, and refuses further queries');
  }

  assertNotGivenUp(): void {
    const { lost } = this.#life;
    if (this.isOver && lost !== undefined) throw new TransactionRolledBackError(lost, GIVEN_UP);
  }

  /** The server says that there is no transaction. Throws unless a statement of this borrower has ended it. */
  assertNotUndone(): void {
    if (this.#isUndone) throw new TransactionRolledBackError(this.#life.lost, GIVEN_UP);
  }

  /** The body of a transaction runs between this and `leaveBody`. */
  enterBody(): void {
    this.#bodies++;
  }

  leaveBody(): void {
    this.#bodies--;
  }

  /**
   * The server only warns. But code that says BEGIN also says COMMIT, and would end the transaction around it: nothing would be rolled
   * back any more.
   */
  assertNoSecondBegin({ text }: Question): void {
    if (this.#bodies === 0 || this.#status === 'I' || text === undefined || !/^\s*(?:begin|start\s+transaction)\b/i.test(text)) return;
    throw new Error(
      'BEGIN inside of pool.transaction(): its COMMIT would end the outer transaction; call pool.transaction() there, which makes a savepoint, or use pool.scope() outside',
    );
  }

  cancel(): Promise<void> {
    return this.#callee.cancel(this.id).catch(() => {});
  }

  // ── giving back

  get isUnclean(): boolean {
    return this.#isUnclean || this.#own?.isUnclean === true;
  }

  /** The session has been reset by other means. */
  cleaned(): void {
    this.#isUnclean = false;
    this.#isPinned = false;
    this.#status = 'I';
  }

  /**
   * Gives the session back clean, or has it destroyed. What is under way is finished first. Never rejects; with nothing to wait for it
   * returns at once. A worker sends all of it in one go, because it may block right afterwards: its pool holds the connection until the
   * reset is through.
   */
  giveBack(destroy?: Error): Promise<void> | undefined {
    if (!this.#life.giveBack(destroy, this.#isOpen)) return undefined;
    clearTimeout(this.#soon);
    clearInterval(this.#alive);
    const why = destroy ?? this.#life.broken;
    const returning = why === undefined ? this.#return() : this.#give(why);
    this.#givenBack?.(why);
    return returning;
  }

  /** `then` is called once, when the session is given back, with the reason if it is destroyed. It must not throw. */
  whenGivenBack(then: (destroy: Error | undefined) => void): void {
    this.#givenBack = then;
  }

  #return(): Promise<void> | undefined {
    const isQuiet = this.#own === undefined || this.#own.isQuiet;
    if (this.#calls === 0 && isQuiet && !this.isUnclean && !this.#isListening) return this.#give();
    // Where this thread speaks by itself, only it can hear the end of what is under way.
    if (this.#own?.isHere && (this.#calls > 0 || !isQuiet)) return this.#finishHere(this.#own);
    if (!waitsForCalls(this.#sessions)) return this.#finish();
    // If the reset fails, the owner knows: the session is broken then, and goes to no other borrower.
    const reset = this.#callee.reset(this.id).catch(() => {});
    this.#give();
    return reset;
  }

  async #finishHere(own: OwnSession): Promise<void> {
    const returning = wayOf(this.#sessions).returning!;
    returning.add(this);
    await this.answered();
    await own.quiet();
    if (!returning.delete(this)) return;
    const isToReset = (this.isUnclean || this.#isListening) && this.#life.broken === undefined;
    const reset = isToReset ? own.reset(this.id).catch(() => {}) : undefined;
    this.#give(this.#life.broken);
    await reset;
  }

  /** See Returning. */
  finishNow(timeout: number | undefined): void {
    this.#own!.block(timeout);
    wayOf(this.#sessions).returning!.delete(this);
    this.#life.giveBack(undefined, this.#isOpen);
    // This thread has not looked at the answers, so it does not know what they have left.
    this.#own!.reset(this.id).catch(() => {});
    this.#give();
  }

  /** See Returning. */
  finishLater(): void {
    if (this.#own?.isHere) void this.#session.comesBack(this.id).catch(() => {});
  }

  async #finish(): Promise<void> {
    // What waits for more from its borrower has no answer before it is ended.
    if (this.isStreaming) void this.#callee.reset(this.id).catch(() => {});
    await this.answered();
    try {
      if ((this.#isUnclean || this.#isListening) && this.#life.broken === undefined) await this.#callee.reset(this.id);
      this.#give(this.#life.broken);
    } catch (error) {
      this.#give(error as Error);
    }
  }

  #give(broken?: Error): undefined {
    try {
      if (broken === undefined) this.#own?.park();
      else this.#own?.destroy();
      if (broken === undefined) this.#sessions.release(this.#session);
      else this.#sessions.destroy(this.#session, broken);
    } catch {
      // This thread has left the pool, and everything was taken back already.
    }
    return undefined;
  }
}
