/** cenote/pg: PostgreSQL connections that live on this thread, for all threads. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createPool, type Pool, type PoolHandle } from '../main/index.ts';
import { PgClient } from './client.ts';
import { connect, loadDriver } from './connecting.ts';
import { ConnectionSettings } from './connection-settings.ts';
import { Hold, type RemoteSession, type Sessions } from './hold.ts';
import { PgPool as BasePool } from './pool.ts';
import { Session, type SessionSettings } from './session.ts';
import type { PgOwnerPool, PgPoolOptions } from './types.ts';

export { DatabaseError } from './database-error.ts';
export type {
  PgClient,
  PgOwnerPool,
  PgPool,
  PgPoolOptions,
  PgSync,
  PgSyncClient,
  QueryCallback,
  Submission,
  TransactionOptions,
} from './types.ts';

/**
 * Creates a pool of connections whose sockets live on the calling thread. Opens none until one is needed (or `min` are).
 * Rejects with TypeError / RangeError for bad options, and with what connecting failed with if `min` connections could not be made.
 */
export async function createPgPool(options: PgPoolOptions): Promise<PgOwnerPool> {
  const { connection, onConnect, statementCacheSize, reset, ...rest } = checked(options);
  const settings = new ConnectionSettings(connection, rest.name ?? 'pool');
  const driver = await loadDriver();
  const sessionSettings: SessionSettings = {
    reset: reset ?? 'auto',
    statementCacheSize: statementCacheSize ?? 0,
    checkTimeout: rest.checkTimeout ?? 5000,
  };
  // The socket belongs to no transaction of the first borrower's.
  const outside = AsyncLocalStorage.snapshot();
  /** All that there are. */
  const sessions = new Set<Session>();
  let owner: PgPool | undefined;
  const pool = await createPool<Session>({
    ...(rest as object),
    factory: async ({ signal }) => {
      const { client, setup, cancel } = await outside(() => connect(driver, settings, onConnect, signal));
      const session = new Session(client, sessionSettings, {
        setup,
        cancel,
        broke: (which, error) => owner?.lost(which, error),
        unfit: (which, error) => owner?.condemn(which, error),
      });
      sessions.add(session);
      return session;
    },
    destructor: (session) => {
      sessions.delete(session);
      return session.end();
    },
    healthcheck: (session) => session.isAlive(),
    expose: ['hello', 'run', 'once', 'reset', 'fetch', 'close', 'submit', 'cancel'],
  });
  owner = new PgPool(pool, sessions);
  // Lost while others were made.
  for (const session of sessions) if (session.broken !== undefined) owner.lost(session, session.broken);
  return owner;
}

/** What makes the resources is ours, whatever is given. */
const OURS = ['factory', 'destructor', 'healthcheck', 'beforeAcquire', 'beforeRelease', 'expose', 'share'];

function checked(options: PgPoolOptions): PgPoolOptions {
  if (typeof options !== 'object' || options === null) throw new TypeError('createPgPool takes an options object like { connection, max }');
  for (const name of OURS)
    if ((options as unknown as Record<string, unknown>)[name] !== undefined)
      throw new TypeError(
        `${name} is not an option of createPgPool: it makes, checks and resets connections itself (see onConnect and reset)`,
      );
  const { statementCacheSize: size, reset, onConnect, connection } = options;
  if (size !== undefined && !(Number.isInteger(size) && size >= 0))
    throw new RangeError(`statementCacheSize must be a whole number from 0, not ${String(size)}`);
  if (reset !== undefined && reset !== 'auto' && reset !== 'always' && reset !== 'never')
    throw new TypeError(`reset must be 'auto', 'always' or 'never', not ${JSON.stringify(reset)}`);
  if (onConnect !== undefined && typeof onConnect !== 'function') throw new TypeError('onConnect must be a function of the new client');
  if (connection === undefined)
    throw new TypeError('connection is missing: a connection string, a URL, an object like { host, user, password }, or a function');
  return options;
}

/** How long `end` waits for what is borrowed, in ms. After that it closes the pool under it: what is out stays usable, and is ended when it comes back. */
const PATIENCE = 5000;

class PgPool extends BasePool implements PgOwnerPool {
  readonly #pool: Pool<Session>;
  /** A connection is made and lost on behalf of whoever asked just then: a listener is not to find itself in their transaction. */
  readonly #outside = AsyncLocalStorage.snapshot();
  /** What events call a connection: the same object for its whole life. */
  readonly #clients = new Map<Session, PgClient>();
  readonly #all: ReadonlySet<Session>;

  constructor(pool: Pool<Session>, all: ReadonlySet<Session>) {
    super(pool as unknown as Sessions);
    this.#pool = pool;
    this.#all = all;
    pool.on('create', (session) => this.#outside(() => this.emit('connect', this.#clientOf(session))));
    pool.on('destroy', (session) => {
      this.#outside(() => this.emit('remove', this.#clientOf(session)));
      this.#clients.delete(session);
    });
    pool.on('detach', (threadId) => this.#tidyUpAfter(threadId));
    pool.on('error', (error) => {
      if (!this.#outside(() => this.emit('error', error))) process.emitWarning(error);
    });
  }

  get pool(): Pool<unknown> {
    return this.#pool;
  }

  get handle(): PoolHandle<unknown> {
    return this.#pool.handle;
  }

  /** Queries of a 'connect' listener come before those of the first borrower, and are run again after a reset. */
  #clientOf(session: Session): PgClient {
    let client = this.#clients.get(session);
    if (client === undefined) {
      const setup = session.forSetup() as unknown as RemoteSession;
      client = new PgClient(new Hold(this.sessions, setup, session.processID), () => {});
      this.#clients.set(session, client);
    }
    return client;
  }

  /** Nobody gets it any more. Where a borrower waits for an answer, it is told by that. */
  lost(session: Session, error: Error): void {
    if (this.#pool.condemn(session, error) && !session.isAtWork) this.#outside(() => this.emit('error', error, this.#clientOf(session)));
  }

  /** It goes to no other borrower. The one that has it was told why by the answer to its statement. */
  condemn(session: Session, error: Error): void {
    this.#pool.condemn(session, error);
  }

  /** What a thread has left behind in a connection that was kept, or that it gave back behind our back. */
  #tidyUpAfter(threadId: number): void {
    for (const session of this.#all) if (session.borrow.startsWith(`${threadId}:`)) void session.reset(session.borrow).catch(() => {});
  }

  protected override leave(): Promise<void> {
    return this.#pool.drain({ timeout: PATIENCE });
  }
}
