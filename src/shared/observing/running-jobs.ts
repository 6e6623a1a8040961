/**
 * How a dashboard asks a runner of jobs what runs. Imports nothing of ours: cenote/observe finds it on a runner by its symbol, whichever
 * copy of cenote the runner is from.
 */

/** Under this name a JobRunner has it. */
export const RUNNING_JOBS: unique symbol = Symbol.for('cenote.running-jobs') as never;

/** What a runner has: gives the numbers of the jobs that run now. */
export interface RunsJobs {
  [RUNNING_JOBS](): Iterable<number>;
}
