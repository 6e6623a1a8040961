/** A runner for a test, whose jobs are functions of the test, and what must hold of every runner. */
import { JobRunner, type RunnerOptions, type RunOptions } from 'cenote/jobs';
import type { JobContext } from 'cenote/jobs/worker';
import { expect, onTestFinished } from 'vitest';
import { settled } from '../support/wait.ts';

declare global {
  /** In a job: waits until it is cancelled, or so many ms have passed. */
  const pause: (ms: number) => Promise<void>;
  const load: (name: string) => Promise<any>;
}

export const ANY_JOB = new URL('./any-job.js', import.meta.url);

export type Body = (context: JobContext, ...args: any[]) => unknown;

/** The payload for any-job.js. */
export const job = (body: Body, ...args: unknown[]) => ({ code: String(body), args });

export function open(options: Partial<RunnerOptions<any>> = {}): JobRunner<any> {
  const runner = new JobRunner<any>({ filename: ANY_JOB, maxThreads: 2, minThreads: 1, execArgv: [], ...options });
  onTestFinished(async () => {
    whole(runner);
    await settled(runner.close({ timeout: 1 }));
    whole(runner);
    expect(runner.stats()).toMatchObject({ waiting: 0, running: 0, threads: 0 });
  });
  return runner;
}

/** One job. */
export const run = (runner: { run: JobRunner['run'] }, body: Body, args: unknown[] = [], options: RunOptions = {}): Promise<any> =>
  runner.run(job(body, ...args), options);

/** Whatever was submitted is somewhere. */
export function whole(runner: JobRunner<any>): void {
  const { submitted, waiting, running, completed, failed, cancelled, lost } = runner.stats();
  expect(waiting + running + completed + failed + cancelled + lost).toBe(submitted);
}

/** A word that a job may set, as it is given `flag.buffer`: to be known to have begun, or to be told to go on. */
export const newFlag = (): Int32Array<SharedArrayBuffer> => new Int32Array(new SharedArrayBuffer(4));

/** So many jobs run now, as far as the runner knows: their functions may not have begun. */
export const isRunning =
  (runner: JobRunner<any>, count = 1) =>
  (): boolean =>
    runner.stats().running === count;
