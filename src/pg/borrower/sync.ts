/** The pool on a worker: the same, and the queries that block. */

import { setImmediate } from 'node:timers';
import type { QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { type AcquireOptions, AcquireTimeoutError, type AttachedPool, CallTimeoutError, PoolClosedError } from '../../worker/index.ts';
import type { Address } from '../driver/lane.ts';
import { receiveError } from '../messages/database-error.ts';
import { isSetting, profileWith } from '../messages/profile.ts';
import type { Answer, SessionMethods } from '../messages/protocol.ts';
import { ask, asSetting, type Question, say } from '../messages/question.ts';
import type { PgLending, PgSync, PgSyncClient, PgPool as PoolType, TransactionOptions } from '../types.ts';
import { apart } from './apart.ts';
import {
  assertCommitted,
  beginText,
  checkTimeout,
  checkTransaction,
  isNested,
  isWorthRetrying,
  newSavepoint,
  pauseBefore,
} from './begin.ts';
import { isEnough } from './borrow.ts';
import type { Borrowing } from './borrowing.ts';
import { PgClient } from './client.ts';
import { Hold } from './hold.ts';
import { LocalWay } from './local.ts';
import { PATIENCE, PgPool, tooLate } from './pool.ts';
import { tracedSync } from './query-channel.ts';
import { Scope } from './scope.ts';
import type { Seat, Sitter } from './seat.ts';
import type { RemoteSession, Returning, Sessions, SyncSession } from './sessions.ts';
import type { Stay } from './stay.ts';
import { Place } from './transaction.ts';
import { warnOfListenerInWorker } from './warnings.ts';
import { wayOf } from './way.ts';

/** How long what is under way is waited for before it is looked again whether a connection is idle, in ms. */
const SLICE = 50;

export class WorkersPool extends PgPool implements PoolType, PgSync {
  /** See the owner's. */
  static override readonly name: string = 'Pool';
  readonly #attached: AttachedPool<SessionMethods>;
  readonly #stay: Stay;
  /** What 'connect' listeners of this thread have set, in force in each connection that it borrows. */
  #profile = '';
  /** The connections, by their server processes, that listeners have seen. */
  readonly #configured = new Set<number>();
  #deadline = Number.POSITIVE_INFINITY;

  constructor(stay: Stay, address: Address) {
    super(stay.attached as unknown as Sessions, address);
    this.#attached = stay.attached;
    this.#stay = stay;
    stay.enter();
  }

  get lending(): PgLending {
    return this.#stay.lending;
  }

  querySync<R extends QueryResultRow = any>(
    text: string | QueryConfig,
    values?: readonly unknown[],
    options?: { timeout?: number },
  ): QueryResult<R> {
    const question = ask(text, values);
    return tracedSync(this.sessions, question, undefined, (granted) =>
      this.#within(options?.timeout, () => this.#query(question, granted)),
    );
  }

  #query(question: Question, granted: () => void): QueryResult<any> {
    const scope = this.place()?.scope;
    if (scope !== undefined) {
      scope.forgive(question);
      const hold = scope.enterSync((borrowing) => this.#bring(borrowing));
      granted();
      try {
        return this.#run(hold, question);
      } finally {
        scope.answered(hold, question);
        scope.leave();
      }
    }
    this.assertMayBegin();
    if (this.isListenedTo) {
      const hold = this.#acquire();
      granted();
      try {
        return this.#run(hold, question);
      } finally {
        this.#giveBack(hold);
      }
    }
    const blocking = wayOf(this.sessions).block(question);
    for (let attempts = 1; ; attempts++) {
      const session = this.#borrow();
      let overdue: Error | undefined;
      try {
        granted();
        const answer = this.#limited(session).once(this.profile, ...blocking.statement);
        if (!answer.unsent || isEnough(this.sessions, attempts))
          return blocking.result(answer, (columns) => this.#limited(session).parse(columns));
      } catch (error) {
        if (error instanceof CallTimeoutError) overdue = error;
        throw error;
      } finally {
        // A job that is cancelled while it blocks has lost it.
        if (this.sessions.isBorrowed?.(session as never) !== false) this.#end(session, overdue);
      }
    }
  }

  /** For one call, within the time that is left. */
  #limited(session: SyncSession): SyncSession {
    return this.#attached.synchronous(session, this.#limits());
  }

  /** `overdue`: the connection is destroyed, and what the server still does for it ends at once. */
  #end(session: SyncSession, overdue: Error | undefined): void {
    if (overdue === undefined) return this.#attached.release(session);
    this.#attached
      .asynchronous(session)
      .giveUp()
      .catch(() => {});
    this.#attached.destroy(session, overdue);
  }

  /**
   * What blocks this thread within the body ends when this time (ms) is over. Blocking calls nest, so a thread has one such time.
   */
  #within<V>(timeout: number | undefined, body: () => V): V {
    checkTimeout(timeout);
    const before = this.#deadline;
    if (timeout) this.#deadline = Math.min(before, performance.now() + timeout);
    try {
      return body();
    } finally {
      this.#deadline = before;
    }
  }

  /** The time that is left. Undefined: the call has no limit, and the wait in line has the pool's. */
  #limits(): { timeout: number } | undefined {
    if (this.#deadline === Number.POSITIVE_INFINITY) return undefined;
    return { timeout: Math.max(1, this.#deadline - performance.now()) };
  }

  /**
   * For a scope that has no connection just now. Calls that wait for one in the scope come before this one, and go to no other connection
   * later: so the connection has to be alive.
   */
  #bring(borrowing: Borrowing, maxHold?: AcquireOptions['maxHold']): Hold {
    if (!borrowing.isAwaited) return this.#acquire(maxHold);
    for (let attempts = 1; ; attempts++) {
      const { candidate } = borrowing;
      const hold = candidate ?? this.#acquire(maxHold);
      let isAlive = false;
      try {
        const { error, unsent } = this.#call(hold, (session, id) => session.hello(id));
        isAlive = error === undefined;
        if (error === undefined) {
          if (candidate !== undefined) this.announce(hold);
          return hold;
        }
        // What was asked on the candidate before may have been run there or not: this thread learns that at its event loop.
        if (candidate !== undefined || !unsent || isEnough(this.sessions, attempts)) throw receiveError(error);
      } finally {
        if (!isAlive && candidate === undefined) void hold.giveBack();
      }
    }
  }

  #acquire(maxHold?: AcquireOptions['maxHold']): Hold {
    const session = this.#borrow(maxHold);
    const hold = new Hold(this.sessions, this.#attached.asynchronous(session) as unknown as RemoteSession, 0, this.profile);
    this.announce(hold);
    return hold;
  }

  /**
   * A connection for what blocks: an idle one. If there is none, what this thread has under way may be what it would wait for, so that is
   * finished before it stands in line. That may take long, or wait for a lock of this thread: so it looks again in between.
   */
  #borrow(maxHold?: AcquireOptions['maxHold']): SyncSession {
    for (;;) {
      const underWay = wayOf(this.sessions).returning?.all() ?? [];
      const idle = underWay.length === 0 ? null : this.#attached.tryAcquireSync(maxHold === undefined ? undefined : { maxHold });
      if (idle !== null) return idle;
      if (!this.#finish(underWay)) continue;
      const limits = this.#limits();
      return this.#attached.acquireSync(maxHold === undefined ? limits : { ...limits, maxHold });
    }
  }

  /** False: something of it takes its time. Throws CallTimeoutError when the time of this thread is over. */
  #finish(underWay: readonly Returning[]): boolean {
    let isFinished = true;
    for (const returning of underWay) {
      const left = this.#limits()?.timeout ?? Number.POSITIVE_INFINITY;
      try {
        returning.finishNow(Math.min(left, SLICE));
      } catch (error) {
        if (!(error instanceof CallTimeoutError) || left <= SLICE) throw error;
        isFinished = false;
      }
    }
    return isFinished;
  }

  #giveBack(hold: Hold): void {
    this.#clean(hold);
    void hold.giveBack();
  }

  /** Undoes what this thread leaves behind, right now, because the thread may go on computing. */
  #clean(hold: Hold): void {
    if (!hold.isUnclean || hold.isBroken || hold.isOver) return;
    try {
      this.#sync(hold).reset(hold.id);
      hold.cleaned();
    } catch {
      // The session is broken now, and giving it back says so. Or the time is over, and the owner goes on with the reset.
    }
  }

  #run(hold: Hold, question: Question): QueryResult<any> {
    hold.assertNoSecondBegin(question);
    this.#assertFree(hold);
    const { statement, result } = wayOf(this.sessions).block(question);
    const answer = this.#call(hold, (session, id) => session.run(id, ...statement));
    return result(answer, (columns) => this.#block(hold, (session) => session.parse(columns)));
  }

  /** Makes one call that blocks. When this thread stops waiting for the answer, the connection is lost. */
  #call(hold: Hold, body: (session: SyncSession, borrow: string) => Answer): Answer {
    hold.assertHeld();
    return hold.note(this.#block(hold, (session) => body(session, hold.id)));
  }

  #block<V>(hold: Hold, body: (session: SyncSession) => V): V {
    try {
      return body(this.#sync(hold));
    } catch (error) {
      if (error instanceof CallTimeoutError) hold.giveUp(error);
      throw error;
    }
  }

  #assertFree(hold: Hold): void {
    if (hold.isStreaming)
      throw new Error('a cursor or stream is open on this connection, and would wait for this thread: finish it before querySync');
  }

  #sync(hold: Hold): SyncSession {
    const session = hold.toBlock(this.#limits()?.timeout);
    return this.#attached.synchronous(session as never, this.#limits()) as SyncSession;
  }

  transactionSync<V>(body: (tx: PgSyncClient) => V, options: TransactionOptions = {}): V {
    checkTransaction(body, options);
    options.signal?.throwIfAborted();
    const place = this.place();
    if (place?.isBusy)
      throw new Error(
        'a transaction of this thread is under way in this scope, and would wait for this thread: await it before transactionSync',
      );
    if (place === undefined) this.assertMayBegin();
    return this.#within(options.timeout, () => this.#transactIn(place?.scope, body, options));
  }

  #transactIn<V>(of: Scope | undefined, body: (tx: PgSyncClient) => V, options: TransactionOptions): V {
    for (let attempts = 1; ; attempts++) {
      const scope = of ?? new Scope(this.lender);
      const hold = scope.enterSync((borrowing) => this.#bring(borrowing, options.maxHold));
      try {
        return this.#transact(scope, hold, body, options);
      } catch (error) {
        if (!(error instanceof NotBegun)) throw error;
        // Nothing was said on that connection, and nothing is begun in a scope of its own.
        if (of !== undefined || isEnough(this.sessions, attempts)) throw error.why;
      } finally {
        if (of === undefined) this.#clean(hold);
        scope.leave();
        if (of === undefined) void scope.end();
      }
    }
  }

  #transact<V>(scope: Scope, hold: Hold, body: (tx: PgSyncClient) => V, options: TransactionOptions): V {
    for (let retry = 0; ; ) {
      const name = newSavepoint();
      if (this.#begin(hold, beginText(options), name)) return this.#nested(scope, hold, body, name);
      try {
        const value = this.#body(scope, hold, body);
        hold.assertNotUndone();
        if (hold.status !== 'I') assertCommitted(this.#run(hold, say('COMMIT')).command, hold.lastError);
        return value;
      } catch (error) {
        if (hold.status !== 'I' && !hold.isBroken) this.#try(hold, 'ROLLBACK');
        if (!isWorthRetrying(error) || ++retry > (options.retries ?? 0) || hold.isBroken) throw error;
      }
      Atomics.wait(NEVER, 0, 0, Math.min(pauseBefore(retry), this.#limits()?.timeout ?? Number.POSITIVE_INFINITY));
      options.signal?.throwIfAborted();
    }
  }

  /** True: a transaction was open already, and now there is a savepoint. */
  #begin(hold: Hold, text: string, savepoint: string): boolean {
    this.#assertFree(hold);
    const answer = this.#call(hold, (session, id) => session.begin(id, text, savepoint));
    if (answer.unsent && answer.error !== undefined) throw new NotBegun(receiveError(answer.error));
    return isNested(answer);
  }

  #nested<V>(scope: Scope, hold: Hold, body: (tx: PgSyncClient) => V, name: string): V {
    try {
      const value = this.#body(scope, hold, body);
      this.#run(hold, say(`RELEASE SAVEPOINT ${name}`));
      return value;
    } catch (error) {
      if (hold.status !== 'I' && !hold.isBroken) this.#try(hold, `ROLLBACK TO SAVEPOINT ${name}`);
      if (hold.status === 'T' && !hold.isBroken) this.#try(hold, `RELEASE SAVEPOINT ${name}`);
      throw error;
    }
  }

  #try(hold: Hold, text: string): void {
    try {
      this.#run(hold, say(text));
    } catch {
      // The connection is lost, and the server rolls back by itself; or what came before is the error to tell.
    }
  }

  #body<V>(scope: Scope, hold: Hold, body: (tx: PgSyncClient) => V): V {
    const place = new Place(scope, true);
    const tx: PgSyncClient = {
      query: (text, values) => {
        if (place.isOver) throw new Error('this transaction is over, and refuses further queries');
        const question = ask(text, values);
        return tracedSync(this.sessions, question, 0, () => this.#run(hold, question));
      },
    };
    scope.beginTransaction();
    hold.enterBody();
    try {
      const value = this.inside(place, () => body(tx));
      if (typeof (value as { then?: unknown } | null | undefined)?.then !== 'function') {
        place.assertQuiet();
        return value;
      }
      // The error below tells the caller; the promise need not do so again.
      if (value instanceof Promise) value.catch(() => {});
      throw new TypeError('the body of transactionSync must not return a promise, or a query that is one: use transaction');
    } finally {
      place.end();
      hold.leaveBody();
      scope.endTransaction();
    }
  }

  // ── 'connect' listeners

  protected override get profile(): string {
    return this.#profile;
  }

  protected override get isListenedTo(): boolean {
    return super.isListenedTo || this.listenerCount('connect') > 0;
  }

  /**
   * Shows the connection to 'connect' listeners, before its first use on this thread, and waits until they ask nothing more. What they set
   * is in force in each connection that this thread borrows from then on, and no dirt.
   */
  protected override async configure(hold: Hold): Promise<void> {
    if (this.listenerCount('connect') === 0 || this.#configured.has(hold.pid)) return;
    this.#configured.add(hold.pid);
    const client = new PgClient(
      hold,
      () => {},
      () => {},
      { run: (question) => this.#setUp(hold, question), setTypeParser: (...parser) => this.#setTypeParser(...parser) },
    );
    apart(() => this.emit('connect', client));
    do {
      await hold.answered();
      // A listener that was answered may go on from there.
      await new Promise<void>((resolve) => setImmediate(resolve));
    } while (hold.isCalling);
  }

  async #setUp(hold: Hold, question: Question): Promise<QueryResult<any>> {
    if (question.text === undefined || question.name !== undefined || !isSetting(question.text)) return hold.run(question);
    const said = asSetting(question);
    const result = await hold.run(said);
    this.#profile = profileWith(this.#profile, question.text, said.parameters);
    return result;
  }

  #setTypeParser(...parser: Parameters<LocalWay['setTypeParser']>): void {
    const way = wayOf(this.sessions);
    if (!(way instanceof LocalWay)) throw new Error(`type parsers need a connection that is spoken to on this thread: ${this.lending.why}`);
    way.setTypeParser(...parser);
  }

  // ── events

  override on(event: string | symbol, listener: (...args: any[]) => void): this {
    warnOfListenerInWorker(event);
    return super.on(event, listener);
  }

  override addListener(event: string | symbol, listener: (...args: any[]) => void): this {
    return this.on(event, listener);
  }

  override prependListener(event: string | symbol, listener: (...args: any[]) => void): this {
    warnOfListenerInWorker(event);
    return super.prependListener(event, listener);
  }

  // ── the end

  protected override timedOut(timeout: number): Error {
    return new AcquireTimeoutError(tooLate(this.#attached.name, timeout), this.#attached.name);
  }

  protected override assertMayBegin(): void {
    const { name } = this.#attached;
    if (this.isLeaving && !this.#attached.isClosed())
      throw new PoolClosedError(`pool ${JSON.stringify(name)}: end() has been called on this thread, which takes up nothing new`, name);
  }

  protected override async leave(): Promise<void> {
    const isQuiet = await this.quiet(PATIENCE);
    const back = this.giveEverythingBack();
    if (isQuiet) await back;
    // After one turn of the event loop everything is on its way.
    else await new Promise((resolve) => setImmediate(resolve));
    const left = this.#stay.leave();
    // What still runs then comes back when it has ended. This thread does not wait for it.
    if (isQuiet) await left;
  }

  override openSeat(sitter: Sitter): Seat {
    const seat = super.openSeat(sitter);
    this.#stay.enter();
    return seat;
  }

  override async leaveSeat(seat: Seat): Promise<void> {
    await super.leaveSeat(seat);
    await this.#stay.leave();
  }
}

/** The connection was found lost before BEGIN was said there. */
class NotBegun extends Error {
  readonly why: Error;

  constructor(why: Error) {
    super(why.message);
    this.why = why;
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(4));
