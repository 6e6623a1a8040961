/** The pool on a worker: with the queries that block, too. */

import { setImmediate } from 'node:timers';
import type { QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { AcquireTimeoutError, type AttachedPool, PoolClosedError, type SyncRemote } from '../worker/index.ts';
import { assertCommitted, beginText, checkTransaction, isWorthRetrying, newSavepoint, pauseBefore, say } from './begin.ts';
import { Hold, isEnough, type RemoteSession, resultOf, type SyncSession } from './hold.ts';
import { PgPool as BasePool, PATIENCE, tooLate } from './pool.ts';
import type { SessionMethods } from './protocol.ts';
import { argumentsOf, ask, type Question } from './question.ts';
import { Scope } from './scope.ts';
import { Place } from './transaction.ts';
import type { PgSync, PgSyncClient, PgPool as PoolType, TransactionOptions } from './types.ts';
import { warnOfListenerInWorker } from './warnings.ts';

export class PgPool extends BasePool implements PoolType, PgSync {
  readonly #attached: AttachedPool<SessionMethods>;

  constructor(attached: AttachedPool<SessionMethods>) {
    super(attached);
    this.#attached = attached;
  }

  querySync<R extends QueryResultRow = any>(
    text: string | QueryConfig,
    values?: readonly unknown[],
    options?: { timeout?: number },
  ): QueryResult<R> {
    const question = ask(text, values);
    const scope = this.place()?.scope;
    if (scope !== undefined) {
      scope.forgive(question);
      if (scope.hold !== undefined) return this.#run(scope.hold, question);
      scope.assertMayBorrow();
      return this.#alone(scope, question, options);
    }
    this.assertMayBegin();
    if (this.isListenedTo) {
      const hold = this.#acquire(options);
      try {
        return this.#run(hold, question);
      } finally {
        this.#giveBack(hold);
      }
    }
    for (let attempts = 1; ; attempts++) {
      const answer = this.#attached.useSync((session) => session.once(...argumentsOf(question)), options);
      if (!answer.unsent || isEnough(this.sessions, attempts)) return resultOf(answer, question);
    }
  }

  /** In a scope that has no connection just now. What the statement leaves open is the scope's. */
  #alone(scope: Scope, question: Question, options: { timeout?: number } | undefined): QueryResult<any> {
    const hold = this.#acquire(options);
    if (scope.isBusy) {
      try {
        return this.#run(hold, question);
      } finally {
        this.#giveBack(hold);
      }
    }
    scope.adopt(hold);
    try {
      return this.#run(hold, question);
    } finally {
      scope.leave();
    }
  }

  #acquire(options: { timeout?: number } | undefined): Hold {
    const session = this.#attached.acquireSync(options);
    const hold = new Hold(this.sessions, this.#attached.asynchronous(session) as unknown as RemoteSession);
    this.announce(hold);
    return hold;
  }

  #giveBack(hold: Hold): void {
    this.#clean(hold);
    void hold.giveBack();
  }

  /** This thread may go on computing: what it leaves behind is undone before that. */
  #clean(hold: Hold): void {
    if (!hold.isUnclean || hold.isBroken || hold.isOver) return;
    try {
      (this.#attached.synchronous(hold.session) as SyncSession).reset(hold.id);
      hold.cleaned();
    } catch {
      // It is broken now, and giving it back says so.
    }
  }

  #run(hold: Hold, question: Question): QueryResult<any> {
    hold.assertHeld();
    hold.assertNoSecondBegin(question);
    if (hold.isStreaming)
      throw new Error('a cursor or stream is open on this connection, and would wait for this thread: finish it before querySync');
    const session: SyncSession = this.#attached.synchronous(hold.session) as SyncRemote<SessionMethods>;
    return resultOf(hold.note(session.run(hold.id, ...argumentsOf(question))), question);
  }

  transactionSync<V>(body: (tx: PgSyncClient) => V, options: TransactionOptions = {}): V {
    checkTransaction(body, options);
    options.signal?.throwIfAborted();
    const place = this.place();
    if (place !== undefined) {
      place.scope.giveBackBroken();
      const { hold } = place.scope;
      if (hold !== undefined) return this.#transact(place.scope, hold, body, options);
      place.scope.assertMayBorrow();
    } else this.assertMayBegin();
    const scope = new Scope(this.lender);
    const hold = this.#acquire(options.timeout === undefined ? undefined : { timeout: options.timeout });
    scope.adopt(hold);
    try {
      return this.#transact(scope, hold, body, options);
    } finally {
      this.#clean(hold);
      scope.leave();
      void scope.end();
    }
  }

  #transact<V>(scope: Scope, hold: Hold, body: (tx: PgSyncClient) => V, options: TransactionOptions): V {
    if (hold.status !== 'I') return this.#nested(scope, hold, body);
    for (let retry = 0; ; ) {
      try {
        this.#run(hold, say(beginText(options)));
        const value = this.#body(scope, hold, body);
        hold.assertNotUndone();
        if (hold.status !== 'I') assertCommitted(this.#run(hold, say('COMMIT')).command, hold.lastError);
        return value;
      } catch (error) {
        if (hold.status !== 'I') this.#try(hold, 'ROLLBACK');
        if (!isWorthRetrying(error) || ++retry > (options.retries ?? 0) || hold.isBroken) throw error;
      }
      Atomics.wait(NEVER, 0, 0, pauseBefore(retry));
      options.signal?.throwIfAborted();
    }
  }

  #nested<V>(scope: Scope, hold: Hold, body: (tx: PgSyncClient) => V): V {
    const name = newSavepoint();
    this.#run(hold, say(`SAVEPOINT ${name}`));
    try {
      const value = this.#body(scope, hold, body);
      this.#run(hold, say(`RELEASE SAVEPOINT ${name}`));
      return value;
    } catch (error) {
      if (hold.status !== 'I') this.#try(hold, `ROLLBACK TO SAVEPOINT ${name}`);
      if (hold.status === 'T') this.#try(hold, `RELEASE SAVEPOINT ${name}`);
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
        return this.#run(hold, ask(text, values));
      },
    };
    scope.beginTransaction();
    hold.enterBody();
    try {
      const value = this.inside(place, () => body(tx));
      if (typeof (value as { then?: unknown } | null | undefined)?.then !== 'function') return value;
      // It is told by this error.
      if (value instanceof Promise) value.catch(() => {});
      throw new TypeError('the body of transactionSync must not return a promise, or a query that is one: use transaction');
    } finally {
      place.end();
      hold.leaveBody();
      scope.endTransaction();
    }
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
    // Everything is on its way in that turn.
    else await new Promise((resolve) => setImmediate(resolve));
    const detached = this.#attached.detach();
    // What still runs then comes back when it has ended; nobody waits for that.
    if (isQuiet) await detached;
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(4));
