/** The public types of cenote/pg, for both of its entry points. */
import type { Client, ClientConfig, QueryArrayConfig, QueryArrayResult, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import type { Pool, PoolOptions } from '../main/index.ts';
import type { AcquireOptions, PoolHandle } from '../worker/index.ts';

/** Options of createPgPool: those of createPool that are not about making resources, and these. */
export interface PgPoolOptions
  extends Omit<
    PoolOptions<unknown>,
    'factory' | 'destructor' | 'healthcheck' | 'beforeAcquire' | 'beforeRelease' | 'expose' | 'share' | 'cancel' | 'abort'
  > {
  /**
   * A connection string, a URL, a ClientConfig of pg, or a function that is asked before every connect (rotating passwords, IAM tokens). It
   * is copied before use, and every connection gets all of it, TLS included. It is never logged, and never sent to a worker. Settings of a
   * pool in it are a TypeError.
   */
  connection: string | URL | ClientConfig | (() => string | URL | ClientConfig | Promise<string | URL | ClientConfig>);
  /**
   * Runs once on each new connection, on the owner: SET search_path, register types ... If it fails, so does making the connection.
   * What its statements set in the session is set again after a reset.
   */
  onConnect?: ((client: Client) => void | Promise<void>) | undefined;
  /**
   * Server-side prepared statements kept per connection, least recently used out first. Default 0: off. A statement that DDL has made stale
   * (its plan, or the types of its parameters) is prepared again and the query repeated, once, outside a transaction; in a transaction the
   * next call prepares it again.
   */
  statementCacheSize?: number | undefined;
  /**
   * What is undone before the next borrower gets the connection. An open transaction is always rolled back (the server's own status
   * decides, so raw BEGIN counts). 'auto': session state (SET, LISTEN, temp tables, advisory locks, cursors, prepared statements of the
   * user's) is reset when a statement may have touched it. 'always' / 'never' say so. Default 'auto'. A reset that takes longer than
   * `checkTimeout` costs the connection.
   */
  reset?: 'auto' | 'always' | 'never' | undefined;
  /**
   * Where a borrowed connection is spoken to. 'auto' (default): in the borrowing thread itself, by that thread's own `pg`, where it has
   * one; on the connection's own socket, where the package `koffi` is installed and the connection is without TLS (Linux, macOS), else the
   * owner passes the bytes on. 'relayed': the owner passes them on always. 'remote': the owner's driver does all. `pool.lending` says what
   * is in force and why. Whatever it is, limits, line, breaker, health checks, reset and repair are the same, and no secret leaves the
   * owner.
   */
  lend?: 'auto' | 'relayed' | 'remote' | undefined;
  /**
   * How many plain queries (`pool.query`) of one thread may be served before the line goes on to the next thread, from 1 to 64. Default 8.
   * Where several of a thread wait, the connection that it is granted may serve them in one go: those that only read, and behind such as
   * have answered quickly before. Each is still one statement with its own result, error, timeout and place in line. 1: strictly one by
   * one.
   */
  batch?: number | undefined;
}

/** Where borrowed connections are spoken to. */
export interface PgLending {
  /** 'local': in the borrowing thread, by its own driver. 'remote': by the owner's. */
  readonly way: 'local' | 'remote';
  /**
   * How the bytes go, if the way is 'local'. 'socket': on the connection's own socket, of which the thread has a descriptor, if the
   * connection is without TLS. 'owner': the owner passes them on.
   */
  readonly over?: 'socket' | 'owner' | undefined;
  /** Why it is not in the borrowing thread, or not on the socket. */
  readonly why?: string | undefined;
}

/** What a pool says of itself beside the interface of pg.Pool's documentation: what programs and libraries ask it. */
export interface PgPoolMore {
  /** Where connections that this thread borrows are spoken to. */
  readonly lending: PgLending;
  /** Like those of a pg.Pool: where it connects to, and how many connections. No secret is among them. */
  readonly options: object;
  /** The driver's Client, if this thread has the driver. */
  readonly Client: unknown;
}

/** Without an error, `error` is null for a client's callback and undefined for a pool's, as in pg. */
export type QueryCallback<R extends QueryResultRow = any> = (error: Error | null | undefined, result: QueryResult<R>) => void;

/** What `client.query` takes besides text: an object that speaks the protocol itself, like those of pg-cursor and pg-query-stream. */
export interface Submission {
  /** Called with a connection of the protocol, on the thread that made the query. */
  submit(connection: never): unknown;
}

/**
 * A borrowed connection. Also an EventEmitter. A listener hears when it happens: 'notification' at once; 'notice', 'error' and 'end' from
 * 20 ms after the listener was added, and before that with the answer to a query.
 */
export interface PgClient extends NodeJS.EventEmitter {
  /** A Cursor or a QueryStream. It is given back as it is. */
  query<S extends Submission>(submission: S): S;
  /** With a callback, as in pg. */
  query<R extends QueryResultRow = any>(text: string | QueryConfig, callback: QueryCallback<R>): void;
  /** With values and a callback, as in pg. */
  query<R extends QueryResultRow = any>(
    text: string | QueryConfig,
    values: readonly unknown[] | undefined,
    callback: QueryCallback<R>,
  ): void;
  /** Rows as arrays (`rowMode: 'array'`), as in pg. */
  query<R extends any[] = any[]>(config: QueryArrayConfig, values?: readonly unknown[]): Promise<QueryArrayResult<R>>;
  /** As in pg. Rejects with a DatabaseError as pg has it, on every thread. */
  query<R extends QueryResultRow = any>(text: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<R>>;
  /**
   * Gives the connection back; `true` or an error destroys it. Returns at once: queries under way are finished first, and what the borrower
   * left behind is undone. A second time is an error, and so is any later query.
   */
  release(destroy?: boolean | Error): void;
  /** Server process id of the connection. */
  readonly processID: number;
  /** As in pg: 'I' idle, 'T' in a transaction, 'E' in a failed one. It is the state of the last answer. */
  getTransactionStatus(): 'I' | 'T' | 'E';
  /** A name, quoted for use in SQL. */
  escapeIdentifier(name: string): string;
  /** A text, quoted for use in SQL. */
  escapeLiteral(text: string): string;
}

/** A `pg.Pool`, on any thread. */
export interface PgPool extends NodeJS.EventEmitter {
  /** With a callback, as in pg. */
  query<R extends QueryResultRow = any>(text: string | QueryConfig, callback: QueryCallback<R>): void;
  /** With values and a callback, as in pg. */
  query<R extends QueryResultRow = any>(
    text: string | QueryConfig,
    values: readonly unknown[] | undefined,
    callback: QueryCallback<R>,
  ): void;
  /** Rows as arrays (`rowMode: 'array'`), as in pg. */
  query<R extends any[] = any[]>(config: QueryArrayConfig, values?: readonly unknown[]): Promise<QueryArrayResult<R>>;
  /**
   * One query on whatever connection is free: one message to the owner and one back. An open transaction or session state that it leaves
   * behind is undone at once; use `transaction`, `scope` or `connect` for statements that belong together.
   */
  query<R extends QueryResultRow = any>(text: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<R>>;
  /** With a callback, as in pg. */
  connect(callback: (error: Error | undefined, client: PgClient | undefined, release: (destroy?: boolean | Error) => void) => void): void;
  /** Borrows a connection. Rejects as `acquire` does: AcquireTimeoutError, PoolClosedError, what connecting failed with ... */
  connect(options?: AcquireOptions): Promise<PgClient>;
  /** With a callback, as in pg. */
  end(callback: (error?: Error) => void): void;
  /**
   * On a worker: finishes what this thread has begun, and ends its attachment. On the owner: refuses new work of every thread, waits for
   * what is borrowed, and closes the pool; a connection that is still borrowed then stays usable until it is released. What begins later is
   * refused with PoolClosedError. Waits at most 5 seconds, then ends all the same. May be called again.
   */
  end(): Promise<void>;
  /** Connections, over all threads. */
  readonly totalCount: number;
  /** Connections that are ready to be handed out. */
  readonly idleCount: number;
  /** Waiters in line, over all threads. */
  readonly waitingCount: number;
  /** `end` has finished. */
  readonly ended: boolean;
  /** `end` was called. */
  readonly ending: boolean;

  /**
   * BEGIN, body, COMMIT; ROLLBACK if body throws, and then rejects with what it threw. Nested calls are savepoints. A scope: whatever
   * inside it uses this pool uses this transaction. A COMMIT that the server answers with ROLLBACK rejects. `retries`: run body again on
   * 40001 / 40P01, with backoff. When `signal` aborts, the query under way is cancelled, everything is rolled back, and it rejects with the
   * signal's reason.
   */
  transaction<V>(body: (tx: PgClient) => V | PromiseLike<V>, options?: TransactionOptions): Promise<V>;
  /**
   * One connection for everything inside, however deep (AsyncLocalStorage). Inside, `query` and `connect` use it. A transaction (raw BEGIN
   * included), a cursor or stream, or session state that was set on purpose (SET, LISTEN, temp tables, advisory locks) pins it; otherwise
   * it may go to others between queries. What is still open at the end is rolled back and reset. A scope within a scope joins it.
   */
  scope<V>(body: () => V | PromiseLike<V>): Promise<V>;
  /**
   * Rows through a server-side cursor, `batchSize` (default 100) at a time; leaving the loop closes the cursor. Outside a transaction it
   * has one of its own, committed at the end.
   */
  iterate<R = any>(text: string, values?: readonly unknown[], options?: { batchSize?: number }): AsyncIterableIterator<R>;
}

/** The pool on the thread that owns the connections. */
export interface PgOwnerPool extends PgPool {
  /** The pool underneath: events, stats, breaker, drain. */
  readonly pool: Pool<unknown>;
  /** For attachPgPool. Carries no credentials. */
  readonly handle: PoolHandle<unknown>;
}

/** What a pool on a worker has in addition: queries that block the thread, without promises. */
export interface PgSync {
  /**
   * `query`, blocking this thread. `timeout`: the most that this may block, in milliseconds, for a connection (AcquireTimeoutError) and for
   * the answer (CallTimeoutError). In the second case the query is cancelled on the server, and the connection is ended, with the
   * transaction that it was in. Default: the wait for a connection has the pool's `acquireTimeout`, the wait for the answer has no limit.
   */
  querySync<R extends QueryResultRow = any>(
    text: string | QueryConfig,
    values?: readonly unknown[],
    options?: { timeout?: number },
  ): QueryResult<R>;
  /** `transaction`, blocking this thread. The body must not return a promise. `timeout` is for all of it, as with `querySync`. */
  transactionSync<V>(body: (tx: PgSyncClient) => V, options?: TransactionOptions): V;
}

/** The connection of a `transactionSync`. */
export interface PgSyncClient {
  /** One query in the transaction, blocking this thread. Throws a DatabaseError as pg has it. */
  query<R extends QueryResultRow = any>(text: string | QueryConfig, values?: readonly unknown[]): QueryResult<R>;
}

/**
 * Options of a transaction. All apply to the outermost one. `timeout` and `signal` are those of acquire; for transactionSync, `timeout`
 * limits all of it. Other names are a TypeError.
 */
export interface TransactionOptions extends AcquireOptions {
  /** The isolation level. Default: the server's. */
  isolation?: 'read committed' | 'repeatable read' | 'serializable' | undefined;
  /** READ ONLY, or READ WRITE if false. Default: the server's. */
  readOnly?: boolean | undefined;
  /** DEFERRABLE: waits for a snapshot that cannot fail. It has an effect only with `serializable` and `readOnly`. Default: the server's. */
  deferrable?: boolean | undefined;
  /** How often the body may run again after a serialization failure or a deadlock. Default 0. */
  retries?: number | undefined;
}
