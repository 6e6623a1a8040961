/** What is tested, as a thread sees it: numbers for resources, and a way to see who stands in line. */
import type { AttachedPool } from 'cenote/worker';

export interface Resource {
  readonly number: number;
  id(): number;
}

/** Like a pool; what it hands out are numbers. */
export interface Subject {
  acquire(options: { timeout: number; signal?: AbortSignal }): Promise<number>;
  tryAcquire(): Promise<number | null>;
  acquireSync(options: { timeout: number }): number;
  tryAcquireSync(): number | null;
  release(resource: number): void;
  destroy(resource: number): void;
  /** A one-shot call whose method tells the number of its resource. */
  call(options: { timeout: number }): Promise<number>;
  /** Does a sleeper of that thread wait in line just now? */
  isInLine(thread: number): boolean;
}

/** On a worker: the pool shares its resources' numbers. */
export function onWorker(pool: AttachedPool<Resource>, isInLine: Subject['isInLine']): Subject {
  // What is shared is a number, whatever the types say.
  const numbers = pool as unknown as Omit<Subject, 'call' | 'isInLine'>;
  return {
    acquire: (options) => numbers.acquire(options),
    tryAcquire: () => numbers.tryAcquire(),
    acquireSync: (options) => numbers.acquireSync(options),
    tryAcquireSync: () => numbers.tryAcquireSync(),
    release: (resource) => numbers.release(resource),
    destroy: (resource) => numbers.destroy(resource),
    call: (options) => pool.call('id', [], options),
    isInLine,
  };
}
