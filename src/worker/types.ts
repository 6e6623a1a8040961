import type { AcquireOptions, ResourcePool } from '../shared/types.ts';

/** T with every method made asynchronous. Calls run on the owner, in the order they were made; errors keep name, message, code, stack and cause. */
export type Remote<T> = {
  readonly [K in keyof T as T[K] extends (...args: never[]) => unknown ? K : never]: T[K] extends (...args: infer A) => infer V
    ? (...args: A) => Promise<Awaited<V>>
    : never;
};

/** T with every method made synchronous: the calling thread sleeps until the owner has answered. */
export type SyncRemote<T> = {
  readonly [K in keyof T as T[K] extends (...args: never[]) => unknown ? K : never]: T[K] extends (...args: infer A) => infer V
    ? (...args: A) => Awaited<V>
    : never;
};

export interface AttachOptions {
  /** Most time to wait for the owner, in milliseconds. Default 0: as long as it takes. */
  timeout?: number;
  /** Ends the wait: attachPool rejects with `signal.reason`. An attachment that exists is not touched by it. */
  signal?: AbortSignal;
}

/** A pool seen from a thread that has attached to it. */
export interface AttachedPool<T> extends ResourcePool<Remote<T>> {
  /**
   * Blocks this thread (Atomics.wait), in the same line as everyone else. Throws what acquire rejects with. `timeout` in milliseconds; default: the pool's acquireTimeout.
   * While it sleeps, nothing else of this thread runs. If another acquire of this thread was granted meanwhile, the two change places.
   */
  acquireSync(options?: Pick<AcquireOptions, 'timeout'>): SyncRemote<T>;
  /**
   * Never blocks on other borrowers (it may on a hook, or on the factory when nothing is made yet). With no hooks set and a resource idle it is a few
   * atomic instructions.
   */
  tryAcquireSync(): SyncRemote<T> | null;
  /**
   * acquireSync, run, release: also when `body` throws. A promise that the body returns is not waited for: use `use`. `timeout` is for all of it: a call in the body that
   * has no answer by then throws CallTimeoutError, and the resource is destroyed. Without it, only the wait in line has a limit (the pool's acquireTimeout).
   */
  useSync<V>(body: (resource: SyncRemote<T>) => V, options?: Pick<AcquireOptions, 'timeout'>): V;
  /**
   * What was borrowed, with methods that block. The lease is the same one: given back once, it is over for both. `timeout`: the most that each call may block, in
   * milliseconds; default and 0: for ever. Then it throws CallTimeoutError. The method may still run: the resource goes to nobody else before it has settled, and what is
   * called next waits behind it or not, as the resource has it; destroy it if its state is not to be relied on.
   */
  synchronous(resource: Remote<T> | SyncRemote<T>, options?: Pick<AcquireOptions, 'timeout'>): SyncRemote<T>;
  /** The other way round. */
  asynchronous(resource: Remote<T> | SyncRemote<T>): Remote<T>;
  release(resource: Remote<T> | SyncRemote<T>): void;
  destroy(resource: Remote<T> | SyncRemote<T>, error?: Error): void;
  /** Gives back everything this thread holds, rejects what it still waits for with PoolClosedError, and leaves. Resolves when calls under way have settled. Attaching again makes a new attachment. */
  detach(): Promise<void>;
}
