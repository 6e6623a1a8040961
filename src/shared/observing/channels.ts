/**
 * The diagnostics channels of the core. What is published holds numbers and names only: never a resource, a result, or a parameter.
 * `owner` and `threadId` are Node's.
 */
import { PoolError } from '../errors.ts';
import { labelOf, Point, Tracing } from './tracing.ts';

export interface AcquireContext {
  readonly pool: string;
  readonly owner: number;
  readonly threadId: number;
  /** It blocks its thread. */
  readonly sync: boolean;
  slot?: number;
  /** Milliseconds in line; 0 for an immediate hand-out. */
  waited?: number;
  error?: unknown;
}

export interface ResourceContext {
  readonly pool: string;
  readonly slot: number;
  readonly reason?: string;
}

export interface HeldContext {
  readonly pool: string;
  readonly slot: number;
  readonly threadId: number;
  /** In ms. */
  readonly heldFor: number;
}

/** On the thread that acquires: acquire, use, lease and their blocking forms. */
export const acquires = new Tracing<AcquireContext>('cenote:acquire');
/** On the owner. */
export const creations = new Tracing<ResourceContext>('cenote:create');
export const destructions = new Tracing<ResourceContext>('cenote:destroy');

/** On the thread that gives back. */
export const releases = new Point<{ pool: string; slot: number; threadId: number }>('cenote:release');
/** The rest on the owner. */
export const states = new Point<{ pool: string; next: string; previous: string }>('cenote:state');
export const reclaims = new Point<{ pool: string; threadId: number; slots: number }>('cenote:reclaim');
export const leaks = new Point<HeldContext>('cenote:leak');
export const revocations = new Point<HeldContext>('cenote:revoke');

/** Those to be told when acquires and releases begin, or cease, to be heard. */
const listeners = new Set<() => void>();
const tellAll = (): void => {
  for (const changed of listeners) changed();
};
acquires.onSubscription(tellAll);
releases.onSubscription(tellAll);

/**
 * Calls `changed` now, and whenever subscribers to acquires or releases have come or gone, until the function that this gives is called.
 */
export function watchSubscriptions(changed: () => void): () => void {
  listeners.add(changed);
  changed();
  return () => void listeners.delete(changed);
}

/** What a context may hold of an error: one of cenote's own as it is; of any other its name and code. */
export function publicError(pool: string): (thrown: unknown) => unknown {
  return (thrown) => (thrown instanceof PoolError && thrown.cause === undefined ? thrown : labelOf(thrown, `pool ${JSON.stringify(pool)}`));
}
