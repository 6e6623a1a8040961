/** What the dashboard shows of a runner of jobs. */

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
  /** The jobs heard of last: those under way, by number; then those that are through, the latest first. */
  progress: JobProgress[];
}

const MOST = 200;

const isThrough = ({ done, total }: JobProgress): boolean => total !== undefined && done >= total;

/** A job that is through is shown for so long, in ms; one that is silent, for so long. */
const SHOWN = 10_000;
const SILENT = 300_000;

export class JobsWatch {
  readonly #runner: RunnerLike;
  readonly #heard = new Map<number, { readonly progress: JobProgress; readonly at: number }>();
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

  /** One that is through, if there is any: many short jobs do not push out a long one. */
  #dropOne(): void {
    for (const [job, { progress }] of this.#heard) if (isThrough(progress)) return void this.#heard.delete(job);
    this.#heard.delete(this.#heard.keys().next().value!);
  }

  read(): Jobs {
    const now = Date.now();
    for (const [job, { progress, at }] of this.#heard) if (now - at > (isThrough(progress) ? SHOWN : SILENT)) this.#heard.delete(job);
    const numbers = Object.entries(this.#runner.stats()).filter(([, value]) => typeof value === 'number');
    const jobs = [...this.#heard.values()].map(({ progress }) => progress);
    // By number, so that each keeps its place from look to look.
    const underWay = jobs.filter((each) => !isThrough(each)).sort((a, b) => a.job - b.job);
    return { stats: Object.fromEntries(numbers), progress: [...underWay, ...jobs.filter(isThrough).reverse()] };
  }

  end(): void {
    this.#runner.off?.('progress', this.#listener);
  }
}
