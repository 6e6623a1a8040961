/** Tells of the progress of running jobs: looks at their words now and then, and once more when one has ended. */
import { clearInterval, setInterval } from 'node:timers';
import { receiveMessageOnPort } from 'node:worker_threads';
import type { Job } from './job.ts';
import type { Listeners } from './listeners.ts';
import type { RunnerThread } from './runner-thread.ts';

export class ProgressWatch {
  readonly #interval: number;
  readonly #running: ReadonlySet<Job>;
  readonly #listeners: Listeners;
  #timer: NodeJS.Timeout | undefined;

  constructor(interval: number, running: ReadonlySet<Job>, listeners: Listeners) {
    this.#interval = interval;
    this.#running = running;
    this.#listeners = listeners;
  }

  /** A job has begun, or there is a listener. */
  wake(): void {
    if (this.#timer !== undefined || this.#running.size === 0 || !this.#listeners.has('progress')) return;
    this.#timer = setInterval(() => this.#look(), this.#interval).unref();
  }

  #look(): void {
    if (this.#running.size === 0 || !this.#listeners.has('progress')) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    for (const job of [...this.#running]) this.tell(job, false);
  }

  /** What the job has said last, if that is new. `isLast`: it has ended, and says no more. */
  tell(job: Job, isLast: boolean): void {
    const { thread } = job;
    if (thread === undefined || !this.#listeners.has('progress')) return;
    const report = thread.seats[job.seat].reportAfter(job.toldReport);
    if (report === undefined) return;
    // The message comes by the port, and may still lie there, or be kept back by the thread for a while.
    if (report.isSaid && job.said?.report !== report.report) drain(thread);
    const message = report.isSaid && job.said?.report === report.report ? job.said.message : undefined;
    if (report.isSaid && message === undefined && !isLast) return;
    job.toldReport = report.report;
    job.caller.runInAsyncScope(() => {
      this.#listeners.emit('progress', {
        job: job.job,
        ...(job.name === undefined ? {} : { name: job.name }),
        done: report.done,
        ...(report.total === undefined ? {} : { total: report.total }),
        ...(message === undefined ? {} : { message }),
      });
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Takes what lies in the port of that thread without waiting for the event loop. */
export function drain(thread: RunnerThread): void {
  for (let got = receiveMessageOnPort(thread.port); got !== undefined; got = receiveMessageOnPort(thread.port)) thread.receive(got.message);
}
