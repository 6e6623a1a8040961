/** cenote/jobs: parallel jobs on Piscina that borrow from the same pools, in scopes that end. */
export type { Percentiles } from '../main/index.ts';
export { showProgress } from './bars.ts';
export {
  JobError,
  JobLostError,
  JobQueueFullError,
  JobResultError,
  JobTimeoutError,
  type LostBecause,
  RunnerClosedError,
  ScopeClosedError,
} from './errors.ts';
export { JobRunner } from './runner.ts';
export type {
  JobScope,
  JobStats,
  MapOptions,
  RunnerEvents,
  RunnerOptions,
  RunnerPool,
  RunOptions,
  ScopeOptions,
  ThreadEnd,
} from './types.ts';
