import type { AcquireOptions, ResourcePool } from '../shared/types.ts';

/**
 * T with every method made asynchronous. Calls run on the owner, in the order in which they were made. Arguments and results are structured
 * clones. Errors keep name, message, code, stack and cause. A call that cannot be made rejects with RemoteCallError.
 */
export type Remote<T> = {
  readonly [K in keyof T as T[K] extends (...args: never[]) => unknown ? K : never]: T[K] extends (...args: infer A) => infer V
    ? (...args: A) => Promise<Awaited<V>>
    : never;
};

/** T with every method made synchronous: the calling thread sleeps until the owner has answered. Otherwise as Remote. */
export type SyncRemote<T> = {
  readonly [K in keyof T as T[K] extends (...args: never[]) => unknown ? K : never]: T[K] extends (...args: infer A) => infer V
    ? (...args: A) => Awaited<V>
    : never;
};

/** Limits for attaching. */
export interface AttachOptions {
  /** Most time to wait for the owner, in milliseconds. Then AcquireTimeoutError. Default 0: no limit. */
  timeout?: number;
  /** Aborting it while attaching rejects with `signal.reason`. It does not end an attachment that exists. Default: none. */
  signal?: AbortSignal;
}

/** A pool seen from a thread that has attached to it. */
export interface AttachedPool<T> extends ResourcePool<Remote<T>> {
  /** The pool's number for this attachment, from 1: as its owner hears it in 'attach' and 'detach'. No other has it at the time. */
  readonly attachment: number;
  /**
   * acquire that blocks this thread (Atomics.wait) in the same line as all other waiters. Throws what acquire rejects with. `timeout` in
   * milliseconds; default: the pool's `acquireTimeout`. While it sleeps, nothing else of this thread runs. If another acquire of this
   * thread is granted meanwhile, this one takes that resource, and the other one takes its place in line.
   */
  acquireSync(options?: Pick<AcquireOptions, 'timeout' | 'maxHold'>): SyncRemote<T>;
  /**
   * tryAcquire that blocks: null rather than wait for another borrower. It may wait for a hook, or for the factory. With no hooks set and a
   * resource idle it is a few atomic instructions. Throws the factory's error.
   */
  tryAcquireSync(options?: Pick<AcquireOptions, 'maxHold'>): SyncRemote<T> | null;
  /**
   * acquireSync, run, release, also when `body` throws. Returns what `body` returns; if that is a promise or another thenable, it throws
   * TypeError: use `use`. `timeout` limits all of it, in milliseconds: a call in the body that has no answer by then throws
   * CallTimeoutError, and the resource is destroyed. Default: only the wait in line has a limit, the pool's `acquireTimeout`.
   */
  useSync<V>(body: (resource: SyncRemote<T>) => V, options?: Pick<AcquireOptions, 'timeout' | 'maxHold'>): V;
  /**
   * A borrowed resource with methods that block. It is the same lease: given back once, it is released for both. `timeout`: the most that
   * each call may block, in milliseconds; then it throws CallTimeoutError. Default 0: no limit. The method may still run then, and the
   * resource goes to no other borrower before it has settled. Whether the next call waits behind it is up to the resource: destroy it if
   * you cannot rely on its state. Throws TypeError for what this pool has not handed out on this thread.
   */
  synchronous(resource: Remote<T> | SyncRemote<T>, options?: Pick<AcquireOptions, 'timeout'>): SyncRemote<T>;
  /** A borrowed resource with methods that give promises: the reverse of `synchronous`. Throws TypeError as that does. */
  asynchronous(resource: Remote<T> | SyncRemote<T>): Remote<T>;
  /** As on the owner, for a resource in either form. */
  release(resource: Remote<T> | SyncRemote<T>): void;
  /** As on the owner, for a resource in either form. */
  destroy(resource: Remote<T> | SyncRemote<T>, error?: Error): void;
  /**
   * Ends this attachment, which all code of this thread shares that has attached to this pool: gives back all that this thread holds, and
   * rejects its waiting acquires with PoolClosedError. Resolves when its calls under way have settled. Attaching again makes a new one.
   */
  detach(): Promise<void>;
}
