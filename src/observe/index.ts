/** cenote/observe: seeing pools from outside, on the owner and on attached threads alike, from shared memory alone. */
export type { Knot } from '../shared/observing/knots.ts';
export type { JobProgress, Jobs, RunnerLike } from './dashboard/jobs.ts';
export { type Dashboard, type DashboardOptions, serveDashboard } from './dashboard/server.ts';
export {
  type InspectedSlot,
  type InspectedThread,
  type InspectedWaiter,
  inspect,
  type PoolFigures,
  type PoolInspection,
  type Snapshot,
} from './inspect.ts';
export { openTelemetry } from './open-telemetry.ts';
export type { AnyPool, HasPool } from './pools.ts';
export { openTelemetryProducer } from './producer.ts';
export { type PrometheusOptions, prometheus } from './prometheus.ts';
export { report } from './report.ts';
export { type WatchOptions, watchDeadlocks } from './watch-deadlocks.ts';
