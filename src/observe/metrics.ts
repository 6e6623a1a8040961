/**
 * The metrics by name: what each counts, and how it is read. The exporter for Prometheus, the board for Grafana and the guide go by this
 * list.
 */
import { type Distribution, powers } from './buckets.ts';
import type { Counter, Reading } from './meter.ts';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Described {
  /** Without the prefix. */
  readonly name: string;
  /** What is counted, in a sentence. */
  readonly help: string;
  /** Besides `pool`. */
  readonly labels: readonly string[];
}

export type Metric =
  | (Described & { readonly type: 'gauge' | 'counter'; read(reading: Reading): Sample[] })
  | (Described & { readonly type: 'histogram'; read(reading: Reading): Distribution });

/** In seconds. What waits and holds take begins with microseconds, what a factory takes with milliseconds. */
const SHORT = powers(6, 24, 2);
const LONG = powers(10, 24, 2);

const STATES = ['active', 'inactive', 'recovering'];

type Read = (reading: Reading) => number;

/** Of a metric that has one value for each pool. */
export const NO_LABELS: Readonly<Record<string, string>> = {};
const plain = (value: number): Sample[] => [{ labels: NO_LABELS, value }];
const gauge = (name: string, help: string, read: Read): Metric => ({
  name,
  help,
  type: 'gauge',
  labels: [],
  read: (reading) => plain(read(reading)),
});
const counter = (name: string, help: string, of: Counter): Metric => ({
  name,
  help,
  type: 'counter',
  labels: [],
  read: ({ counters }) => plain(counters[of]),
});

export const METRICS: readonly Metric[] = [
  {
    name: 'pool_resources',
    help: 'Resources by state: idle, being made, or used (there, and neither: borrowed, granted, checked or being destroyed).',
    type: 'gauge',
    labels: ['state'],
    read: ({ counts }) => (['idle', 'used', 'making'] as const).map((state) => ({ labels: { state }, value: counts[state] })),
  },
  gauge('pool_resources_max', 'Most resources at once.', ({ stats }) => stats.max),
  gauge('pool_resources_min', 'Resources that are kept alive.', ({ stats }) => stats.min),
  gauge('pool_waiting', 'Waiters in line now, over all threads.', ({ stats }) => stats.waiting),
  gauge('pool_threads', 'Threads attached now, the owner not counted.', ({ stats }) => stats.threads),
  {
    name: 'pool_thread_held',
    help: 'Resources that a thread has out now. thread is the number of its record in the pool, which others reuse; the owner is 0.',
    type: 'gauge',
    labels: ['thread'],
    read: ({ held }) => [...held].map(([thread, value]) => ({ labels: { thread: String(thread) }, value })),
  },
  {
    name: 'pool_breaker_state',
    help: 'State of the circuit breaker: 1 for the one that it is in, 0 for the others.',
    type: 'gauge',
    labels: ['state'],
    read: ({ stats }) => STATES.map((state) => ({ labels: { state }, value: stats.state === state ? 1 : 0 })),
  },
  gauge('pool_suspended', '1 while the pool is suspended, else 0.', ({ stats }) => (stats.suspended ? 1 : 0)),

  counter('pool_acquired_total', 'Hand-outs.', 'acquired'),
  counter('pool_released_total', 'Returns, those of broken resources and of dead threads included.', 'released'),
  counter('pool_created_total', 'Resources that the factory has made.', 'created'),
  {
    name: 'pool_destroyed_total',
    help: 'Resources destroyed, by reason. A reason appears with its first resource.',
    type: 'counter',
    labels: ['reason'],
    read: ({ destroyed }) => [...destroyed].map(([reason, value]) => ({ labels: { reason }, value })),
  },
  counter('pool_timeouts_total', 'Acquires that ended in AcquireTimeoutError.', 'timedOut'),
  counter(
    'pool_rejected_total',
    'Acquires refused: closed, unavailable, line full, factory failed. Neither timeouts nor aborts.',
    'rejected',
  ),
  counter('pool_factory_failures_total', 'Factory calls that failed or took too long.', 'factoryFailures'),
  counter('pool_reclaimed_total', 'Resources taken back from threads that died.', 'reclaimed'),
  counter('pool_revoked_total', 'Resources taken back from borrowers that held them for too long.', 'revoked'),

  {
    name: 'pool_wait_seconds',
    help: 'Time in line of each hand-out, 0 for an immediate one, and of each wait that ended in vain. The sum is reckoned from buckets: at most 6.25 % off.',
    type: 'histogram',
    labels: [],
    read: (reading) => reading.wait(SHORT),
  },
  {
    name: 'pool_hold_seconds',
    help: 'Time from hand-out to return of a sample: about one hand-out in 256 is timed, so the count is not that of returns. The sum is reckoned from buckets.',
    type: 'histogram',
    labels: [],
    read: (reading) => reading.hold(SHORT),
  },
  {
    name: 'pool_create_seconds',
    help: 'Time that the factory took for each resource that it made. The sum is reckoned from buckets.',
    type: 'histogram',
    labels: [],
    read: (reading) => reading.create(LONG),
  },
];
