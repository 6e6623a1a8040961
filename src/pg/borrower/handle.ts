/** The handle of a pool of connections: the core's, and what a thread has to know to speak to the server itself. No secret is in it. */
import type { PoolHandle } from '../../worker/index.ts';
import type { Address } from '../driver/lane.ts';

export interface PgInfo {
  readonly lend: 'auto' | 'relayed' | 'remote';
  readonly hasStatementCache: boolean;
  /** How many single statements of a thread one borrow may serve. */
  readonly batch: number;
  readonly address: Address;
  /** Why no thread can have a descriptor of its own of a connection's socket; undefined if threads can. */
  readonly relayed: string | undefined;
}

export type PgHandle = PoolHandle<unknown> & { readonly pg?: PgInfo };

export const withInfo = (handle: PoolHandle<unknown>, pg: PgInfo): PgHandle => Object.freeze({ ...handle, pg: Object.freeze(pg) });

/** Undefined for a handle that comes from the pool underneath. */
export function infoOf(handle: PoolHandle<unknown>): PgInfo | undefined {
  const { pg } = handle as PgHandle;
  return typeof pg === 'object' && pg !== null && typeof pg.lend === 'string' ? pg : undefined;
}
