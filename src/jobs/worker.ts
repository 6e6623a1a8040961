/** cenote/jobs/worker: what a job's file uses. */
export { defineJob } from './define.ts';
export type { JobContext } from './types.ts';
