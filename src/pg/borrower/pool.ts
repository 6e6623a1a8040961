/** The interface of pg.Pool over sessions that live on the owner's thread. The code is the same on every thread. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { captureRejectionSymbol, EventEmitter } from 'node:events';
import { clearTimeout, setTimeout } from 'node:timers';
import { inspect } from 'node:util';
import type { QueryArrayConfig, QueryArrayResult, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { checkFew, type OptionNames } from '../../shared/options/option-names.ts';
import { type AcquireOptions, PoolClosedError } from '../../worker/index.ts';
import { driverHere } from '../driver/driver-here.ts';
import type { Address } from '../driver/lane.ts';
import { receiveError } from '../messages/database-error.ts';
import { ask, type Question, tell } from '../messages/question.ts';
import type { PgLending, QueryCallback, TransactionOptions, PgPool as Type } from '../types.ts';
import { apart } from './apart.ts';
import { checkTransaction } from './begin.ts';
import { borrow, type Granted, runOnce } from './borrow.ts';
import { hello } from './borrowing.ts';
import { PgClient } from './client.ts';
import { rowsOf } from './cursor.ts';
import type { Hold } from './hold.ts';
import type { Lender } from './lender.ts';
import { traced } from './query-channel.ts';
import { Roster } from './roster.ts';
import { Scope } from './scope.ts';
import { Seat, type Sitter } from './seat.ts';
import type { Sessions } from './sessions.ts';
import { Place, transact } from './transaction.ts';
import type { Call } from './way.ts';

type ConnectCallback = (error: Error | undefined, client: PgClient | undefined, release: (destroy?: boolean | Error) => void) => void;

const ITERATE_OPTIONS: OptionNames = { of: 'iterate', options: ['batchSize'], others: { highWaterMark: 'use batchSize' } };

/** How long `end` waits for what has been asked and borrowed, in ms. After that it leaves the pool, or closes it, all the same. */
export const PATIENCE = 5000;

/** The message for a borrower that waits for its scope's connection, and does not stand in line itself. */
export const tooLate = (pool: string, timeout: number): string =>
  `pool ${JSON.stringify(pool)}: nothing to be had within ${timeout} ms; the scope or transaction around it waits for its connection, or uses it`;

export abstract class PgPool extends EventEmitter implements Type {
  /** Libraries look at this name (Drizzle, rate-limiter-flexible). It stays after a minifier, too. */
  static override readonly name: string = 'Pool';
  protected readonly sessions: Sessions;
  /** What scopes and cursors see of this pool. */
  protected readonly lender: Lender;
  readonly #places = new AsyncLocalStorage<Place>();
  /** What this thread has borrowed and not given back. */
  readonly #clients = new Roster<PgClient>();
  readonly #scopes = new Roster<Scope>();
  /** How many queries, connections, scopes and cursors have begun and are not over. */
  #works = 0;
  #whenQuiet: (() => void)[] = [];
  #ending: Promise<void> | undefined;
  #hasEnded = false;

  /** Where the connections go, as far as that is known. No secret is in it. */
  readonly #address: Address;

  protected constructor(sessions: Sessions, address: Address) {
    super({ captureRejections: true });
    this.sessions = sessions;
    this.#address = address;
    const pool = this;
    this.lender = {
      sessions,
      acquireTimeout: sessions.acquireTimeout,
      get isListenedTo() {
        return pool.isListenedTo;
      },
      get profile() {
        return pool.profile;
      },
      get isSetUp() {
        return pool.profile !== '';
      },
      met: () => {},
      configure: (hold) => this.configure(hold),
      announce: (hold) => this.announce(hold),
      borrow: (options, first) => this.#borrow(options, first),
      timedOut: (timeout) => this.timedOut(timeout),
      begin: () => this.#begin(),
      done: () => this.#done(),
    };
  }

  /** Where connections that this thread borrows are spoken to. */
  abstract readonly lending: PgLending;

  get address(): Address {
    return this.#address;
  }

  /** Libraries that look at a pool's options get those that all pools have: where it connects to, how many, and no secret. */
  get options(): object {
    const { host, port, user, database } = this.#address;
    return { host, port, user, database, max: this.sessions.stats().max, Client: this.Client };
  }

  /** The driver's Client: what a pool of pg makes its connections with. Undefined on a thread without the driver. */
  get Client(): unknown {
    return driverHere()?.Client;
  }

  /** Leaves the pool (on a worker), or closes it (on the owner). */
  protected abstract leave(): Promise<void>;

  /** The error that rejects a wait of so many ms for a connection. */
  protected abstract timedOut(timeout: number): Error;

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
    if (!this.isListenedTo) {
      this.#begin();
      try {
        return await traced(this.sessions, question, undefined, (granted) => runOnce(this.sessions, question, this.profile, granted));
      } finally {
        this.#done();
      }
    }
    const client = await this.#connect(undefined, undefined);
    try {
      // The client gets a callback of its own: as in pg, a callback in the configuration is not for the pool.
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
    this.#begin();
    try {
      const hold = await this.#borrowFirst(options);
      return this.#lend(hold, (error) => {
        this.#done();
        void hold.giveBack(error);
      });
    } catch (error) {
      this.#done();
      throw error;
    }
  }

  /**
   * The scope's connection, kept until this client is released. In a transaction it is of use as long as the transaction goes on.
   * Listeners were asked about it when the scope borrowed it.
   */
  async #connectIn(place: Place, options: AcquireOptions | undefined): Promise<PgClient> {
    const { scope } = place;
    const hold = await scope.enter(options);
    const client = new PgClient(
      hold,
      (error) => {
        this.#clients.delete(client);
        if (error !== undefined && scope.hold === hold) scope.destroy(error);
        // What this client asked last may yet leave something open there, and what is asked in the scope next comes behind it.
        hold.whenIdle(() => scope.leave());
      },
      () => void this.#unlessOver(place),
    );
    this.#clients.add(client);
    return client;
  }

  #lend(hold: Hold, giveBack: (error: Error | undefined) => void): PgClient {
    const giveBackAndSay = (error: Error | undefined): void => {
      this.#clients.delete(client);
      giveBack(error);
      apart(() => this.emit('release', error, client));
    };
    const client = new PgClient(hold, giveBackAndSay);
    this.#asked(client, hold);
    this.#clients.add(client);
    return client;
  }

  // ── lending

  /** What this thread's listeners have set in connections. */
  protected get profile(): string {
    return '';
  }

  /** See the worker's. On the owner, 'connect' listeners see each connection when it is made. */
  protected async configure(_hold: Hold): Promise<void> {}

  /**
   * For a client that the program makes by itself. It is to be left. It is no part of this pool: on a worker it goes on when the pool has
   * ended, as a client of pg does. Throws PoolClosedError if the end has begun.
   */
  openSeat(sitter: Sitter): Seat {
    const { name } = this.sessions;
    if (this.ending)
      throw new PoolClosedError(`pool ${JSON.stringify(name)} is closed, or has been ended on this thread: no client connects`, name);
    return new Seat(this.lender, sitter);
  }

  /**
   * Runs what a program's own pool does when a client is given back. Such a pool hands the client on at once, in the context of the code
   * that has given it back; a job that is over, or is to end, has no say in what the next one asks.
   */
  givenBack(body: () => void): void {
    if (this.sessions.outsideParts === undefined) body();
    else this.sessions.outsideParts(body);
  }

  leaveSeat(seat: Seat): Promise<void> {
    return seat.end();
  }

  /** True if the program listens for what this thread borrows. */
  protected get isListenedTo(): boolean {
    return this.listenerCount('acquire') > 0 || this.listenerCount('release') > 0;
  }

  async #borrowFirst(options: AcquireOptions | undefined): Promise<Hold> {
    const { hold, answer } = await borrow(this.sessions, options, hello, this.profile);
    try {
      if (answer.error !== undefined) throw receiveError(answer.error);
      await this.configure(hold);
      return hold;
    } catch (error) {
      hold.giveBack();
      throw error;
    }
  }

  async #borrow(options: AcquireOptions | undefined, first: Call): Promise<Granted> {
    if (!this.isListenedTo) return borrow(this.sessions, options, first, this.profile);
    const hold = await this.#borrowFirst(options);
    this.announce(hold);
    try {
      return { hold, answer: await hold.call(first) };
    } catch (error) {
      hold.giveBack();
      throw error;
    }
  }

  /** Listeners get a client for what is borrowed without one, too, and hear of it again when it is given back. */
  protected announce(hold: Hold): void {
    if (!this.isListenedTo) return;
    const client = new PgClient(hold, () => {});
    this.#asked(client, hold);
    hold.whenGivenBack((error) => {
      client.retire();
      apart(() => this.emit('release', error, client));
    });
  }

  /**
   * What listeners ask of the connection at once comes before everything else. If a listener throws, the borrower gets its error, and has
   * borrowed nothing.
   */
  #asked(client: PgClient, hold: Hold): void {
    try {
      this.emit('acquire', client);
    } catch (error) {
      client.retire();
      void hold.giveBack();
      throw error;
    }
  }

  #begin(): void {
    this.assertMayBegin();
    this.#works++;
  }

  #done(): void {
    if (--this.#works === 0) for (const then of this.#whenQuiet.splice(0)) then();
  }

  /** Throws where the pool underneath would let in what comes after `end`. */
  protected assertMayBegin(): void {}

  /** Resolves to true when nothing that this thread has begun is under way any more; to false if that takes more than `limit` ms. */
  protected quiet(limit: number): Promise<boolean> {
    if (this.#works === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), limit);
      this.#whenQuiet.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  // ── scopes

  /**
   * Where the caller is; undefined outside of every scope. A query that a transaction's body makes after the end of the transaction is an
   * error, and does not run by itself.
   */
  protected place(): Place | undefined {
    return this.#unlessOver(this.#places.getStore());
  }

  #unlessOver(place: Place | undefined): Place | undefined {
    if (place === undefined || !place.isOver) return place;
    if (place.isTransaction) place.assertGoesOn();
    return undefined;
  }

  protected inside<V>(place: Place, body: () => V): V {
    return this.#places.run(place, body);
  }

  /** A thenable that the body returns (a builder's query) begins when it is awaited; so it is awaited inside, too. */
  #insideOf<V>(place: Place, body: () => V | PromiseLike<V>): Promise<V> {
    return this.inside(place, () => {
      const value = body();
      return (async () => value)();
    });
  }

  async scope<V>(body: () => V | PromiseLike<V>): Promise<V> {
    if (typeof body !== 'function') throw new TypeError(`scope takes a function, not ${String(body)}`);
    if (this.place() !== undefined) return body();
    return this.#during((place) => this.#insideOf(place, body));
  }

  async transaction<V>(body: (tx: PgClient) => V | PromiseLike<V>, options: TransactionOptions = {}): Promise<V> {
    checkTransaction(body, options);
    const run = (place: Place): Promise<V> => transact(place, (at, within) => this.#insideOf(at, within), body, options);
    const place = this.place();
    return place === undefined ? this.#during(run) : run(place);
  }

  async #during<V>(body: (place: Place) => V | PromiseLike<V>): Promise<V> {
    this.#begin();
    const scope = new Scope(this.lender);
    this.#scopes.add(scope);
    try {
      return await body(new Place(scope, false));
    } finally {
      await scope.end();
      this.#scopes.delete(scope);
      this.#done();
    }
  }

  iterate<R = any>(text: string, values?: readonly unknown[], options: { batchSize?: number } = {}): AsyncIterableIterator<R> {
    checkFew(options, ITERATE_OPTIONS);
    const { batchSize = 100 } = options;
    if (!Number.isInteger(batchSize) || batchSize < 1)
      throw new RangeError(`batchSize must be a whole number from 1, not ${String(batchSize)}`);
    const question: Question = ask(text, values);
    // The rows belong to the place where this was called. When that place is over, the loop may not begin.
    const place = this.place();
    return rowsOf(this.lender, () => this.#unlessOver(place), question, batchSize);
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

  /** Gives back everything that this thread has borrowed, clean. */
  protected async giveEverythingBack(): Promise<void> {
    for (const client of this.#clients.all()) if (!client.isReleased) client.release();
    await Promise.all(this.#scopes.all().map((scope) => scope.end()));
  }

  /** `end` has been called on this thread. */
  protected get isLeaving(): boolean {
    return this.#ending !== undefined;
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

  /** As in pg, except for 'error': an error without a listener does not crash the process. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    return event === 'error' && this.listenerCount('error') === 0 ? false : super.emit(event, ...args);
  }

  /** An asynchronous listener that fails does not end the process, either. */
  override [captureRejectionSymbol](error: unknown, event: string | symbol): void {
    if (event !== 'error' && this.emit('error', error)) return;
    process.emitWarning(error instanceof Error ? error : new Error(`a listener for '${String(event)}' was rejected: ${inspect(error)}`));
  }

  [inspect.custom](): string {
    const { name } = this.sessions;
    return `Pool { name: ${JSON.stringify(name)}, totalCount: ${this.totalCount}, idleCount: ${this.idleCount}, waitingCount: ${this.waitingCount} }`;
  }
}
