/** cenote: the pool on the thread that owns the resources. */
import { messenger } from '../shared/attaching.ts';
import { settingsOf } from './options.ts';
import { OwnerPool } from './pool.ts';
import type { Pool, PoolOptions } from './types.ts';

/**
 * Creates a pool whose resources live on the calling thread. Resolves once `min` resources exist. Rejects with the factory's error if one
 * of these cannot be made (those that were made are destroyed), with TypeError or RangeError for bad options, naming the option and the
 * value, and with PoolError (`ERR_POOL_NODE_VERSION`) on a Node.js without postMessageToThread.
 */
export async function createPool<T>(options: PoolOptions<T>): Promise<Pool<T>> {
  const settings = settingsOf(options);
  messenger(settings.name);
  const pool = new OwnerPool(settings);
  await pool.start();
  return pool;
}

export {
  AcquireTimeoutError,
  CallTimeoutError,
  CreateTimeoutError,
  LeaseRevokedError,
  NotBorrowedError,
  PoolClosedError,
  PoolError,
  PoolSuspendedError,
  QueueFullError,
  RecycleTimeoutError,
  RemoteCallError,
  ResizeTimeoutError,
  ServiceUnavailableError,
  SuspendTimeoutError,
  type WaitedBehind,
} from '../shared/errors.ts';
export type {
  AcquireOptions,
  CircuitBreaker,
  HoldLimits,
  Lease,
  Percentiles,
  PoolHandle,
  PoolStats,
  ResourcePool,
} from '../shared/types.ts';
export { CircuitBreakerState } from '../shared/types.ts';
export type { DestroyReason } from '../shared/words/counters.ts';
export { consecutiveFailures } from './breaker/consecutive-failures.ts';
export { failureRate } from './breaker/failure-rate.ts';
export type {
  BudgetedPool,
  CircuitBreakerStrategy,
  FactoryContext,
  Permit,
  Pool,
  PoolBudget,
  PoolEvents,
  PoolOptions,
  PoolPermits,
  SuspendOptions,
  Suspension,
} from './types.ts';
