/** What the dashboard shows of a runner of jobs. */
import { RUNNING_JOBS, type RunsJobs } from '../../shared/observing/running-jobs.ts';

/** How far a job is, as a runner tells it. */
export interface JobProgress {
  /** The job's number. */
  job: number;
  /** The job's name. */
  name?: string;
  /** How much is done. */
  done: number;
  /** How much there is to do. */
  total?: number;
  /** What it is at. */
  message?: string;
}

/** What of a runner of jobs the dashboard needs: a JobRunner has it. */
export interface RunnerLike {
  /** Its figures, by name; numbers are shown. */
  stats(): object;
  /** Tells of progress. */
  on(event: 'progress', listener: (progress: JobProgress) => void): unknown;
  /** Stops telling. */
  off?(event: 'progress', listener: (progress: JobProgress) => void): unknown;
}

/** What of it a snapshot has. */
export interface Jobs {
  /** The numbers of `stats()`. */
  stats: Record<string, number>;
  /**
   * The jobs heard of last: those under way, by number; then those that are through, the latest first. A job that has ended otherwise, as
   * one that has failed or was cancelled, is in neither.
   */
  progress: JobProgress[];
}

const MOST = 200;

const isThrough = ({ done, total }: JobProgress): boolean => total !== undefined && done >= total;

/** A job that is through is shown for so long, in ms. */
const SHOWN = 10_000;
/** A job that is silent is shown for so long, in ms, if the runner does not say what runs: it may have ended. */
const SILENT = 300_000;

interface Heard {
  readonly progress: JobProgress;
  readonly at: number;
}

export class JobsWatch {
  readonly #runner: RunnerLike;
  readonly #heard = new Map<number, Heard>();
  readonly #listener = (progress: JobProgress): void => {
    // Put behind the others: the first are the oldest. A message stands until there is another one.
    const known = this.#heard.get(progress.job)?.progress;
    this.#heard.delete(progress.job);
    this.#heard.set(progress.job, { progress: { ...known, ...progress }, at: Date.now() });
    if (this.#heard.size > MOST) this.#dropOne();
  };

  constructor(runner: RunnerLike) {
    this.#runner = runner;
    runner.on('progress', this.#listener);
  }

  /** Says of a job whether it is under way. Another runner than a JobRunner may not know what runs: then that is what is not through. */
  #underWay(): (job: JobProgress) => boolean {
    const running = (this.#runner as Partial<RunsJobs>)[RUNNING_JOBS]?.();
    if (running === undefined) return (job) => !isThrough(job);
    const numbers = new Set(running);
    return ({ job }) => numbers.has(job);
  }

  /** One that is not under way, if there is any: many short jobs do not push out a long one. */
  #dropOne(): void {
    const isUnderWay = this.#underWay();
    for (const [job, { progress }] of this.#heard) if (!isUnderWay(progress)) return void this.#heard.delete(job);
    this.#heard.delete(this.#heard.keys().next().value!);
  }

  #dropOld(isUnderWay: (job: JobProgress) => boolean): void {
    const now = Date.now();
    const silent = RUNNING_JOBS in this.#runner ? Number.POSITIVE_INFINITY : SILENT;
    for (const [job, { progress, at }] of this.#heard) {
      const shown = isUnderWay(progress) ? silent : isThrough(progress) ? SHOWN : 0;
      if (shown === 0 || now - at > shown) this.#heard.delete(job);
    }
  }

  read(): Jobs {
    const isUnderWay = this.#underWay();
    this.#dropOld(isUnderWay);
    const numbers = Object.entries(this.#runner.stats()).filter(([, value]) => typeof value === 'number');
    const jobs = [...this.#heard.values()].map(({ progress }) => progress);
    // By number, so that each keeps its place from look to look.
    const underWay = jobs.filter(isUnderWay).sort((a, b) => a.job - b.job);
    return { stats: Object.fromEntries(numbers), progress: [...underWay, ...jobs.filter((each) => !isUnderWay(each)).reverse()] };
  }

  end(): void {
    this.#runner.off?.('progress', this.#listener);
  }
}
