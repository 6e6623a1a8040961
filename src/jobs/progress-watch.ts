/** Tells of the progress of running jobs: looks at their words now and then, and once more when one has ended. */
import { clearInterval, setInterval } from 'node:timers';
import type { Job } from './job.ts';
import type { Listeners } from './listeners.ts';

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
    for (const job of [...this.#running]) this.tell(job);
  }

  /** How far the job is, if that is new, with the last message that has come. When it has ended, all that it said has come. */
  tell(job: Job): void {
    const { thread, said } = job;
    if (thread === undefined || !this.#listeners.has('progress')) return;
    const latest = thread.seats[job.seat].reportAfter(job.told?.report ?? 0);
    const report = latest ?? job.told;
    if (report === undefined || (latest === undefined && said === undefined)) return;
    job.told = report;
    job.said = undefined;
    job.caller.runInAsyncScope(() => {
      this.#listeners.emit('progress', {
        job: job.job,
        ...(job.name === undefined ? {} : { name: job.name }),
        done: report.done,
        ...(report.total === undefined ? {} : { total: report.total }),
        ...(said === undefined ? {} : { message: said }),
      });
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
