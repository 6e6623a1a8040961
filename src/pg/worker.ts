/** cenote/pg/worker: the connections as every thread but the owner sees them. It loads neither pg nor anything of the owner's side. */
import { type AttachedPool, type AttachOptions, attachPool, type PoolHandle } from '../worker/index.ts';
import type { SessionMethods } from './protocol.ts';
import { PgPool } from './sync.ts';
import type { PgSync, PgPool as Type } from './types.ts';

export { DatabaseError } from './database-error.ts';
export type { PgClient, PgPool, PgSync, PgSyncClient, QueryCallback, Submission, TransactionOptions } from './types.ts';

const pools = new WeakMap<AttachedPool<SessionMethods>, PgPool>();

/**
 * Joins a pool that createPgPool has made, from any thread of the process. Idempotent: the same handle gives the same pool on the same
 * thread. Rejects as attachPool does: TypeError for something that is no handle, PoolClosedError for a pool that is closed or whose owner
 * is gone ... `options` are those of attachPool: `timeout` and `signal` limit the wait for an owner that is busy.
 */
export async function attachPgPool(handle: PoolHandle<unknown>, options?: AttachOptions): Promise<Type & PgSync> {
  for (;;) {
    const attached = await attachPool(handle as PoolHandle<SessionMethods>, options);
    const known = pools.get(attached);
    if (known === undefined) {
      const pool = new PgPool(attached);
      pools.set(attached, pool);
      return pool;
    }
    if (!known.ending) return known;
    // That pool is finishing what it has begun, and takes up nothing new. This call is to give another one.
    await known.end();
  }
}
