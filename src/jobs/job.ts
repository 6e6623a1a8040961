/** One job as the runner has it, from `run` to the moment in which its promise settles. */
import { AsyncResource } from 'node:async_hooks';
import type { AboutJob } from './errors.ts';
import type { Gate } from './gate.ts';
import type { JobLimits } from './options.ts';
import type { Parcel } from './payload.ts';
import type { Answer } from './protocol.ts';
import type { Occupant, RunnerThread } from './runner-thread.ts';
import type { Report } from './seat.ts';
import type { Abortable } from './signals.ts';

/**
 * standing: at a gate; waiting: in the queue; running: on a thread, which may have ended under it; over: its function has ended, or it
 * never will begin.
 */
export type JobState = 'standing' | 'waiting' | 'running' | 'over';

/** What moves a job on. */
export interface JobKeeper {
  cancelJob(job: Job, reason: unknown): void;
  /** Its function has ended. */
  jobAnswered(job: Job, answer: Answer): void;
  /** Its thread has ended under it. */
  jobBereft(job: Job): void;
}

/** Knows its jobs from the moment in which they are to be submitted, until they are over. */
export interface JobGroup {
  /** Before the payload is cloned, which may run any code. Throws where it takes no more. */
  admit(job: Job): void;
  /** `error` in a box, where the job has failed otherwise than by its own cancel. */
  over(job: Job, failure: { readonly error: unknown } | undefined): void;
}

export class Job implements AboutJob, Abortable, Occupant {
  readonly job: number;
  readonly name: string | undefined;
  readonly limits: JobLimits;
  /** In ms: from its cancel until its thread is ended. */
  readonly grace: number;
  readonly group: JobGroup | undefined;
  readonly promise: Promise<unknown>;
  resolve: (value: unknown) => void = () => {};
  reject: (error: unknown) => void = () => {};
  readonly #keeper: JobKeeper;
  /** The caller's async context, for the listeners of its progress. */
  readonly caller = new AsyncResource('cenote.job', { requireManualDestroy: true });
  state: JobState = 'standing';
  /** The gates that it has entered, and the one at which it stands. */
  gates: Gate<Job>[] | undefined;
  standsAt: Gate<Job> | undefined;
  parcel: Parcel | undefined;
  /** How often it may yet be run again. */
  retries: number;
  attempt = 1;
  readonly submittedAt: number;
  startedAt = 0;
  thread: RunnerThread | undefined;
  seat = 0;
  /** Why it is cancelled, if it is: the first reason stands. */
  cancelled: { readonly reason: unknown; readonly isTimeout: boolean } | undefined;
  /** Its payload is being cloned. A cancel that comes meanwhile takes effect right afterwards. */
  isSubmitting = true;
  timer: NodeJS.Timeout | undefined;
  graceTimer: NodeJS.Timeout | undefined;
  /** The last report of its progress that was told; and the last message, if it has not been told. */
  told: Report | undefined;
  said: string | undefined;

  constructor(keeper: JobKeeper, job: number, limits: JobLimits, grace: number, retries: number, group: JobGroup | undefined) {
    this.#keeper = keeper;
    this.job = job;
    this.name = limits.name;
    this.limits = limits;
    this.grace = grace;
    this.retries = retries;
    this.group = group;
    this.submittedAt = performance.now();
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  get payload(): unknown {
    return this.parcel?.value;
  }

  cancel(reason: unknown): void {
    this.#keeper.cancelJob(this, reason);
  }

  answered(answer: Answer): void {
    this.#keeper.jobAnswered(this, answer);
  }

  bereft(): void {
    this.#keeper.jobBereft(this);
  }
}
