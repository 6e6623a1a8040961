/** Which thread holds what since when, which waits since when, and which will wait for ever. */
import { type FoundKnot, type Knot, knotsOver } from '../shared/observing/knots.ts';
import type { Buckets } from '../shared/observing/observed.ts';
import type { PoolStats } from '../worker/index.ts';
import type { Jobs } from './dashboard/jobs.ts';
import { type AnyPool, type Watched, watch } from './pools.ts';

/** One look at pools. `thread` is the number of a thread's record in that pool, `threadId` is Node's. Durations are milliseconds. */
export interface PoolInspection {
  /**
   * One row for each slot that may be used now: up to `max`, and above it while something is there. `granted`: promised to the thread
   * named, which has not picked it up. `heldFor` is never more than true: it counts from the first look at that hand-out on this thread,
   * and is exact where holds are traced (`leakDetectionThreshold`). `uses`: hand-outs since the resource was made; `age`: since then.
   */
  slots: {
    pool: string;
    slot: number;
    state: 'empty' | 'making' | 'idle' | 'granted' | 'leased' | 'returned' | 'checking';
    thread?: number;
    threadId?: number;
    heldFor?: number;
    uses: number;
    age?: number;
  }[];
  /**
   * The waiters of each pool, in the order in which they will be served. `sync`: its thread sleeps. The one-shot call of a thread stands
   * under that thread.
   */
  line: { pool: string; ticket: number; thread: number; threadId: number; waitedFor: number; sync: boolean }[];
  /**
   * The owner of each pool, and the threads that have attached. `holds`: slots, those of one-shot calls included; `waits`: places in
   * line.
   */
  threads: { pool: string; thread: number; threadId: number; holds: number[]; waits: number; alive: boolean; owner: boolean }[];
  /** Each deadlock over all of these pools. */
  knots: Knot[];
  /** Node's thread ids of each certain knot. */
  deadlocks: number[][];
}

/** The figures of one pool in a snapshot. */
export interface PoolFigures extends PoolStats {
  /** Resources that are there, and neither idle nor being made. */
  used: number;
  /** Resources that are being made. */
  making: number;
  /**
   * How many waits, holds and creations took how long: pairs of a bucket and its count, since the pool began, of those buckets that have
   * any. From two snapshots come the percentiles of the time between them. Eight buckets to each power of two, in microseconds: bucket b
   * begins at b below 8, and at (8 + b % 8) * 2^(floor(b / 8) - 1) from there.
   */
  buckets: { wait: [number, number][]; hold: [number, number][]; create: [number, number][] };
}

/** A look at pools as JSON: what the dashboard shows. */
export interface Snapshot {
  /** Milliseconds since 1970. */
  at: number;
  /** The dashboard's title. */
  title: string;
  /** Of each pool what `stats()` gives, and more. */
  pools: PoolFigures[];
  /** As `inspect` gives it. */
  inspection: PoolInspection;
  /** Of the runner that the dashboard was given: its numbers, and the jobs heard of last. */
  jobs?: Jobs;
}

/**
 * Looks at one pool or at several, in shared memory alone: no thread is asked, and nothing is disturbed. Over several pools: knots over
 * all of them. Throws TypeError for what is no pool.
 */
export function inspect(pools: AnyPool | readonly AnyPool[]): PoolInspection {
  return inspectWatched(watch(pools));
}

export function inspectWatched(watched: readonly Watched[]): PoolInspection {
  const knots = knotsOver(watched.map(({ observed }) => observed)).map(told);
  return {
    slots: watched.flatMap(({ label, observed }) => observed.slots().map((row) => ({ pool: label, ...row }))),
    line: watched.flatMap(({ label, observed }) => observed.line().map((row) => ({ pool: label, ...row }))),
    threads: watched.flatMap(({ label, observed }) => observed.threads().map((row) => ({ pool: label, ...row }))),
    knots,
    deadlocks: knots.filter(({ certainty }) => certainty === 'certain').map(({ threads }) => threads),
  };
}

/** What of a knot is public. */
export function told({ threads, pools, certainty, text }: FoundKnot): Knot {
  return { threads, pools, certainty, text };
}

export function snapshotOf(watched: readonly Watched[], title: string): Snapshot {
  return { at: Date.now(), title, pools: watched.map(figuresOf), inspection: inspectWatched(watched) };
}

/** Counted once, so that they add up: count = idle + used + making. */
function figuresOf({ label, observed, pool }: Watched): PoolFigures {
  const stats = pool.stats();
  const { idle, used, making } = observed.counts();
  const buckets = {
    wait: sparse(observed.buckets('wait')),
    hold: sparse(observed.buckets('hold')),
    create: sparse(observed.buckets('create')),
  };
  return { ...stats, name: label, count: idle + used + making, idle, active: used + making, used, making, buckets };
}

function sparse(buckets: Buckets): [number, number][] {
  const pairs: [number, number][] = [];
  for (const [bucket, count] of buckets.entries()) if (count > 0) pairs.push([bucket, count]);
  return pairs;
}
