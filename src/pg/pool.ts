/** The interface of pg.Pool over sessions that live on the owner's thread: the same code on every thread. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import type { QueryArrayConfig, QueryArrayResult, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { checkFew, type OptionNames } from '../shared/option-names.ts';
import type { AcquireOptions } from '../worker/index.ts';
import { checkTransaction } from './begin.ts';
import { hello } from './borrowing.ts';
import { PgClient } from './client.ts';
import { rowsOf } from './cursor.ts';
import { receiveError } from './database-error.ts';
import { borrow, type Hold, runOnce, type Sessions } from './hold.ts';
import { ask, type Question, tell } from './question.ts';
import { Scope } from './scope.ts';
import { Place, transact } from './transaction.ts';
import type { QueryCallback, TransactionOptions, PgPool as Type } from './types.ts';

type ConnectCallback = (error: Error | undefined, client: PgClient | undefined, release: (destroy?: boolean | Error) => void) => void;

const ITERATE_OPTIONS: OptionNames = { of: 'iterate', options: ['batchSize'], others: { highWaterMark: 'use batchSize' } };

export abstract class PgPool extends EventEmitter implements Type {
  static override readonly name: string = 'PgPool';
  protected readonly sessions: Sessions;
  readonly #places = new AsyncLocalStorage<Place>();
  /** What this thread has borrowed and not given back. */
  readonly #clients = new Set<PgClient>();
  readonly #scopes = new Set<Scope>();
  #ending: Promise<void> | undefined;
  #hasEnded = false;

  protected constructor(sessions: Sessions) {
    super();
    this.sessions = sessions;
  }

  /** Leaves the pool, or closes it. */
  protected abstract leave(): Promise<void>;

  // ── queries

  query<R extends QueryResultRow = any>(text: string | QueryConfig, callback: QueryCallback<R>): void;
  query<R extends QueryResultRow = any>(
    text: string | QueryConfig,
    values: readonly unknown[] | undefined,
    callback: QueryCallback<R>,
  ): void;
  query<R extends any[] = any[]>(config: QueryArrayConfig, values?: readonly unknown[]): Promise<QueryArrayResult<R>>;
  query<R extends QueryResultRow = any>(text: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<R>>;
  query(text: string | QueryConfig, values?: unknown, callback?: unknown): unknown {
    const then = typeof values === 'function' ? values : callback;
    const result = this.#query(text, typeof values === 'function' ? undefined : values);
    if (typeof then !== 'function') return result;
    tell(result, then as QueryCallback as never);
    return undefined;
  }

  async #query(text: string | QueryConfig, values: unknown): Promise<QueryResult<any>> {
    if (typeof text === 'function') throw new TypeError('Passing a function as the first parameter to pool.query is not supported');
    const question = ask(text, values);
    const place = this.place();
    if (place !== undefined) return place.scope.run(question);
    if (this.listenerCount('acquire') === 0 && this.listenerCount('release') === 0) return runOnce(this.sessions, question);
    const client = await this.#connect(undefined, undefined);
    try {
      // With one of its own: as in pg, a callback in the configuration is not for the pool.
      return await new Promise((resolve, reject) => {
        client.query(text, values as unknown[], (error, result) => (error ? reject(error) : resolve(result)));
      });
    } finally {
      client.release();
    }
  }

  // ── connections

  connect(callback: ConnectCallback): void;
  connect(options?: AcquireOptions): Promise<PgClient>;
  connect(options?: AcquireOptions | ConnectCallback): Promise<PgClient> | undefined {
    if (typeof options !== 'function') return this.#connect(options, this.place());
    this.#connect(undefined, this.place()).then(
      (client) => process.nextTick(options, undefined, client, (destroy?: boolean | Error) => client.release(destroy)),
      (error) => process.nextTick(options, error, undefined, () => {}),
    );
    return undefined;
  }

  async #connect(options: AcquireOptions | undefined, place: Place | undefined): Promise<PgClient> {
    if (place !== undefined) return this.#connectIn(place, options);
    const { hold, answer } = await borrow(this.sessions, options, hello);
    if (answer.error !== undefined) {
      hold.giveBack();
      throw receiveError(answer.error);
    }
    return this.#lend(hold, (error) => void hold.giveBack(error));
  }

  /** The scope's connection, kept until this client is released. In a transaction it is of use as long as that goes on. */
  async #connectIn(place: Place, options: AcquireOptions | undefined): Promise<PgClient> {
    const { scope } = place;
    const hold = await scope.enter(options);
    const giveBack = (error: Error | undefined): void => {
      if (error !== undefined && scope.hold === hold) scope.destroy(error);
      // What this client asked last may yet leave something open there, and what is asked in the scope next comes behind it.
      hold.whenIdle(() => scope.leave());
    };
    return this.#lend(hold, giveBack, () => void this.#unlessOver(place));
  }

  #lend(hold: Hold, giveBack: (error: Error | undefined) => void, assertInside?: () => void): PgClient {
    const giveBackAndSay = (error: Error | undefined): void => {
      this.#clients.delete(client);
      giveBack(error);
      this.emit('release', error, client);
    };
    const client = new PgClient(hold, giveBackAndSay, assertInside);
    this.#clients.add(client);
    this.emit('acquire', client);
    return client;
  }

  // ── scopes

  /** Where the caller is; undefined outside of everything. What a transaction's body does after its end is an error, not a query of its own. */
  protected place(): Place | undefined {
    return this.#unlessOver(this.#places.getStore());
  }

  #unlessOver(place: Place | undefined): Place | undefined {
    if (place === undefined || !place.isOver) return place;
    if (place.isTransaction)
      throw new Error('this transaction is over: a query in its body was made too late; await every query before the body returns');
    return undefined;
  }

  protected inside<V>(place: Place, body: () => V): V {
    return this.#places.run(place, body);
  }

  async scope<V>(body: () => V | PromiseLike<V>): Promise<V> {
    if (typeof body !== 'function') throw new TypeError(`scope takes a function, not ${String(body)}`);
    if (this.place() !== undefined) return body();
    return this.#during((place) => this.inside(place, body));
  }

  async transaction<V>(body: (tx: PgClient) => V | PromiseLike<V>, options: TransactionOptions = {}): Promise<V> {
    checkTransaction(body, options);
    const run = (place: Place): Promise<V> => transact(place, (at, within) => this.inside(at, within), body, options);
    const place = this.place();
    return place === undefined ? this.#during(run) : run(place);
  }

  async #during<V>(body: (place: Place) => V | PromiseLike<V>): Promise<V> {
    const scope = new Scope(this.sessions);
    this.#scopes.add(scope);
    try {
      return await body(new Place(scope, false));
    } finally {
      await scope.end();
      this.#scopes.delete(scope);
    }
  }

  iterate<R = any>(text: string, values?: readonly unknown[], options: { batchSize?: number } = {}): AsyncIterableIterator<R> {
    checkFew(options, ITERATE_OPTIONS);
    const { batchSize = 100 } = options;
    if (!Number.isInteger(batchSize) || batchSize < 1)
      throw new RangeError(`batchSize must be a whole number from 1, not ${String(batchSize)}`);
    const question: Question = ask(text, values);
    // The rows are those of where this was called, but nobody may begin with them when that is over.
    const place = this.place();
    return rowsOf(this.sessions, () => this.#unlessOver(place)?.scope, question, batchSize);
  }

  // ── the end

  end(callback: (error?: Error) => void): void;
  end(): Promise<void>;
  end(callback?: (error?: Error) => void): Promise<void> | undefined {
    this.#ending ??= this.leave().finally(() => {
      this.#hasEnded = true;
    });
    if (callback === undefined) return this.#ending;
    tell(this.#ending, callback as never);
    return undefined;
  }

  /** Everything that this thread has borrowed goes back, clean. */
  protected async giveEverythingBack(): Promise<void> {
    for (const client of [...this.#clients]) if (!client.isReleased) client.release();
    await Promise.all([...this.#scopes].map((scope) => scope.end()));
  }

  get ending(): boolean {
    return this.#ending !== undefined || this.sessions.isClosed();
  }

  get ended(): boolean {
    return this.#hasEnded || this.sessions.isClosed();
  }

  // ── counting

  get totalCount(): number {
    return this.sessions.count();
  }

  get idleCount(): number {
    return this.sessions.idleCount();
  }

  get waitingCount(): number {
    return this.sessions.waitingCount();
  }

  /** As in pg, but for 'error': one that nobody listens to crashes nothing. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    return event === 'error' && this.listenerCount('error') === 0 ? false : super.emit(event, ...args);
  }

  [inspect.custom](): string {
    const { name } = this.sessions;
    return `PgPool { name: ${JSON.stringify(name)}, totalCount: ${this.totalCount}, idleCount: ${this.idleCount}, waitingCount: ${this.waitingCount} }`;
  }
}
