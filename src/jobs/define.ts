/** How a job's file says which function is the job. */
import { ALONE } from './context.ts';
import type { JobContext } from './types.ts';

/** The same in every copy of this package. */
const JOB = Symbol.for('cenote.job');

export type JobFunction = (payload: unknown, context: JobContext) => unknown;

/**
 * The default export of a job's file. Each run is a scope: whatever it borrowed and did not give back, however it ended, is given back
 * (and is a 'leak' event of its pool, with the job's name or number), and an open transaction is rolled back. The function that it gives
 * may also be called without a runner, by a test for instance: then there are no pools, and nothing cancels it. Throws TypeError for what
 * is no function.
 */
export function defineJob<In, Out>(job: (payload: In, context: JobContext) => Out | Promise<Out>): (payload: unknown) => Promise<Out> {
  if (typeof job !== 'function') throw new TypeError(`defineJob takes a function of the payload and the context, not ${String(job)}`);
  const run = async (payload: unknown): Promise<Out> => job(payload as In, ALONE);
  return Object.defineProperty(run, JOB, { value: job });
}

/**
 * The job of a module that has been imported; undefined: it has none. A CommonJS file that was compiled from an ES module has its default
 * export one level down.
 */
export function jobOf(module: { readonly default?: unknown }): JobFunction | undefined {
  const exported = module.default;
  return marked(exported) ?? marked((exported as { default?: unknown } | null | undefined)?.default);
}

const marked = (value: unknown): JobFunction | undefined =>
  typeof value === 'function' ? (value as { [JOB]?: JobFunction })[JOB] : undefined;
