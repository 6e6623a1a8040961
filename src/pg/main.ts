/** cenote/pg: PostgreSQL connections that live on this thread, for all threads. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { clearInterval, setInterval } from 'node:timers';
import type { Client, ClientConfig } from 'pg';
import { AcquireTimeoutError, createPool, LeaseRevokedError, type Pool, type PoolHandle } from '../main/index.ts';
import { COMPANY, type CompanyOptions } from '../shared/options/company.ts';
import { apart } from './borrower/apart.ts';
import { PgClient } from './borrower/client.ts';
import { type PgInfo, withInfo } from './borrower/handle.ts';
import { belongsTo, Hold } from './borrower/hold.ts';
import { adopt } from './borrower/identity.ts';
import { PATIENCE, PgPool, tooLate } from './borrower/pool.ts';
import { clientClass } from './borrower/program-client.ts';
import type { RemoteSession, Sessions } from './borrower/sessions.ts';
import { Descriptors } from './driver/descriptors.ts';
import type { Address, Driver } from './driver/lane.ts';
import { driverNow, requiredDriver } from './driver/loading.ts';
import type { Packed } from './messages/frames.ts';
import { connect } from './owner/connecting.ts';
import { ConnectionSettings } from './owner/connection-settings.ts';
import { checked } from './owner/options.ts';
import { ProfileNumbers } from './owner/profile-numbers.ts';
import { Session } from './owner/session.ts';
import type { SessionSettings } from './owner/session-core.ts';
import type { PgLending, PgOwnerPool, PgPoolMore, PgPoolOptions, PgPool as PgPoolType } from './types.ts';

export { TransactionRolledBackError } from './borrower/rolled-back.ts';
export { DatabaseError } from './messages/database-error.ts';
export type {
  PgClient,
  PgLending,
  PgOwnerPool,
  PgPool,
  PgPoolMore,
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
export async function createPgPool(options: PgPoolOptions): Promise<PgOwnerPool & PgPoolMore> {
  const { connection, onConnect, statementCacheSize, reset, lend, batch, rest } = checked(options);
  const settings = new ConnectionSettings(connection, rest.name ?? 'pool');
  const driver = await requiredDriver();
  // What this thread asks of a pool, a client or an error is answered as by the driver's own.
  adopt(driver);
  const descriptors =
    lend === undefined || lend === 'auto' ? Descriptors.find() : Descriptors.none(`the pool was created with lend: '${lend}'`);
  const sessionSettings: SessionSettings = {
    reset: reset ?? 'auto',
    statementCacheSize: statementCacheSize ?? 0,
    checkTimeout: rest.checkTimeout ?? 5000,
    descriptors,
    profiles: new ProfileNumbers(),
  };
  // The socket must belong to no transaction of the first borrower.
  const outside = AsyncLocalStorage.snapshot();
  /** All sessions that there are. */
  const sessions = new Set<Session>();
  let owner: OwnersPool | undefined;
  const company: CompanyOptions<Session> = {
    method: 'speakOnce',
    most: batch,
    run: (session, [profile, bytes, mode, timeout], along) =>
      session.speakOnce(profile as string, bytes as Packed, mode as number, timeout as number | undefined, along),
  };
  const pool = await createPool<Session>({
    ...({ ...rest, [COMPANY]: company } as object),
    factory: async ({ signal }) => {
      const { client, setup, cancel } = await outside(() => connect(driver, settings, onConnect, signal, descriptors.why === undefined));
      const session: Session = new Session(client, sessionSettings, {
        setup,
        cancel,
        broke: (error) => owner?.lost(session, error),
        unfit: (error) => owner?.condemn(session, error),
      });
      sessions.add(session);
      return session;
    },
    destructor: (session) => {
      sessions.delete(session);
      return session.end();
    },
    // At `cancelAfter` of `maxHold`: what runs now, and what has been asked so far. A ROLLBACK comes after that.
    cancel: (session) => session.cancel(session.borrow),
    // At `revokeAfter`.
    abort: (session) => {
      sessions.delete(session);
      const name = rest.name ?? 'pool';
      return session.abort(new LeaseRevokedError(`pool ${JSON.stringify(name)}: the connection has been taken back`, name), AT_ONCE);
    },
    healthcheck: (session) => session.isAlive(),
    expose: [
      'hello',
      'run',
      'begin',
      'once',
      'reset',
      'fetch',
      'close',
      'submit',
      'speak',
      'hear',
      'speakOnce',
      'adopt',
      'comesBack',
      'ownTypes',
      'judge',
      'lost',
      'interrupt',
      'parse',
      'listen',
      'cancel',
      'giveUp',
    ],
  });
  const address = typeof connection === 'function' ? {} : addressOf(driver, await settings.next());
  const info: PgInfo = {
    lend: lend ?? 'auto',
    hasStatementCache: sessionSettings.statementCacheSize > 0,
    batch,
    address,
    relayed: descriptors.why,
  };
  owner = new OwnersPool(pool, sessions, info);
  if (descriptors.why === undefined) lookAfter(pool, sessions);
  // These were lost while others were made.
  for (const session of sessions) if (session.broken !== undefined) owner.lost(session, session.broken);
  return owner;
}

/** How often idle sockets are read again, in ms. */
const LOOK = 1000;

/** A socket that no thread reads does not say that the server has hung up. */
function lookAfter(pool: Pool<Session>, sessions: ReadonlySet<Session>): void {
  const timer = setInterval(() => {
    if (pool.isClosed()) clearInterval(timer);
    for (const session of sessions) session.recall();
  }, LOOK);
  timer.unref();
}

/** How long a server may take to end a connection that was taken back from its borrower, in ms. Then the socket is cut. */
const AT_ONCE = 500;

/**
 * A class to be used where a program or an ORM makes its own pool or client on the owner's thread, over this pool. See the one of
 * cenote/pg/worker, which is for the other threads: this one takes no handle.
 */
export function pgClient(pool: PgPoolType | Promise<PgPoolType>, pg?: typeof import('pg')): new (config?: string | ClientConfig) => Client {
  return clientClass(driverNow(pg), async (body) => {
    const given = await pool;
    if (given instanceof PgPool) return body(given);
    throw new TypeError(
      "pgClient of cenote/pg takes what createPgPool gives: on other threads use that of cenote/pg/worker, with the pool's handle",
    );
  });
}

/** What a client made of these settings says of where it goes. */
function addressOf(driver: Driver, config: ClientConfig): Address {
  try {
    const { host, port, user, database } = new driver.Client({ ...config, ssl: false });
    return { host, port, user, database };
  } catch {
    // Connecting will say what is wrong with them.
    return {};
  }
}

class OwnersPool extends PgPool implements PgOwnerPool {
  static override readonly name: string = 'Pool';
  /** The driver runs on this thread, and speaks to the sockets itself. */
  readonly lending: PgLending = { way: 'local' };
  readonly handle: PoolHandle<unknown>;
  readonly #pool: Pool<Session>;
  /** A connection is made and lost while some asker's call runs. A listener must not find itself in that asker's transaction. */
  readonly #outside = AsyncLocalStorage.snapshot();
  /** The connections as events show them: one object for a connection's whole life. */
  readonly #clients = new Map<Session, PgClient>();
  readonly #all: ReadonlySet<Session>;

  constructor(pool: Pool<Session>, all: ReadonlySet<Session>, info: PgInfo) {
    super(pool as unknown as Sessions, info.address);
    this.#pool = pool;
    this.handle = withInfo(pool.handle, info);
    this.#all = all;
    pool.on('create', (session) => this.#tell(() => this.emit('connect', this.#clientOf(session))));
    pool.on('destroy', (session) => {
      this.#tell(() => this.emit('remove', this.#clientOf(session)));
      this.#clients.delete(session);
    });
    // A job has left it, perhaps in a transaction. The next borrower's statements come behind this.
    pool.on('leak', ({ job }, session) => {
      if (job !== undefined && session !== undefined) session.forsaken();
    });
    pool.on('detach', (_threadId, _reclaimed, attachment) => this.#tidyUpAfter(attachment));
    pool.on('error', (error) =>
      this.#tell(() => {
        if (!this.emit('error', error)) process.emitWarning(error);
      }),
    );
  }

  /** Listeners hear it. */
  #tell(emit: () => void): void {
    apart(() => this.#outside(emit));
  }

  get pool(): Pool<unknown> {
    return this.#pool;
  }

  /** Queries of a 'connect' listener come before those of the first borrower, and are run again after a reset. */
  #clientOf(session: Session): PgClient {
    let client = this.#clients.get(session);
    if (client === undefined) {
      const setup = session.forSetup() as unknown as RemoteSession;
      const hold = new Hold(this.sessions, setup, session.processID);
      client = new PgClient(
        hold,
        () => {},
        () => {},
        { run: (question) => hold.run(question), setTypeParser: (...parser) => session.setTypeParser(...parser) },
      );
      this.#clients.set(session, client);
    }
    return client;
  }

  /** The connection goes to no borrower any more. A borrower that waits for an answer learns of it by that answer. */
  lost(session: Session, error: Error): void {
    if (this.#pool.condemn(session, error) && !session.isAtWork) this.#tell(() => this.emit('error', error, this.#clientOf(session)));
  }

  /** The connection goes to no other borrower. The borrower that has it was told why by the answer to its statement. */
  condemn(session: Session, error: Error): void {
    this.#pool.condemn(session, error);
  }

  /**
   * Resets what a thread has left behind in a connection that it kept, or that it gave back behind the pool's back. Another copy of this
   * module may go on there; its borrows have other names.
   */
  #tidyUpAfter(attachment: number): void {
    for (const session of this.#all) session.orphan(attachment);
    for (const session of this.#all) if (belongsTo(session.borrow, attachment)) void session.reset(session.borrow).catch(() => {});
  }

  protected override timedOut(timeout: number): Error {
    return new AcquireTimeoutError(tooLate(this.#pool.name, timeout), this.#pool.name);
  }

  /** What is borrowed beyond the limit stays usable, and is ended when it comes back. */
  protected override leave(): Promise<void> {
    return this.#pool.drain({ timeout: PATIENCE });
  }
}
