/** The public types of the owner's side. */
import type { CircuitBreaker, CircuitBreakerState, PoolHandle, ResourcePool } from '../shared/types.ts';

/** Durations are milliseconds, at most 2,147,483,647; 0 means no limit, or off. */
export interface PoolOptions<T> {
  /** Makes one resource. The signal aborts at `createTimeout` and when the pool closes; what arrives later is destroyed. null or undefined is a failure (TypeError). */
  factory: (context: { signal: AbortSignal }) => T | PromiseLike<T>;
  /** Unmakes one; the slot is free when it has finished. Errors, and taking longer than `checkTimeout`, are reported as an 'error' event and otherwise ignored: the slot is free all the same. */
  destructor?: ((resource: T) => void | PromiseLike<void>) | undefined;
  /** Is this idle resource alive? Only an explicit `false`, or a throw, condemns it. Never called on a borrowed one. One is checked at a time, the others stay available. */
  healthcheck?: ((resource: T) => boolean | void | PromiseLike<boolean | void>) | undefined;
  /** Before an idle resource is handed out. `false` or a throw: destroy it and take the next, or make one. Not asked about a resource made for this very acquire. */
  beforeAcquire?: ((resource: T) => boolean | void | PromiseLike<boolean | void>) | undefined;
  /** On return. `false` or a throw: destroy it instead of keeping it, and report a failure to the breaker strategy. */
  beforeRelease?: ((resource: T) => boolean | void | PromiseLike<boolean | void>) | undefined;

  /** Resources to make up front and to keep alive. Default 0. */
  min?: number | undefined;
  /** Most resources at once: idle + borrowed + being made or checked. Default 10, at most 1023. */
  max?: number | undefined;
  /** Period of the background healthcheck. Default 0: off. The timer never keeps the process alive. */
  healthcheckInterval?: number | undefined;

  /** Label in errors, events and metrics. Default 'pool'. */
  name?: string | undefined;
  /** Default `timeout` of acquire. Default 0: wait for ever. */
  acquireTimeout?: number | undefined;
  /** A factory call that takes longer counts as failed with CreateTimeoutError. Default 0: no limit. */
  createTimeout?: number | undefined;
  /** Ceiling for one healthcheck, beforeAcquire or beforeRelease; longer counts as false. Default 5000, 0: none. */
  checkTimeout?: number | undefined;
  /** Idle resources above `min` are destroyed after this long. Default 0: never. A refill to `min` that fails is tried again in the background, with jittered backoff, and reported as 'error'. */
  idleTimeout?: number | undefined;
  /** A resource older than this is retired when next idle or returned (even if somebody waits), with up to 10 % jitter, rolled once, so that they do not all go at once. Default 0: never. */
  maxLifetime?: number | undefined;
  /** Retired when returned from its last hand-out. Default 0: never. */
  maxUses?: number | undefined;
  /**
   * Most waiters at once, over all threads; but as many may always wait as there are free places to serve them. The next acquire is refused with QueueFullError
   * (a burst on several threads at once may pass it by a few). 0: nobody waits, but for a resource being made. Default 1024, at most 63,489.
   */
  maxWaiting?: number | undefined;
  /** Most threads attached at once, the owner not counted. Default 64, at most 1022. */
  maxThreads?: number | undefined;
  /** Warn ('leak' event, with the stack of the acquire) when a resource is out for longer. Default 0: off. On, it makes every hand-out slower: each takes a stack trace, which stays on its thread. */
  leakDetectionThreshold?: number | undefined;
  /** What becomes of a resource whose borrower thread died. Default 'destroy': its state is unknown. One whose call is still running a second later is destroyed in any case. */
  orphans?: 'destroy' | 'release' | undefined;
  /** Hand-outs allowed at a time while RECOVERING; further acquires wait in line, tryAcquire gives null. Default 1. */
  recoveryProbes?: number | undefined;
  /** Same as calling setCircuitBreakerStrategy. */
  circuitBreaker?: CircuitBreakerStrategy | undefined;
  /** Methods that a worker may call, own function properties included. Default: all of the resource. Never constructor, never inherited from Object.prototype: those, and names not exposed, give RemoteCallError. */
  expose?: readonly (keyof T & string)[] | undefined;
  /**
   * What a worker receives on acquire. Default: a Remote<T>, a proxy that runs the methods on the owner.
   * Return a cloneable value (a port number, a URL, a SharedArrayBuffer ...) and the worker receives that value itself. Each resource's value must be
   * distinct: release(value) finds the resource by it. A throw, or a value that cannot be cloned, counts as a failure of the factory.
   */
  share?: ((resource: T) => unknown) | undefined;
  /**
   * What a name that no pool knows means: a TypeError that names the nearest one (`idleTimeoutMillis`: idleTimeout). false: it is ignored, but for
   * wrong capitals. Default true. A name whose value is undefined is not given. Options of acquire are not looked at.
   */
  strict?: boolean | undefined;
}

export interface Pool<T> extends ResourcePool<T>, AsyncDisposable {
  /** Plain cloneable data for workerData or postMessage; give the same one to any number of threads. */
  readonly handle: PoolHandle<T>;
  /**
   * This resource is known to be broken: its connection was cut, say. Nobody gets it any more: it is destroyed at once if it is idle, otherwise when it comes back, whatever
   * its borrower says then. Reason 'unhealthy'; one failure for the breaker's strategy. False, and nothing happens, if it is not (any more) one of this pool's.
   */
  condemn(resource: T, error?: Error): boolean;
  /** null: none. Throws TypeError for what is no strategy. */
  setCircuitBreakerStrategy(strategy: CircuitBreakerStrategy | null): void;
  /**
   * Refuses new acquires, rejects all waiters with PoolClosedError, destroys what is idle.
   * Borrowed resources stay usable and are destroyed when released. Resolves when the idle ones are gone. Idempotent.
   */
  close(): Promise<void>;
  /** Refuses new acquires, serves those already in line, waits for every borrowed resource to come back (at most `timeout` ms; default 0: for ever), then closes. */
  drain(options?: { timeout?: number | undefined }): Promise<void>;
  on<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this;
  once<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this;
  off<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this;
}

export interface PoolEvents<T> {
  create: [resource: T];
  /** After the destructor. */
  destroy: [resource: T, reason: DestroyReason];
  /** Several changes made by a worker in quick succession may be told as one. */
  state: [next: CircuitBreakerState, previous: CircuitBreakerState];
  attach: [threadId: number];
  /** `reclaimed`: resources taken back from a thread that died. */
  detach: [threadId: number, reclaimed: number];
  /**
   * Once for each hand-out that is out for longer than `leakDetectionThreshold`. `threadId` is the thread that borrowed it, or whose `pool.call` it runs; `stack` says where. The
   * owner asks that thread for it, so the event comes when it has answered; after two seconds, or if the thread has gone, it comes without a stack.
   */
  leak: [{ threadId: number; heldFor: number; stack?: string }];
  /** Something went wrong where nobody waits: a destructor, a hook, a strategy, a background creation. Without a listener: a process warning, never a crash. */
  error: [error: Error];
  /** Once, when everything is gone: closed, and the last borrowed resource destroyed. */
  close: [];
}

export type DestroyReason =
  | 'closed'
  | 'unhealthy'
  | 'rejected-on-acquire'
  | 'rejected-on-release'
  | 'destroyed'
  | 'idle-timeout'
  | 'max-lifetime'
  | 'max-uses'
  | 'orphaned';

/**
 * Runs on the owner. Called for each clean return, and for each return rejected by beforeRelease, each destroy() and each factory failure.
 * Errors it throws are emitted as 'error'.
 */
export interface CircuitBreakerStrategy {
  reportSuccess(source: CircuitBreaker): void;
  reportFailure(source: CircuitBreaker, error: Error): void;
  /** Asked about once a second while INACTIVE; true moves the pool to RECOVERING. */
  shouldRecover?(): boolean;
}
