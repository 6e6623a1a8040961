/** Progress bars of a runner on a terminal, by cli-progress. */

import { createRequire } from 'node:module';
import { clearInterval, setInterval } from 'node:timers';
import type { MultiBar, SingleBar } from 'cli-progress';
import { show } from '../shared/index.ts';
import { type JobRunner, runningJobs } from './runner.ts';
import type { RunnerEvents } from './types.ts';

/** In ms. */
const PERIOD = 100;
/** Bars of jobs that are shown at once: a terminal has only so many lines. */
const MOST_BARS = 16;
const LONGEST_TEXT = 60;

const ALL = '{bar} {percentage} %  {value} of {total} jobs';
const OF_TOTAL = '{bar} {percentage} %  {value} of {total}  {text}';
const COUNTED = '{value}  {text}';

type Progress = RunnerEvents['progress'][0];

/**
 * Shows a progress bar on a terminal: one line for all jobs, and one for each running job that has said something of its progress. Nothing
 * where `stream` is no terminal. `stream`: default process.stderr. `total`: how many jobs there will be; default: those that the runner has
 * been given so far. Needs the package cli-progress, on a terminal only: throws an Error that says so. Disposing it removes the bars; they
 * do not keep the process alive.
 */
export function showProgress(runner: JobRunner<any>, options: { stream?: NodeJS.WritableStream; total?: number } = {}): Disposable {
  const { stream = process.stderr, total } = options;
  if (total !== undefined && !(typeof total === 'number' && total >= 0))
    throw new RangeError(`total must be a number from 0, not ${show(total)}`);
  if ((stream as { isTTY?: boolean }).isTTY !== true || process.env.TERM === 'dumb') return { [Symbol.dispose]() {} };
  const bars = new Bars(runner, stream, total);
  return { [Symbol.dispose]: () => bars.stop() };
}

class Bars {
  readonly #runner: JobRunner<any>;
  readonly #total: number | undefined;
  readonly #screen: MultiBar;
  readonly #all: SingleBar;
  readonly #jobs = new Map<number, SingleBar>();
  readonly #said = new Map<number, Progress>();
  readonly #timer: NodeJS.Timeout;
  /** A message stands until there is another one. */
  readonly #onProgress = (progress: Progress): void => void this.#said.set(progress.job, { ...this.#said.get(progress.job), ...progress });

  constructor(runner: JobRunner<any>, stream: NodeJS.WritableStream, total: number | undefined) {
    const { MultiBar, Presets } = loadBars();
    this.#runner = runner;
    this.#total = total;
    this.#screen = new MultiBar(
      // The cursor and the signals are the program's: after kill -9 nothing could put them right.
      { stream, hideCursor: false, clearOnComplete: true, gracefulExit: false, linewrap: false, barsize: 30, format: ALL },
      Presets.shades_classic,
    );
    this.#all = this.#screen.create(Math.max(1, total ?? 0), 0);
    runner.on('progress', this.#onProgress);
    this.#timer = setInterval(() => this.#look(), PERIOD).unref();
    this.#look();
  }

  #look(): void {
    const { submitted, completed, failed, cancelled, lost } = this.#runner.stats();
    this.#all.setTotal(Math.max(1, this.#total ?? submitted));
    this.#all.update(completed + failed + cancelled + lost);
    const running = new Set<number>();
    for (const { job } of runningJobs(this.#runner)) {
      running.add(job);
      const said = this.#said.get(job);
      if (said !== undefined) this.#show(said);
    }
    for (const [job, bar] of this.#jobs) if (!running.has(job)) this.#screen.remove(bar);
    for (const job of this.#jobs.keys()) if (!running.has(job)) this.#jobs.delete(job);
    for (const job of this.#said.keys()) if (!running.has(job)) this.#said.delete(job);
  }

  #show({ job, name, done, total, message }: Progress): void {
    const text = printable(`${name ?? `job ${job}`}${message === undefined ? '' : `: ${message}`}`);
    let bar = this.#jobs.get(job);
    if (bar === undefined) {
      if (this.#jobs.size >= MOST_BARS) return;
      bar = this.#screen.create(total ?? 1, 0, { text }, { format: total === undefined ? COUNTED : OF_TOTAL });
      this.#jobs.set(job, bar);
    }
    bar.setTotal(Math.max(total ?? 1, 1));
    bar.update(done, { text });
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#runner.off('progress', this.#onProgress);
    this.#screen.stop();
  }
}

/** What a job says comes from anywhere: none of its control characters reach the terminal. */
function printable(text: string): string {
  const clean = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\s]+/gu, ' ').trim();
  return clean.length > LONGEST_TEXT ? `${clean.slice(0, LONGEST_TEXT - 1)}…` : clean;
}

function loadBars(): typeof import('cli-progress') {
  try {
    return createRequire(import.meta.url)('cli-progress');
  } catch (cause) {
    throw new Error('showProgress needs the package cli-progress on a terminal: npm install cli-progress', { cause });
  }
}
