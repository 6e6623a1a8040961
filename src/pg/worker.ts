/**
 * cenote/pg/worker: the connections as every thread but the owner sees them. It loads nothing of the owner's side, and pg if it is
 * installed.
 */
import type { Client, ClientConfig } from 'pg';
import { type AttachedPool, type AttachOptions, attachPool, type PoolHandle } from '../worker/index.ts';
import { infoOf } from './borrower/handle.ts';
import { adopt } from './borrower/identity.ts';
import { LocalWay } from './borrower/local.ts';
import { LocalLending } from './borrower/local-lending.ts';
import { clientClass } from './borrower/program-client.ts';
import type { Sessions } from './borrower/sessions.ts';
import { Stay } from './borrower/stay.ts';
import { WorkersPool } from './borrower/sync.ts';
import { setWay } from './borrower/way.ts';
import type { Driver } from './driver/lane.ts';
import { driverFor, driverNow, type Given } from './driver/loading.ts';
import type { SessionMethods } from './messages/protocol.ts';
import type { PgLending, PgPoolMore, PgSync, PgPool as Type } from './types.ts';

export { TransactionRolledBackError } from './borrower/rolled-back.ts';
export { DatabaseError } from './messages/database-error.ts';
export type {
  PgClient,
  PgLending,
  PgPool,
  PgPoolMore,
  PgSync,
  PgSyncClient,
  QueryCallback,
  Submission,
  TransactionOptions,
} from './types.ts';

/** This thread's stay in each pool, and the pool that it was given last. */
const stays = new WeakMap<AttachedPool<SessionMethods>, { readonly stay: Stay; pool: WorkersPool }>();

/** Options of attachPgPool: those of attachPool, and the driver. */
export interface PgAttachOptions extends AttachOptions {
  /**
   * This thread's own driver, the module 'pg'. Then rows are parsed by its type parsers, errors are its DatabaseError, the pool is an
   * instance of its Pool, and instrumentations of it see the queries. Default: it is loaded if it is installed. `false`: the owner's driver
   * does all.
   */
  readonly pg?: Driver | false | undefined;
}

/**
 * Joins a pool that createPgPool has made, from any thread of the process. Idempotent: the same handle gives the same pool on the same
 * thread. Rejects as attachPool does: TypeError for something that is no handle, PoolClosedError for a pool that is closed or whose owner
 * is gone ... `options` are those of attachPool (`timeout` and `signal` limit the wait for an owner that is busy) and `pg`; something else
 * than the module or `false` for `pg` is a TypeError.
 */
export function attachPgPool(handle: PoolHandle<unknown>, options?: PgAttachOptions): Promise<Type & PgSync & PgPoolMore> {
  return enter(handle, options, (pool) => pool);
}

/** Calls `body` with this thread's pool in a moment in which its end has not begun. */
async function enter<V>(handle: PoolHandle<unknown>, options: PgAttachOptions | undefined, body: (pool: WorkersPool) => V): Promise<V> {
  for (;;) {
    const { pg, ...limits } = options ?? {};
    const [attached, found] = await Promise.all([
      attachPool(handle as PoolHandle<SessionMethods>, options && limits),
      driverFor(pg as Given),
    ]);
    const known = stays.get(attached);
    if (known !== undefined && !known.pool.ending) return body(known.pool);
    // The thread has left, but for what comes back by itself. It is to attach anew.
    if (known?.stay.isOver) continue;
    if ('driver' in found) adopt(found.driver);
    const stay = known?.stay ?? new Stay(attached, lendingOf(attached, handle, found));
    const pool = new WorkersPool(stay, infoOf(handle)?.address ?? {});
    stays.set(attached, { stay, pool });
    return body(pool);
  }
}

/**
 * A class to be used where a program or an ORM makes its own pool or client: `new pg.Pool({ Client })`, TypeORM's `extra: { Client }` and
 * so on. Its clients are the driver's, over this pool: each is a place in the one line. It has a connection while it needs one (a
 * transaction, a cursor, session state set on purpose), and lends it to others in between; a plain query with nothing open is as one of
 * `pool.query`. What it is given to set up its session (`statement_timeout`, `application_name`, `options` ...), and what it sets before
 * its first other statement, is its profile: it is in force in each connection that the client gets, and pins none. Settings that say
 * where to connect are ignored.
 *
 * It attaches when its first client connects. `pg`: the driver; default: the installed one, which must be there. Throws if it is not.
 */
export function pgClient(pool: PoolHandle<unknown> | Type | Promise<Type>, pg?: Driver): new (config?: string | ClientConfig) => Client {
  const driver = driverNow(pg);
  return clientClass(driver, async (body) => {
    const given = await pool;
    return given instanceof WorkersPool ? body(given) : await enter(given as PoolHandle<unknown>, { pg: driver }, body);
  });
}

/** Decides where connections are spoken to, and sees to it. */
function lendingOf(
  attached: AttachedPool<SessionMethods>,
  handle: PoolHandle<unknown>,
  found: Awaited<ReturnType<typeof driverFor>>,
): PgLending {
  const info = infoOf(handle);
  if (info === undefined)
    return { way: 'remote', why: 'the handle is that of the pool underneath: pass on the handle of what createPgPool gives' };
  if (info.lend === 'remote') return { way: 'remote', why: "the pool was created with lend: 'remote'" };
  if ('why' in found) return { way: 'remote', why: found.why };
  const sessions = attached as unknown as Sessions;
  setWay(sessions, new LocalWay(found.driver, sessions, info));
  return new LocalLending(info.relayed);
}
