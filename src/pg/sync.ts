/** The pool on a worker: with the queries that block, too. */
import type { QueryConfig, QueryResult, QueryResultRow } from 'pg';
import type { AttachedPool } from '../worker/index.ts';
import { assertCommitted, beginText, checkTransaction, isNested, isWorthRetrying, newSavepoint, pauseBefore, say } from './begin.ts';
import type { Borrowing } from './borrowing.ts';
import { receiveError } from './database-error.ts';
import { Hold, isEnough, type RemoteSession, resultOf, type Sessions, type SyncSession } from './hold.ts';
import { PgPool as BasePool } from './pool.ts';
import type { SessionMethods } from './protocol.ts';
import { argumentsOf, ask, type Question } from './question.ts';
import { Scope } from './scope.ts';
import { Place } from './transaction.ts';
import type { PgSync, PgSyncClient, PgPool as PoolType, TransactionOptions } from './types.ts';

export class PgPool extends BasePool implements PoolType, PgSync {
  readonly #attached: AttachedPool<SessionMethods>;

  constructor(attached: AttachedPool<SessionMethods>) {
    super(attached as unknown as Sessions);
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
      const hold = scope.enterSync((borrowing) => this.#bring(borrowing, options));
      try {
        return this.#run(hold, question);
      } finally {
        scope.leave();
      }
    }
    for (let attempts = 1; ; attempts++) {
      const answer = this.#attached.useSync((session) => session.once(...argumentsOf(question)), options);
      if (!answer.unsent || isEnough(this.sessions, attempts)) return resultOf(answer, question);
    }
  }

  /** For a scope that has no connection just now. What waits for one there comes before this, and goes to no other one later: so it has to be alive. */
  #bring(borrowing: Borrowing, options: { timeout?: number } | undefined): Hold {
    if (!borrowing.isAwaited) return this.#acquire(options);
    for (let attempts = 1; ; attempts++) {
      const { candidate } = borrowing;
      const hold = candidate ?? this.#acquire(options);
      const { error, unsent } = hold.note(this.#sync(hold).hello(hold.id));
      if (error === undefined) return hold;
      if (candidate === undefined) void hold.giveBack();
      // What was asked on the candidate before may have been run there or not: this thread learns that at its event loop.
      if (candidate !== undefined || !unsent || isEnough(this.sessions, attempts)) throw receiveError(error);
    }
  }

  #acquire(options: { timeout?: number } | undefined): Hold {
    const session = this.#attached.acquireSync(options);
    return new Hold(this.sessions, this.#attached.asynchronous(session) as unknown as RemoteSession);
  }

  /** This thread may go on computing: what it leaves behind is undone before that. */
  #clean(hold: Hold): void {
    if (!hold.isUnclean || hold.isBroken || hold.isOver) return;
    try {
      this.#sync(hold).reset(hold.id);
      hold.cleaned();
    } catch {
      // It is broken now, and giving it back says so.
    }
  }

  #run(hold: Hold, question: Question): QueryResult<any> {
    hold.assertNoSecondBegin(question);
    this.#assertFree(hold);
    return resultOf(hold.note(this.#sync(hold).run(hold.id, ...argumentsOf(question))), question);
  }

  #assertFree(hold: Hold): void {
    hold.assertHeld();
    if (hold.isStreaming)
      throw new Error('a cursor or stream is open on this connection, and would wait for this thread: finish it before querySync');
  }

  #sync(hold: Hold): SyncSession {
    return this.#attached.synchronous(hold.session) as SyncSession;
  }

  transactionSync<V>(body: (tx: PgSyncClient) => V, options: TransactionOptions = {}): V {
    checkTransaction(body, options);
    options.signal?.throwIfAborted();
    const place = this.place();
    if (place?.isBusy)
      throw new Error(
        'a transaction of this thread is under way in this scope, and would wait for this thread: await it before transactionSync',
      );
    const scope = place?.scope ?? new Scope(this.sessions);
    const limits = options.timeout === undefined ? undefined : { timeout: options.timeout };
    const hold = scope.enterSync((borrowing) => this.#bring(borrowing, limits));
    try {
      return this.#transact(scope, hold, body, options);
    } finally {
      if (place === undefined) this.#clean(hold);
      scope.leave();
      if (place === undefined) void scope.end();
    }
  }

  #transact<V>(scope: Scope, hold: Hold, body: (tx: PgSyncClient) => V, options: TransactionOptions): V {
    for (let retry = 0; ; ) {
      const name = newSavepoint();
      if (this.#begin(hold, beginText(options), name)) return this.#nested(scope, hold, body, name);
      try {
        const value = this.#body(scope, hold, body);
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

  /** True: there was a transaction already, and now there is a savepoint. */
  #begin(hold: Hold, text: string, savepoint: string): boolean {
    this.#assertFree(hold);
    return isNested(hold.note(this.#sync(hold).begin(hold.id, text, savepoint)));
  }

  #nested<V>(scope: Scope, hold: Hold, body: (tx: PgSyncClient) => V, name: string): V {
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
      if (typeof (value as { then?: unknown } | null | undefined)?.then === 'function')
        throw new TypeError('the body of transactionSync must not return a promise: use transaction');
      return value;
    } finally {
      place.end();
      hold.leaveBody();
      scope.endTransaction();
    }
  }

  protected override async leave(): Promise<void> {
    await this.giveEverythingBack();
    await this.#attached.detach();
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(4));
