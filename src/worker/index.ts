/** cenote/worker: the pool as seen from every thread but the owner's. */
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
export { attachPool } from './attach.ts';
export type { AttachedPool, AttachOptions, Remote, SyncRemote } from './types.ts';
