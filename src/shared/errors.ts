/**
 * The classes of errors, with one stable code each. How they cross between threads: wire/error-wire.ts. Their texts: where they are
 * thrown.
 */

/**
 * Sets the name of a class and of its errors, as text, since a minifier renames classes.
 * Defined, as the name of a frozen Error cannot be assigned.
 */
function named(type: { readonly prototype: Error }, name: string): void {
  Object.defineProperty(type, 'name', { value: name, configurable: true });
  Object.defineProperty(type.prototype, 'name', { value: name, configurable: true, writable: true });
}

/**
 * Every error of a pool is one. Itself it is thrown by attaching: `maxThreads` are attached, another memory layout, the owner's own
 * thread, a listener of the program in the way (`ERR_POOL`), or a Node.js without postMessageToThread (`ERR_POOL_NODE_VERSION`). And by a
 * hand-out of a Proxy that fails to answer. Between threads an error keeps its class.
 */
export class PoolError extends Error {
  /** Stable, one for each class: `ERR_POOL_...`. */
  readonly code: string;
  /** The pool's name. */
  readonly pool: string;

  constructor(message: string, pool: string, options?: ErrorOptions & { code?: string }) {
    super(message, options);
    this.code = options?.code ?? 'ERR_POOL';
    this.pool = pool;
  }

  static {
    named(PoolError, 'PoolError');
  }
}

/** `ERR_POOL_CLOSED`: the pool is closed or draining, its owner has ended, or this thread has detached. */
export class PoolClosedError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_CLOSED' });
  }

  static {
    named(PoolClosedError, 'PoolClosedError');
  }
}

/** The deadlock that a waiter stood behind when its time was over. */
export interface WaitedBehind {
  /** Node's ids of the threads in it. */
  threads: number[];
  /** Which thread holds what and waits for what. */
  text: string;
  /** 'suspected': a thread in it waits with a promise, so that another function of it might give back. */
  certainty: 'certain' | 'suspected';
}

/**
 * `ERR_POOL_ACQUIRE_TIMEOUT`: no resource became available within `timeout`; or, attaching, the owner did not answer in time. The message
 * says how many this thread has, and which deadlock it has waited behind.
 */
export class AcquireTimeoutError extends PoolError {
  /**
   * The deadlock that kept this waiter from being served, over the pools that its thread owns or has attached. Not there if there was
   * none.
   */
  declare readonly knot?: WaitedBehind;

  constructor(message: string, pool: string, options?: ErrorOptions & { knot?: WaitedBehind | undefined }) {
    super(message, pool, { ...options, code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
    if (options?.knot !== undefined) this.knot = options.knot;
  }

  static {
    named(AcquireTimeoutError, 'AcquireTimeoutError');
  }
}

/** `ERR_POOL_UNAVAILABLE`: the circuit breaker is INACTIVE. */
export class ServiceUnavailableError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_UNAVAILABLE' });
  }

  static {
    named(ServiceUnavailableError, 'ServiceUnavailableError');
  }
}

/** `ERR_POOL_QUEUE_FULL`: `maxWaiting` waiters are in line already. */
export class QueueFullError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_QUEUE_FULL' });
  }

  static {
    named(QueueFullError, 'QueueFullError');
  }
}

/** `ERR_POOL_CREATE_TIMEOUT`: the factory took longer than `createTimeout`. */
export class CreateTimeoutError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_CREATE_TIMEOUT' });
  }

  static {
    named(CreateTimeoutError, 'CreateTimeoutError');
  }
}

/** `ERR_POOL_NOT_BORROWED`: a resource was given back twice, or was never borrowed by this thread. */
export class NotBorrowedError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_NOT_BORROWED' });
  }

  static {
    named(NotBorrowedError, 'NotBorrowedError');
  }
}

/** `ERR_POOL_REMOTE_CALL`: the method does not exist or is not exposed, a value cannot be cloned, or the lease was released. */
export class RemoteCallError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions & { code?: string }) {
    super(message, pool, { ...options, code: options?.code ?? 'ERR_POOL_REMOTE_CALL' });
  }

  static {
    named(RemoteCallError, 'RemoteCallError');
  }
}

/**
 * `ERR_POOL_CALL_TIMEOUT`: a call that blocks its thread had no answer within `timeout`. Whether the method has run, or still runs, is
 * not known.
 */
export class CallTimeoutError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_CALL_TIMEOUT' });
  }

  static {
    CallTimeoutError.prototype.name = 'CallTimeoutError';
  }
}

/** `ERR_POOL_SUSPENDED`: the pool is suspended with `mode: 'refuse'`. The message has the labels of the suspensions. */
export class PoolSuspendedError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_SUSPENDED' });
  }

  static {
    named(PoolSuspendedError, 'PoolSuspendedError');
  }
}

/** `ERR_POOL_SUSPEND_TIMEOUT`: what `suspend` was to wait for did not come about in time. That suspension is over. */
export class SuspendTimeoutError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_SUSPEND_TIMEOUT' });
  }

  static {
    named(SuspendTimeoutError, 'SuspendTimeoutError');
  }
}

/** `ERR_POOL_RESIZE_TIMEOUT`: there are still more resources than the new `max`, or fewer than the new `min`. The new limits hold. */
export class ResizeTimeoutError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_RESIZE_TIMEOUT' });
  }

  static {
    named(ResizeTimeoutError, 'ResizeTimeoutError');
  }
}

/** `ERR_POOL_RECYCLE_TIMEOUT`: some of the old resources are still there. They are replaced as they come back. */
export class RecycleTimeoutError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_RECYCLE_TIMEOUT' });
  }

  static {
    named(RecycleTimeoutError, 'RecycleTimeoutError');
  }
}

/**
 * `ERR_POOL_LEASE_REVOKED`: the pool has taken the resource back, after `revokeAfter`, or by `revoke` or `recycle`. An error given to
 * `revoke` is its cause.
 */
export class LeaseRevokedError extends RemoteCallError {
  /** How long it was out, in milliseconds: at least so long. 0 where the pool did not watch it. */
  readonly heldFor: number;

  constructor(message: string, pool: string, options?: ErrorOptions & { heldFor?: number }) {
    super(message, pool, { ...options, code: 'ERR_POOL_LEASE_REVOKED' });
    this.heldFor = options?.heldFor ?? 0;
  }

  static {
    named(LeaseRevokedError, 'LeaseRevokedError');
  }
}
