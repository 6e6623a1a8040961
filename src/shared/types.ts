/** The public types that both sides share. */
import type { Percentiles } from './words/histogram.ts';

export const CircuitBreakerState = { ACTIVE: 'active', INACTIVE: 'inactive', RECOVERING: 'recovering' } as const;
export type CircuitBreakerState = (typeof CircuitBreakerState)[keyof typeof CircuitBreakerState];

/** Works on every thread: the state is one word of shared memory. */
export interface CircuitBreaker {
  getState(): CircuitBreakerState;
  /** Closes the breaker: everything as usual. */
  activate(): void;
  /**
   * Opens the breaker: acquire throws at once, and everyone already in line is rejected with ServiceUnavailableError.
   * So may be somebody who joins while this call is still under way, even if another thread has closed the breaker again meanwhile.
   */
  deactivate(): void;
  /**
   * Lets `recoveryProbes` hand-outs through at a time. Without a strategy: that many successes in a row activate, one failure deactivates.
   * With one, it decides. An acquire that overlaps the call may still pass by the old rule.
   */
  recover(): void;
}

/** Plain cloneable data for workerData or postMessage; give the same one to any number of threads. */
export interface PoolHandle<T> {
  readonly name: string;
  readonly buffer: SharedArrayBuffer;
  /** Node's thread id of the owner. */
  readonly owner: number;
  /** Never there: carries the resource's type. */
  readonly __resource?: T;
}

export interface AcquireOptions {
  /** Most time to wait in line, in milliseconds, up to 2,147,483,647. 0 or Infinity: for ever. Default: the pool's acquireTimeout. */
  timeout?: number | undefined;
  /** Aborting it while the acquire is pending rejects with `signal.reason`; what was granted meanwhile goes to the next in line. */
  signal?: AbortSignal | undefined;
}

export interface Lease<R> extends Disposable, AsyncDisposable {
  readonly resource: R;
  /** Like `pool.release(resource)`: a second time is an error. Disposing a lease that is over is not. */
  release(): void;
  destroy(error?: Error): void;
}

export interface PoolStats {
  name: string;
  state: CircuitBreakerState;
  closed: boolean;
  min: number;
  max: number;
  /** Always idle + active. */
  count: number;
  idle: number;
  active: number;
  waiting: number;
  /** Attached now, the owner not counted. */
  threads: number;
  acquired: number;
  /** Includes destroy(), and what was taken back from threads that died: acquired - released is what is out. */
  released: number;
  created: number;
  destroyed: number;
  timedOut: number;
  /** Closed, unavailable, line full, factory error; not timeouts, not aborts. */
  rejected: number;
  factoryFailures: number;
  reclaimed: number;
  /** Milliseconds, with at most 12.5 % relative error. Every wait in line counts, immediate hand-outs do not. */
  waitTime: Percentiles;
  /** Milliseconds. One hold in 256 on each thread is timed, and of its first ones more: the first, second, fourth, and so on. */
  holdTime: Percentiles;
}

/** The names of R's methods. */
export type MethodName<R> = { [K in keyof R]: R[K] extends (...args: never[]) => unknown ? K : never }[keyof R] & string;
export type Arguments<R, K extends keyof R> = R[K] extends (...args: infer A) => unknown ? A : never;
export type Result<R, K extends keyof R> = R[K] extends (...args: never[]) => infer V ? Awaited<V> : never;

/** What every thread can do with a pool. R is what acquire hands out on that thread. */
export interface ResourcePool<R> extends CircuitBreaker {
  readonly name: string;
  /** Default `timeout` of acquire, in milliseconds. 0: for ever. */
  readonly acquireTimeout: number;
  /**
   * Borrows a resource, waiting in one FIFO line over all threads.
   * Rejects with AcquireTimeoutError, PoolClosedError, ServiceUnavailableError (breaker INACTIVE, at once),
   * QueueFullError, the factory's own error when making one for this waiter failed, or `signal.reason`.
   */
  acquire(options?: AcquireOptions): Promise<R>;
  /**
   * Like acquire, but never waits in line: null when nothing is idle and nothing may be made, when the pool is closed, or when
   * the breaker is INACTIVE. May wait for a hook or for the factory; rejects with the factory's error.
   */
  tryAcquire(): Promise<R | null>;
  /**
   * Gives a resource back; returns at once. With beforeRelease the owner checks it first, and it becomes available after that.
   * Throws NotBorrowedError if this thread has not borrowed it (double release, foreign resource). After the owner has died, or this thread has
   * detached, it does nothing. On a worker, calls made before it are finished first: the resource stays borrowed until they settle. What a worker was
   * handed is dead afterwards: using it throws RemoteCallError, even if the same thread has meanwhile borrowed the same slot again.
   */
  release(resource: R): void;
  /** Gives a resource back as broken: destroyed, and reported to the breaker strategy. Calls that a worker has under way get a second to finish. */
  destroy(resource: R, error?: Error): void;
  /** acquire, run, release: also when `body` throws. A body that gave the resource back itself is fine. */
  use<V>(body: (resource: R) => V | PromiseLike<V>, options?: AcquireOptions): Promise<V>;
  /**
   * An errand: borrows, calls one method of the resource with these arguments, and gives it back, all of it on the owner's thread. For a worker that is one message
   * there and one back, and between its place in line and its answer nothing waits for this thread to have time. It stands
   * in the same line as everybody else, from when the owner hears of it. Rejects with what acquire rejects with, what the method throws, or RemoteCallError (no such method, not exposed, arguments that cannot be cloned).
   * `timeout` and `signal` are about the wait in line: once the method runs, it is waited for. They hold while the owner is busy, too; what they have ended never runs.
   * A thread that dies or detaches takes its waiting errands with it; a method still running a second after its thread died costs the resource.
   */
  call<K extends MethodName<R>>(method: K, args: Arguments<R, K>, options?: AcquireOptions): Promise<Result<R, K>>;
  /** acquire for `using` / `await using`: the lease releases itself at the end of the block. */
  lease(options?: AcquireOptions): Promise<Lease<R>>;

  /** Idle + borrowed + being made or checked. In one stats() always count === idle + active; two calls are two instants. */
  count(): number;
  idleCount(): number;
  activeCount(): number;
  /** Waiters in line, over all threads. */
  waitingCount(): number;
  /** No acquire will ever succeed again. A pool that is draining is not closed yet, though it refuses too. */
  isClosed(): boolean;
  /** A consistent snapshot, read from shared memory without any message. */
  stats(): PoolStats;
}
