/** Pools that are closed when their test has finished, things to keep in them, and a record of what they say. */
import type { DestroyReason, Pool, PoolOptions, PoolStats } from 'cenote';
import { createPool } from 'cenote';
import { expect, onTestFinished } from 'vitest';
import { outcome } from './wait.ts';

/** createPool, and close() at the end of the test, whatever state it is in by then. */
export async function open<T>(options: PoolOptions<T>): Promise<Pool<T>> {
  const pool = await createPool(options);
  onTestFinished(async () => {
    await outcome(pool.close(), 250).catch(() => {});
  });
  return pool;
}

/** The plainest resource: it has a number. */
export class Thing {
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }
}

export interface Workshop {
  readonly made: Thing[];
  readonly gone: Thing[];
  /** Most that ever existed at once. */
  readonly most: () => number;
  readonly factory: () => Thing;
  readonly destructor: (thing: Thing) => void;
}

/** A factory and a destructor that keep the books. Ids are 1, 2, 3 ... */
export function workshop(): Workshop {
  const made: Thing[] = [];
  const gone: Thing[] = [];
  let most = 0;
  return {
    made,
    gone,
    most: () => most,
    factory() {
      const thing = new Thing(made.length + 1);
      made.push(thing);
      most = Math.max(most, made.length - gone.length);
      return thing;
    },
    destructor(thing) {
      gone.push(thing);
    },
  };
}

export interface Log<T> {
  readonly created: T[];
  readonly destroyed: { resource: T; reason: DestroyReason; at: number }[];
  readonly reasons: () => DestroyReason[];
  readonly states: string[];
  readonly attached: number[];
  readonly detached: { threadId: number; reclaimed: number }[];
  readonly leaks: { threadId: number; heldFor: number; stack?: string }[];
  readonly errors: Error[];
  closed: number;
}

/** Writes down every event. With this on, 'error' has a listener. */
export function record<T>(pool: Pool<T>): Log<T> {
  const log: Log<T> = {
    created: [],
    destroyed: [],
    reasons: () => log.destroyed.map(({ reason }) => reason),
    states: [],
    attached: [],
    detached: [],
    leaks: [],
    errors: [],
    closed: 0,
  };
  pool.on('create', (resource) => log.created.push(resource));
  pool.on('destroy', (resource, reason) => log.destroyed.push({ resource, reason, at: performance.now() }));
  pool.on('state', (next, previous) => log.states.push(`${previous} -> ${next}`));
  pool.on('attach', (threadId) => log.attached.push(threadId));
  pool.on('detach', (threadId, reclaimed) => log.detached.push({ threadId, reclaimed }));
  pool.on('leak', (leak) => log.leaks.push(leak));
  pool.on('error', (error) => log.errors.push(error));
  pool.on('close', () => {
    log.closed++;
  });
  return log;
}

/** Borrows `n` at once. */
export const borrow = <T>(pool: { acquire(): Promise<T> }, n: number): Promise<T[]> =>
  Promise.all(Array.from({ length: n }, () => pool.acquire()));

/** What holds in every snapshot, at whatever instant and from whatever thread. */
export function expectConsistent(stats: PoolStats): void {
  expect(stats.idle + stats.active, `idle ${stats.idle} + active ${stats.active} of count ${stats.count}`).toBe(stats.count);
  expect(stats.count, 'count above max').toBeLessThanOrEqual(stats.max);
  for (const key of ['count', 'idle', 'active', 'waiting', 'threads'] as const) expect(stats[key], key).toBeGreaterThanOrEqual(0);
}

/** Borrows everything the pool may have, all at once, and gives it back: no slot is lost, none handed out twice. */
export async function expectWhole<T>(pool: Pool<T>): Promise<void> {
  const { max } = pool.stats();
  const all = await Promise.all(Array.from({ length: max }, () => pool.acquire({ timeout: 60_000 })));
  expect(new Set(all).size, 'distinct resources').toBe(max);
  expect(pool.activeCount()).toBe(max);
  for (const resource of all) pool.release(resource);
}
