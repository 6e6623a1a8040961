/** The errors of a runner, and how an error crosses between a job's thread and the runner: with its class, where the other side has it. */
import { fromWire, toWire, type WireError } from '../shared/index.ts';

/**
 * The name of a class and of its errors, as text, since a minifier renames classes. Defined, as the name of a frozen Error cannot be
 * assigned.
 */
function named(type: { readonly prototype: Error }, name: string): void {
  Object.defineProperty(type, 'name', { value: name, configurable: true });
  Object.defineProperty(type.prototype, 'name', { value: name, configurable: true, writable: true });
}

/** What an error says of the job that it is about. */
export interface AboutJob {
  /** The number of the job; 0: it is about no single job. */
  readonly job: number;
  /** The job's name, if it has one. */
  readonly name?: string | undefined;
}

/** Every error of a runner is one. Itself it is thrown where a job throws null or undefined (`ERR_JOB_FAILED`). */
export class JobError extends Error {
  /** Stable, one for each class: `ERR_JOB_...`, `ERR_RUNNER_CLOSED`, `ERR_SCOPE_CLOSED`. */
  readonly code: string;
  /** The number of the job that it is about; 0: no single job. */
  readonly job: number;
  /** The name of that job, if it has one. */
  declare readonly jobName?: string;

  constructor(message: string, about: AboutJob, options?: ErrorOptions & { code?: string }) {
    super(message, options);
    this.code = options?.code ?? 'ERR_JOB_FAILED';
    this.job = about.job;
    if (about.name !== undefined) this.jobName = about.name;
  }

  static {
    named(JobError, 'JobError');
  }
}

/** `ERR_JOB_TIMEOUT`: the job, scope (`job` is 0) or reload has taken longer than its `timeout`. */
export class JobTimeoutError extends JobError {
  constructor(message: string, about: AboutJob, options?: ErrorOptions) {
    super(message, about, { ...options, code: 'ERR_JOB_TIMEOUT' });
  }

  static {
    named(JobTimeoutError, 'JobTimeoutError');
  }
}

/** Why a thread ended under a job: by itself, because another job on it had to be ended, or because it had no memory left. */
export type LostBecause = 'died' | 'neighbour' | 'memory';

/** `ERR_JOB_LOST`: the job's thread has ended under it. An uncaught error that ended it is the `cause`. */
export class JobLostError extends JobError {
  /** Why the thread has ended. */
  readonly because: LostBecause;
  /** The thread's exit code, if it has died. */
  declare readonly exitCode?: number;

  constructor(message: string, about: AboutJob, options: ErrorOptions & { because: LostBecause; exitCode?: number | undefined }) {
    super(message, about, { ...('cause' in options ? { cause: options.cause } : {}), code: 'ERR_JOB_LOST' });
    this.because = options.because;
    if (options.exitCode !== undefined) this.exitCode = options.exitCode;
  }

  static {
    named(JobLostError, 'JobLostError');
  }
}

/** `ERR_JOB_QUEUE_FULL`: as many jobs wait as `maxQueue` allows. */
export class JobQueueFullError extends JobError {
  constructor(message: string, about: AboutJob, options?: ErrorOptions) {
    super(message, about, { ...options, code: 'ERR_JOB_QUEUE_FULL' });
  }

  static {
    named(JobQueueFullError, 'JobQueueFullError');
  }
}

/** `ERR_JOB_RESULT`: what the job has returned or thrown cannot be cloned to the runner's thread. `cause` is the DataCloneError. */
export class JobResultError extends JobError {
  constructor(message: string, about: AboutJob, options?: ErrorOptions) {
    super(message, about, { ...options, code: 'ERR_JOB_RESULT' });
  }

  static {
    named(JobResultError, 'JobResultError');
  }
}

/** `ERR_RUNNER_CLOSED`: the runner has been closed. */
export class RunnerClosedError extends JobError {
  constructor(message: string, about: AboutJob, options?: ErrorOptions) {
    super(message, about, { ...options, code: 'ERR_RUNNER_CLOSED' });
  }

  static {
    named(RunnerClosedError, 'RunnerClosedError');
  }
}

/** `ERR_SCOPE_CLOSED`: the scope has ended, or has been cancelled. */
export class ScopeClosedError extends JobError {
  constructor(message: string, about: AboutJob, options?: ErrorOptions) {
    super(message, about, { ...options, code: 'ERR_SCOPE_CLOSED' });
  }

  static {
    named(ScopeClosedError, 'ScopeClosedError');
  }
}

const CLASSES: Readonly<Record<string, { readonly prototype: Error }>> = {
  ERR_JOB_FAILED: JobError,
  ERR_JOB_TIMEOUT: JobTimeoutError,
  ERR_JOB_LOST: JobLostError,
  ERR_JOB_QUEUE_FULL: JobQueueFullError,
  ERR_JOB_RESULT: JobResultError,
  ERR_RUNNER_CLOSED: RunnerClosedError,
  ERR_SCOPE_CLOSED: ScopeClosedError,
};

/** What was thrown, for the other side. Never throws. */
export const sent = (thrown: unknown): WireError => toWire(thrown);

/** What the other side has sent. */
export function received(wire: WireError): unknown {
  const thrown = fromWire(wire);
  if (!(thrown instanceof Error)) return thrown;
  const { code, job } = thrown as { code?: unknown; job?: unknown };
  const known = typeof code === 'string' && typeof job === 'number' && Object.hasOwn(CLASSES, code) ? CLASSES[code] : undefined;
  return known === undefined ? thrown : Object.setPrototypeOf(thrown, known.prototype);
}

/** How a message calls a job. */
export const nameOf = ({ job, name }: AboutJob): string => `job ${job}${name === undefined ? '' : ` (${JSON.stringify(name)})`}`;
