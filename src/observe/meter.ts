/** What exporters read of a pool: every counter only grows, however the words behind it are read. */
import type { Counts } from '../shared/observing/observed.ts';
import type { PoolStats } from '../worker/index.ts';
import { type Distribution, Growing } from './buckets.ts';
import type { AnyPool, Watched } from './pools.ts';
import { watch } from './pools.ts';

/** Names of the counters of `stats()` that exporters give. */
const COUNTERS = ['acquired', 'released', 'created', 'timedOut', 'rejected', 'factoryFailures', 'reclaimed', 'revoked'] as const;
export type Counter = (typeof COUNTERS)[number];

/** One pool at one scrape. */
export interface Reading {
  readonly label: string;
  readonly stats: PoolStats;
  readonly counts: Counts;
  readonly counters: Readonly<Record<Counter, number>>;
  /** By reason; those that there have been. */
  readonly destroyed: ReadonlyMap<string, number>;
  /** By the number of the thread's record. */
  readonly held: ReadonlyMap<number, number>;
  wait(bounds: readonly number[]): Distribution;
  hold(bounds: readonly number[]): Distribution;
  create(bounds: readonly number[]): Distribution;
}

/** Reads one pool, over and over. */
class Meter {
  readonly #watched: Watched;
  /** What each had come to at the last look: counters by name, and destroyed resources by reason. Some names are in both. */
  readonly #counters = new Map<string, number>();
  readonly #destroyed = new Map<string, number>();
  readonly #wait = new Growing();
  readonly #hold = new Growing();
  readonly #create = new Growing();

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** Undefined: the pool is closed. */
  read(): Reading | undefined {
    const { label, observed, pool } = this.#watched;
    if (pool.isClosed()) return undefined;
    const stats = pool.stats();
    const totals = observed.totals();
    this.#wait.grow(observed.buckets('wait'));
    this.#hold.grow(observed.buckets('hold'));
    this.#create.grow(observed.buckets('create'));
    const immediate = grown(this.#counters, 'immediate', totals.acquired - totals.fromLine);
    const counters = {} as Record<Counter, number>;
    for (const name of COUNTERS) counters[name] = grown(this.#counters, name, stats[name]);
    const destroyed = new Map<string, number>();
    for (const [reason, count] of Object.entries(totals.destroyed))
      if (count > 0) destroyed.set(reason, grown(this.#destroyed, reason, count));
    return {
      label,
      stats,
      counts: observed.counts(),
      counters,
      destroyed,
      held: observed.held(),
      wait: (bounds) => this.#wait.read(bounds, immediate),
      hold: (bounds) => this.#hold.read(bounds),
      create: (bounds) => this.#create.read(bounds),
    };
  }
}

/** Words of several threads are read one by one, so a difference of two may be behind for a moment. */
function grown(floors: Map<string, number>, name: string, value: number): number {
  const floor = Math.max(value, floors.get(name) ?? 0);
  floors.set(name, floor);
  return floor;
}

/** Reads pools for one exporter: all of one scrape see the same reading. Closed ones are left out. */
export class Meters {
  readonly #meters: Meter[];
  #readings: readonly Reading[] | undefined;

  /** Throws TypeError for what is no pool. */
  constructor(pools: readonly AnyPool[]) {
    this.#meters = watch(pools).map((watched) => new Meter(watched));
  }

  /** What was read in this very tick, or is read now. */
  read(): readonly Reading[] {
    if (this.#readings === undefined) {
      this.#readings = this.#meters.map((meter) => meter.read()).filter((reading) => reading !== undefined);
      queueMicrotask(() => {
        this.#readings = undefined;
      });
    }
    return this.#readings;
  }
}
