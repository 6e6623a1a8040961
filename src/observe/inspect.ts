/** Which thread holds what since when, which waits since when, and which will wait for ever. */
import { type FoundKnot, type Knot, knotsOver } from '../shared/observing/knots.ts';
import type { Buckets } from '../shared/observing/observed.ts';
import type { PoolStats } from '../worker/index.ts';
import type { Jobs } from './dashboard/jobs.ts';
import { type AnyPool, type Watched, watch } from './pools.ts';

/** A slot that may be used now, or that something is in. Durations are milliseconds. */
export interface InspectedSlot {
  /** The pool's name here. */
  pool: string;
  /** The slot's number. */
  slot: number;
  /** `granted`: promised to the thread named, which has not picked it up. `returned`: on its way back to the owner. */
  state: 'empty' | 'making' | 'idle' | 'granted' | 'leased' | 'returned' | 'checking';
  /** The number of the record, in that pool, of the thread that has it, be it by a one-shot call. */
  thread?: number;
  /** Node's id of that thread. */
  threadId?: number;
  /** Never more than true: counted from the first look at that hand-out on this thread, and exact with `leakDetectionThreshold`. */
  heldFor?: number;
  /** Hand-outs since the resource was made. */
  uses: number;
  /** Since the resource was made. */
  age?: number;
}

/**
 * A waiter in line. Durations are milliseconds. It may stand for others of its thread, which have no row of their own: `waits` of the
 * thread counts them.
 */
export interface InspectedWaiter {
  /** The pool's name here. */
  pool: string;
  /** The lowest is served first. */
  ticket: number;
  /** The number of the record of the thread that waits, be it for a one-shot call. */
  thread: number;
  /** Node's id of that thread. */
  threadId: number;
  /** So far. */
  waitedFor: number;
  /** Its thread sleeps. */
  sync: boolean;
}

/** The owner of a pool, or a thread that has attached it. */
export interface InspectedThread {
  /** The pool's name here. */
  pool: string;
  /** The number of its record in that pool. The owner is 0. */
  thread: number;
  /** Node's id of it. */
  threadId: number;
  /** Slots that it has out, those of its one-shot calls included. */
  holds: number[];
  /** How many waiters it has, with a place in the line or behind one. */
  waits: number;
  /** False for an owner whose thread has ended. */
  alive: boolean;
  /** It owns the pool. */
  owner: boolean;
}

/** One look at pools. */
export interface PoolInspection {
  /** One row for each slot that may be used now: up to `max`, and above it while something is there. */
  slots: InspectedSlot[];
  /** The waiters of each pool, in the order in which they will be served. */
  line: InspectedWaiter[];
  /** The owner of each pool, and the threads that have attached. */
  threads: InspectedThread[];
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
  buckets: Record<'wait' | 'hold' | 'create', [number, number][]>;
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
