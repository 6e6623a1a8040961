/** The public types that both sides share. */

/** The states of a circuit breaker, by name. */
export const CircuitBreakerState = {
  /** Closed: everything as usual. */
  ACTIVE: 'active',
  /** Open: acquire throws ServiceUnavailableError at once. */
  INACTIVE: 'inactive',
  /** Half-open: `recoveryProbes` hand-outs at a time, whose outcome decides. */
  RECOVERING: 'recovering',
} as const;
/** The state of a circuit breaker: 'active', 'inactive' or 'recovering'. */
export type CircuitBreakerState = (typeof CircuitBreakerState)[keyof typeof CircuitBreakerState];

/** Works on every thread: the state is one word of shared memory. */
export interface CircuitBreaker {
  /** The state now, read from shared memory. */
  getState(): CircuitBreakerState;
  /** Closes the breaker: everything as usual. */
  activate(): void;
  /**
   * Opens the breaker: acquire throws at once, and all waiters are rejected with ServiceUnavailableError. A waiter that joins while this
   * call is under way may be rejected, too, even if another thread has closed the breaker again meanwhile.
   */
  deactivate(): void;
  /**
   * Lets `recoveryProbes` hand-outs through at a time. A strategy decides by their outcome. Without one, that many successes in a row
   * activate, and one failure deactivates. An acquire that overlaps this call may still pass by the old rule.
   */
  recover(): void;
}

/** Plain cloneable data for workerData or postMessage; give the same one to any number of threads. */
export interface PoolHandle<T> {
  /** The pool's name, for errors. */
  readonly name: string;
  /** The pool's control block. A thread that has it can borrow, and can damage the pool: give it only to code that you trust. */
  readonly buffer: SharedArrayBuffer;
  /** Node's thread id of the owner. */
  readonly owner: number;
  /** Never there at run time: it carries the resource's type. */
  readonly __resource?: T;
}

/** What becomes of a resource that is out for too long. In milliseconds from its hand-out; 0 (the default) or Infinity: never. */
export interface HoldLimits {
  /** An 'overdue' event with the stage 'warn'. */
  warnAfter?: number | undefined;
  /**
   * `lease.signal` aborts in the borrower's thread, and the pool's `cancel` is called. The borrower may still use the resource, to clean
   * up.
   */
  cancelAfter?: number | undefined;
  /**
   * The resource is taken back: calls under way and later ones reject with LeaseRevokedError, `abort` ends the resource, and the line is
   * served by a new one. A limit is never early. It is late by at most 50 ms or a twentieth of the shortest limit, whichever is more, and
   * by as long as the owner was blocked.
   */
  revokeAfter?: number | undefined;
}

/** Limits for one wait. Other names in it are ignored. A value of the wrong type or range is a TypeError or RangeError. */
export interface AcquireOptions {
  /**
   * Most time to wait in line, in milliseconds, up to 2,147,483,647. 0 or Infinity: no limit. Default: the pool's `acquireTimeout`. Then
   * AcquireTimeoutError.
   */
  timeout?: number | undefined;
  /**
   * Aborting it while the acquire waits rejects with `signal.reason`. A resource that was granted meanwhile goes to the next waiter.
   * Default: none.
   */
  signal?: AbortSignal | undefined;
  /**
   * Limits of this one hand-out, shorter than the pool's `maxHold`, or RangeError. A number is `revokeAfter`. Default: the pool's.
   */
  maxHold?: number | HoldLimits | undefined;
}

/** One hand-out of a resource, which gives itself back: for `using` and `await using`. */
export interface Lease<R> extends Disposable, AsyncDisposable {
  /** What was borrowed. */
  readonly resource: R;
  /**
   * Aborts at `cancelAfter` of `maxHold`, with an error of the code `ERR_POOL_LEASE_OVERDUE`. If the resource is taken back before that, it
   * aborts with LeaseRevokedError. It aborts once.
   */
  readonly signal: AbortSignal;
  /**
   * The limits of `maxHold` count anew from now; from a worker, from when the owner hears it. It does not undo a cancel. Does nothing once
   * the lease is over.
   */
  renew(): void;
  /** As `pool.release(resource)`. A second time throws NotBorrowedError. Disposing a lease that was given back does nothing. */
  release(): void;
  /** As `pool.destroy(resource, error)`. Throws NotBorrowedError if the lease was given back. */
  destroy(error?: Error): void;
}

/** How durations are spread, in milliseconds, at most 12.5 % off. All 0 while there is none. */
export interface Percentiles {
  /** How many durations were recorded. */
  count: number;
  /** Half of them were at most this long. */
  p50: number;
  /** 90 of 100 were at most this long. */
  p90: number;
  /** 99 of 100 were at most this long. */
  p99: number;
  /** The longest. */
  max: number;
}

/** One snapshot of a pool. The counters, from `acquired` to `recycled`, count from the start of the pool, over all threads. */
export interface PoolStats {
  /** The pool's name. */
  name: string;
  /** The state of the circuit breaker. */
  state: CircuitBreakerState;
  /** As `isClosed()`. */
  closed: boolean;
  /** Is the pool suspended? */
  suspended: boolean;
  /** The labels of the suspensions in force. */
  suspendedBy: string[];
  /** The option `min`, or what `resize` has set. */
  min: number;
  /** The option `max`, or what `resize` has set. */
  max: number;
  /** With a `budget`, on the owner's thread: most resources that it lets this pool have now. */
  granted?: number;
  /** The option `ceiling`. */
  ceiling: number;
  /** Resources that exist, or are being made or checked: always idle + active. */
  count: number;
  /** Resources that are ready to be handed out. */
  idle: number;
  /** Resources that are borrowed, being made, or being checked. */
  active: number;
  /** Waiters in line, over all threads. */
  waiting: number;
  /** Threads attached now, the owner not counted. */
  threads: number;
  /** Hand-outs. */
  acquired: number;
  /** Returns, including destroy() and resources taken back from threads that died: acquired - released is what is borrowed now. */
  released: number;
  /** Resources that the factory has made. */
  created: number;
  /** Resources that were destroyed, for whatever reason. */
  destroyed: number;
  /** Acquires that ended in AcquireTimeoutError. */
  timedOut: number;
  /** Acquires refused because the pool was closed or unavailable, the line full, or the factory failed. Neither timeouts nor aborts. */
  rejected: number;
  /** Calls of the factory that failed, or took longer than `createTimeout`. */
  factoryFailures: number;
  /** Resources taken back from threads that died. */
  reclaimed: number;
  /** Resources taken back from their borrowers: after `revokeAfter`, or by `revoke` or `recycle`. */
  revoked: number;
  /** Hand-outs that reached `cancelAfter`. */
  cancelled: number;
  /** Resources that `recycle` has replaced. */
  recycled: number;
  /** Time in line, in milliseconds, at most 12.5 % off. Every wait in line counts; immediate hand-outs do not. */
  waitTime: Percentiles;
  /**
   * Time from hand-out to return, in milliseconds. On each thread one hold in 256 is timed, and of its first ones the first, second,
   * fourth, and so on.
   */
  holdTime: Percentiles;
}

/** The names of R's methods. */
export type MethodName<R> = { [K in keyof R]: R[K] extends (...args: never[]) => unknown ? K : never }[keyof R] & string;
/** The arguments of R's method K. */
export type Arguments<R, K extends keyof R> = R[K] extends (...args: infer A) => unknown ? A : never;
/** What R's method K gives, awaited. */
export type Result<R, K extends keyof R> = R[K] extends (...args: never[]) => infer V ? Awaited<V> : never;

/** What every thread can do with a pool. R is what acquire hands out on that thread. */
export interface ResourcePool<R> extends CircuitBreaker {
  /** The option `name`. Default 'pool'. */
  readonly name: string;
  /** Default `timeout` of acquire, in milliseconds. 0: for ever. */
  readonly acquireTimeout: number;
  /**
   * Borrows a resource, waiting in one FIFO line over all threads.
   * Rejects with AcquireTimeoutError, PoolClosedError, ServiceUnavailableError (breaker INACTIVE, at once),
   * QueueFullError, PoolSuspendedError, the factory's own error when making one for this waiter failed, or `signal.reason`.
   */
  acquire(options?: AcquireOptions): Promise<R>;
  /**
   * Like acquire, but never waits in line: null when nothing is idle and nothing may be made, when the pool is closed, or when
   * the breaker is INACTIVE. May wait for a hook or for the factory; rejects with the factory's error.
   */
  tryAcquire(options?: Pick<AcquireOptions, 'maxHold'>): Promise<R | null>;
  /**
   * Gives a resource back; returns at once. If the pool has taken it back before, the first release or destroy does nothing. With
   * beforeRelease the owner checks it first, and it becomes available after that. Throws NotBorrowedError if this thread has not borrowed
   * it (released twice, or another pool's). Does nothing once the owner has died or this thread has detached. On a worker, the resource
   * stays borrowed until the calls made before the release have settled. The Remote is of no use afterwards: its methods reject with
   * RemoteCallError, even if the same thread has borrowed the same resource again.
   */
  release(resource: R): void;
  /**
   * Gives a resource back as broken: it is destroyed, and the breaker strategy gets a failure, with `error`. Calls that a worker has under
   * way get one second to finish. Throws NotBorrowedError as `release` does.
   */
  destroy(resource: R, error?: Error): void;
  /**
   * acquire, run, release, also when `body` throws. Resolves with what `body` returns. Rejects as `acquire` does, or with what `body`
   * throws. `body` may give the resource back itself. If the pool has taken it back meanwhile: LeaseRevokedError, unless `body` throws an
   * error of its own.
   */
  use<V>(body: (resource: R) => V | PromiseLike<V>, options?: AcquireOptions): Promise<V>;
  /**
   * Borrows, calls one method of the resource with these arguments, and gives it back, all on the owner's thread. For a worker that is one
   * message there and one back. It joins the same line as every acquire, when the owner gets the message. Once it reaches the head of the
   * line it completes even if this thread is busy. Rejects as `acquire` does, with what the method throws, or with RemoteCallError (no such
   * method, not exposed, arguments that cannot be cloned). `timeout` and `signal` limit the wait in line only, while the owner is busy,
   * too; a call that they have ended never runs. Once the method runs, it is waited for. The waiting calls of a thread that dies or
   * detaches are cancelled. If a method still runs one second after its thread has died, the resource is destroyed.
   */
  call<K extends MethodName<R>>(method: K, args: Arguments<R, K>, options?: AcquireOptions): Promise<Result<R, K>>;
  /** acquire for `using` / `await using`: the lease releases itself at the end of the block. Rejects as `acquire` does. */
  lease(options?: AcquireOptions): Promise<Lease<R>>;

  /** Idle + borrowed + being made or checked. Within one stats() always idle + active; two calls may see two different moments. */
  count(): number;
  /** Resources that are ready to be handed out. */
  idleCount(): number;
  /** Resources that are borrowed, being made, or being checked. */
  activeCount(): number;
  /** Waiters in line, over all threads. */
  waitingCount(): number;
  /** Is the pool suspended? Then nothing is handed out for now. Read from shared memory. */
  readonly suspended: boolean;
  /** True if no acquire will ever succeed again. A pool that is draining refuses new acquires, but is not closed yet. */
  isClosed(): boolean;
  /** A consistent snapshot, read from shared memory without any message. */
  stats(): PoolStats;
}
