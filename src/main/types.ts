/** The public types of the owner's side. */
import type { CircuitBreaker, CircuitBreakerState, HoldLimits, PoolHandle, ResourcePool } from '../shared/types.ts';
import type { DestroyReason } from '../shared/words/counters.ts';

/**
 * Options of createPool. Durations are milliseconds, at most 2,147,483,647. 0 and Infinity mean no limit, or off, for `maxUses` and
 * `maxCreating`, too. A wrong type is a TypeError, a wrong range a RangeError; both name the option and the value.
 */
export interface PoolOptions<T> {
  /**
   * Makes one resource. The signal aborts at `createTimeout` and when the pool closes; a resource that arrives after that is destroyed.
   * null and undefined are failures (TypeError). If it fails, the first waiter is rejected with its error. With a `budget`, `permit` is
   * what the resource exists by: a fencing token for what can check one.
   */
  factory: (context: FactoryContext) => T | PromiseLike<T>;
  /**
   * Destroys one; the slot is free when it has finished. If it fails, or takes longer than `checkTimeout`, that is an 'error' event, and
   * the slot is free all the same.
   */
  destructor?: ((resource: T) => void | PromiseLike<void>) | undefined;
  /**
   * Asked about idle resources every `healthcheckInterval`: is it alive? `false` or a throw: destroy it. One is checked at a time, the
   * others stay available.
   */
  healthcheck?: ((resource: T) => boolean | void | PromiseLike<boolean | void>) | undefined;
  /**
   * Asked before an idle resource is handed out. `false` or a throw: destroy it and take the next, or make one. Not asked about a resource
   * made for this very acquire.
   */
  beforeAcquire?: ((resource: T) => boolean | void | PromiseLike<boolean | void>) | undefined;
  /**
   * Asked when a resource comes back. `false` or a throw: destroy it instead of keeping it, and report a failure to the breaker strategy.
   */
  beforeRelease?: ((resource: T) => boolean | void | PromiseLike<boolean | void>) | undefined;

  /**
   * Resources to make at the start, and to replace when lost. A replacement that fails is tried again with jittered backoff, and is an
   * 'error' event. Default 0.
   */
  min?: number | undefined;
  /** Most resources at once: idle + borrowed + being made or checked. Default 10, at most 1023. */
  max?: number | undefined;
  /**
   * A cap that this pool shares with others, in this process and elsewhere, from `createBudget` of cenote/budget. Each resource needs one
   * of its permits, so there may be fewer than `max`, and fewer than `min`; what is missing is made when it is granted. What is too many
   * goes: idle resources at once, borrowed ones as they come back ('shed', or 'lost'). Default: none.
   */
  budget?: PoolBudget | undefined;
  /**
   * Most that `resize` may ever set `max` to: so many places are laid out in shared memory. Costs memory, 128 bytes each, not speed. At
   * least `max`, at most 1023. Default: `max`.
   */
  ceiling?: number | undefined;
  /**
   * What happens to a resource that is out for too long. warnAfter <= cancelAfter <= revokeAfter, else RangeError. An acquire may set
   * shorter ones for itself. Costs borrowers nothing: the owner looks. Default: no limits.
   */
  maxHold?: HoldLimits | undefined;
  /**
   * Asks a resource to stop what it does for its borrower, without closing it (a cancel request to a database server, say). Called at
   * `maxHold.cancelAfter`. What comes back meanwhile goes to no other borrower before this has ended. If it fails, or takes longer than
   * `checkTimeout`, that is an 'error' event. Default: none.
   */
  cancel?: ((resource: T) => void | PromiseLike<void>) | undefined;
  /**
   * Ends a resource at once, whatever it is doing (`socket.destroy`, say). Called instead of the destructor for a resource that is taken
   * back from its borrower, with the same limits. Default: the destructor.
   */
  abort?: ((resource: T) => void | PromiseLike<void>) | undefined;
  /**
   * Most factory calls under way at once, so that a burst does not storm a server. The other waiters stay in line, and tryAcquire gives
   * null. A call that took longer than `createTimeout` counts until it has settled, so let the factory heed its signal. Default 0: no
   * limit.
   */
  maxCreating?: number | undefined;
  /** Time between two health checks, in milliseconds. The timer never keeps the process alive. Default 0: off. */
  healthcheckInterval?: number | undefined;

  /** The pool's name in errors and statistics. Default 'pool'. */
  name?: string | undefined;
  /** The `timeout` of acquires that set none, in milliseconds. Default 0: no limit. */
  acquireTimeout?: number | undefined;
  /** Most time for one factory call, in milliseconds. Longer is a failure, with CreateTimeoutError. Default 0: no limit. */
  createTimeout?: number | undefined;
  /**
   * Most time for one healthcheck, beforeAcquire, beforeRelease or destructor, in milliseconds. Longer counts as `false`, or as a failure
   * of the destructor. Default 5000. 0: no limit.
   */
  checkTimeout?: number | undefined;
  /** Idle resources above `min` are destroyed after this long, in milliseconds. Default 0: never. */
  idleTimeout?: number | undefined;
  /**
   * Resources are destroyed at this age, in milliseconds, when next idle or returned, even while others wait. For each up to 10 % less at
   * random, so that they do not all go at once. Default 0: never.
   */
  maxLifetime?: number | undefined;
  /** After so many hand-outs a resource is destroyed on its return. Default 0: never. */
  maxUses?: number | undefined;
  /**
   * Most waiters at once, over all threads. As many as there are empty slots may always wait. The next acquire is refused with
   * QueueFullError (a burst on several threads at once may pass the limit by a few). 0: an acquire waits only for a resource that is being
   * made. Default 1024, at most 63,489.
   */
  maxWaiting?: number | undefined;
  /** Most threads attached at once, the owner not counted. Default 64, at most 1022. */
  maxThreads?: number | undefined;
  /**
   * A resource held for longer, in milliseconds, is a 'leak' event, with the stack of the acquire. Every hand-out then takes a stack trace,
   * and is slower for it; the trace stays on its thread. Default 0: off.
   */
  leakDetectionThreshold?: number | undefined;
  /**
   * What happens to the resources of a thread that died. A resource whose call still runs one second later is destroyed in any case.
   * Default 'destroy', as its state is unknown.
   */
  orphans?: 'destroy' | 'release' | undefined;
  /** Most hand-outs at a time while RECOVERING. Further acquires wait in line, tryAcquire gives null. Default 1. */
  recoveryProbes?: number | undefined;
  /** The breaker's strategy, as for `setCircuitBreakerStrategy`. Default: none. */
  circuitBreaker?: CircuitBreakerStrategy | undefined;
  /**
   * Names of the methods that a worker may call. Any other call is a RemoteCallError. Default: all methods of the resource, its own
   * function properties included. Never `constructor`, and nothing inherited from Object.prototype.
   */
  expose?: readonly (keyof T & string)[] | undefined;
  /**
   * Gives what a worker receives on acquire: a value that can be cloned (a port number, a URL, a SharedArrayBuffer ...). Each resource's
   * value must be distinct, as release(value) finds the resource by it. A throw, or a value that cannot be cloned, counts as a failure of
   * the factory. Default: none. The worker receives a `Remote<T>`, a proxy that runs the methods on the owner.
   */
  share?: ((resource: T) => unknown) | undefined;
  /**
   * true: an option that cenote does not know is a TypeError that names the nearest one (`idleTimeoutMillis`: idleTimeout). false: it is
   * ignored, but options with the wrong capitals are still rejected. An option whose value is undefined counts as not given. Default true.
   */
  strict?: boolean | undefined;
}

/** What a factory is given. */
export interface FactoryContext {
  /** Aborts at `createTimeout`, and when the pool closes. */
  signal: AbortSignal;
  /** With a `budget` only. */
  permit?: Permit | undefined;
}

/** What one resource exists by, in a budget. */
export interface Permit {
  /** The budget's key. */
  readonly key: string;
  /** Goes up with every grant, over all members of the budget: what holds a higher one came later. */
  readonly epoch: number;
}

/** What the option `budget` takes: what `createBudget` of cenote/budget gives. A pool enters it, and has its permits from it. */
export interface PoolBudget {
  /** Called once, before the pool makes anything. */
  enter(pool: BudgetedPool): PoolPermits;
}

/** A pool as its budget sees it. */
export interface BudgetedPool {
  /** The pool's name. */
  readonly name: string;
  /**
   * Resources that it needs now: borrowed, waited for or being made; at least `min`, at most `max`. While `recycle` waits for a place: one
   * more than there is. Beside these, what has been given up and still has its permit: calls of the factory and of the destructor.
   */
  wanted(): number;
  /** Its permits may have changed: it makes what it lacks, and lets go of what is too many. */
  changed(): void;
  /** The permits of all that exists are lost: what is out is destroyed when it comes back, with `revoke` at once. */
  lost(revoke: boolean): void;
}

/** What a budget gives to one pool. */
export interface PoolPermits {
  /** Most resources that the pool may have now. undefined: there is no budget. */
  readonly granted: number | undefined;
  /** May it make one more? If not, the budget asks for it, and calls `changed` when there is an answer. */
  readonly hasRoom: boolean;
  /** Is an answer under way that may bring more? */
  readonly isAsking: boolean;
  /** Are there more than there may be, and why? */
  readonly excess: 'shed' | 'lost' | undefined;
  /** Without room: if one goes, may another be made in its place? Left out: yes. */
  readonly canReplace?: boolean | undefined;
  /** How many of `count` it may have to begin with: a promise, where the budget has to ask for them. Never rejects. */
  first(count: number): number | Promise<number>;
  /** A resource is about to be made. Only where there is room. */
  take(): Permit | undefined;
  /** A resource is about to be destroyed, or has failed to come. */
  leaving(): void;
  /** What was leaving has gone. */
  gone(): void;
  /** The pool has ended. What is still out of its hands (a call of the factory or the destructor that was given up) goes later. */
  end(): void;
}

/** How a pool is suspended. Durations in milliseconds; 0 and Infinity mean no limit. */
export interface SuspendOptions {
  /** Shown in errors, statistics and events. Default 'suspend'. */
  label?: string | undefined;
  /**
   * What a new acquire does: 'wait' in line, or 'refuse' with PoolSuspendedError. With 'refuse', threads that sleep in a blocking acquire
   * are woken and refused, too. Default 'wait'.
   */
  mode?: 'wait' | 'refuse' | undefined;
  /**
   * When to resolve. 'now': as soon as no hand-out can begin. 'returned': when nothing is borrowed, and no hook, check or `call` is under
   * way. 'empty': when nothing exists; what is idle is destroyed, and `min` rests. Default 'now'.
   */
  until?: 'now' | 'returned' | 'empty' | undefined;
  /** Most time to wait for `until`. Then SuspendTimeoutError, and this suspension is over. Default 0: no limit. */
  timeout?: number | undefined;
  /** Aborting it while this waits rejects with `signal.reason`, and this suspension is over. Ignored afterwards. Default: none. */
  signal?: AbortSignal | undefined;
  /** Resumes by itself after this long, counted from the call. If `until` is still pending then: SuspendTimeoutError. Default 0: never. */
  maxDuration?: number | undefined;
}

/** One suspension of a pool. Disposing it resumes. */
export interface Suspension extends Disposable, AsyncDisposable {
  /** The option `label`. */
  readonly label: string;
  /** Ends this suspension; the pool goes on when the last one has ended. May be called again. */
  resume(): void;
}

/** A pool on the thread that owns its resources. Disposing it closes it. */
export interface Pool<T> extends ResourcePool<T>, AsyncDisposable {
  /** Plain cloneable data for workerData or postMessage; give the same one to any number of threads. */
  readonly handle: PoolHandle<T>;
  /**
   * Says that a resource is broken, because its connection was cut, for example. It is never handed out again: it is destroyed at once if
   * it is idle, and otherwise when it comes back, however its borrower gives it back. The reason is 'unhealthy', and the breaker's strategy
   * gets one failure. Returns false, and does nothing, if the resource is not, or no longer, one of this pool's.
   */
  condemn(resource: T, error?: Error): boolean;
  /**
   * Holds all hand-outs back: none begins after this resolves. Waiters keep their places and their timeouts, tryAcquire gives null, and
   * what comes back becomes idle. There may be several suspensions at once: the pool goes on when the last one has ended. Rejects with
   * SuspendTimeoutError, `signal.reason`, PoolClosedError, or TypeError or RangeError for bad options. `close` works as ever, and `drain`
   * ends all suspensions first, as it serves the line.
   */
  suspend(options?: SuspendOptions): Promise<Suspension>;
  /**
   * Sets `min`, `max` or both, up to `ceiling`; otherwise RangeError, and nothing is changed. Up: the line is served at once. Down: idle
   * resources go at once, borrowed ones as they come back. Resolves when there are no more than `max` and no fewer than `min`, a budget has
   * no permit for another, or a refill to `min` has failed, which is an 'error' event. `timeout`: most time to wait, in milliseconds; then
   * ResizeTimeoutError, and the new limits hold. Default 0: no limit. PoolClosedError once the pool is not open any more.
   */
  resize(limits: { min?: number | undefined; max?: number | undefined }, options?: { timeout?: number | undefined }): Promise<void>;
  /**
   * Replaces every resource that exists now: idle ones first, borrowed ones when they come back. Keeps `min` alive meanwhile, as far as
   * `max` and a budget allow. Begins with one new resource: while the factory fails, the old ones go on serving. Idle ones above `min` are
   * made again when they are wanted. Resolves with how many were replaced, when the last of them is gone. `revokeAfter`: takes back what is
   * still out after this long. `timeout`: then RecycleTimeoutError, and the rest is replaced as it comes back; nothing is taken back any
   * more. Both in milliseconds, default 0: no limit. TypeError for `revokeAfter` with `share` and no `abort`. PoolClosedError once the pool
   * is not open any more.
   */
  recycle(options?: { timeout?: number | undefined; revokeAfter?: number | undefined }): Promise<number>;
  /**
   * Takes a borrowed resource back now, as `maxHold.revokeAfter` does: its borrower gets LeaseRevokedError, with `error` as its cause.
   * Returns false, and does nothing, if it is not out. On the owner's own thread the object stays in its borrower's hands, but it has been
   * ended by `abort`. TypeError with `share` and no `abort`.
   */
  revoke(resource: T, error?: Error): boolean;
  /** Replaces the breaker's strategy; null removes it. Throws TypeError for a value that is no strategy. */
  setCircuitBreakerStrategy(strategy: CircuitBreakerStrategy | null): void;
  /**
   * Refuses new acquires, rejects all waiters with PoolClosedError, and destroys the idle resources. Borrowed resources stay usable and are
   * destroyed when they come back. Resolves when the idle ones are gone. May be called again.
   */
  close(): Promise<void>;
  /**
   * Refuses new acquires, serves those already in line, waits until every borrowed resource has come back, then closes. `timeout`: most
   * time to wait, in milliseconds; then it closes all the same. Default 0: no limit. Other names are a TypeError.
   */
  drain(options?: { timeout?: number | undefined }): Promise<void>;
  /** Adds a listener. */
  on<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this;
  /** Adds a listener for one event. */
  once<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this;
  /** Removes a listener. */
  off<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): this;
}

/** The events of a pool, on the owner only, with what a listener gets. */
export interface PoolEvents<T> {
  /** A resource was made. */
  create: [resource: T];
  /** A resource was destroyed: after its destructor. */
  destroy: [resource: T, reason: DestroyReason];
  /** The breaker changed its state. Several changes by a worker in quick succession may be one event. */
  state: [next: CircuitBreakerState, previous: CircuitBreakerState];
  /**
   * A thread has attached. `threadId` is Node's. `attachment` is the pool's number for the attachment, which no other has at the time. A
   * thread has several where it has several copies of this package.
   */
  attach: [threadId: number, attachment: number];
  /** A thread has detached or died. `reclaimed`: how many resources were taken back, if it died. `attachment`: as in 'attach'. */
  detach: [threadId: number, reclaimed: number, attachment: number];
  /**
   * Once for each hand-out that lasts longer than `leakDetectionThreshold`. `threadId` (Node's) is the thread that borrowed the resource,
   * or made the `pool.call` that it runs; `heldFor` is in milliseconds; `stack` says where in the program. The owner asks that thread for
   * the stack, so the event comes when it has answered. After two seconds, or if the thread has gone, the event comes without it. A job of
   * cenote/jobs that ends without giving something back is told at once, with `job` and with the job's age as `heldFor`, whatever
   * `leakDetectionThreshold` is; it is then taken back.
   */
  leak: [
    {
      /** Node's id of the thread that borrowed the resource, or whose `pool.call` it runs. */
      threadId: number;
      /** So far, in milliseconds. */
      heldFor: number;
      /** Where the program did so. */
      stack?: string;
      /** The name of the job that has borrowed it, or its number, where a job of cenote/jobs has ended without giving it back. */
      job?: string | number;
    },
    /** What was borrowed, where a job has left it. */
    resource?: T,
  ];
  /** A suspension has begun. */
  suspend: [
    suspension: {
      /** Its label. */
      label: string;
      /** Its mode. */
      mode: 'wait' | 'refuse';
    },
  ];
  /** Once, when the pool goes on: the last suspension has ended. */
  resume: [];
  /** The limits were changed. */
  resize: [
    next: {
      /** The new `min`. */
      min: number;
      /** The new `max`. */
      max: number;
    },
    previous: {
      /** The old `min`. */
      min: number;
      /** The old `max`. */
      max: number;
    },
  ];
  /** A hand-out has reached a limit of `maxHold`. */
  overdue: [
    {
      /** Node's id of the thread that borrowed the resource, or whose `pool.call` it runs. */
      threadId: number;
      /** So far, in milliseconds: at least. */
      heldFor: number;
      /** Which limit. */
      stage: 'warn' | 'cancel' | 'revoke';
      /** Where the program borrowed it, if leak detection is on. */
      stack?: string;
    },
  ];
  /**
   * A failure that no caller waits for: of a destructor, a hook, a strategy, a creation in the background. Without a listener: a process
   * warning, never a crash.
   */
  error: [error: Error];
  /** Once, when the pool is closed and the last resource is destroyed. */
  close: [];
}

/**
 * Decides when the circuit breaker opens and closes. It runs on the owner, and every return then passes through the owner. What it throws
 * is an 'error' event. `consecutiveFailures` and `failureRate` make one; an object of your own is one, too.
 */
export interface CircuitBreakerStrategy {
  /** Called for each clean return. */
  reportSuccess(source: CircuitBreaker): void;
  /** Called for each return that beforeRelease rejects, each destroy() or condemn(), and each factory call that failed. */
  reportFailure(source: CircuitBreaker, error: Error): void;
  /**
   * Asked about once a second while INACTIVE. true moves the pool to RECOVERING. Without it, the pool stays INACTIVE until a program moves
   * it. It answers at once: a promise, like any other value that is no boolean, counts as false and is an 'error' event.
   */
  shouldRecover?(): boolean;
}
