/** Histories of real threads, one after the other, each checked before the next. */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { dump } from '../soak/dump.ts';
import { Random } from '../soak/random.ts';
import { type Compiled, compileThreads } from '../support/threads/compile.ts';
import { linearise } from './checker.ts';
import { type Configuration, drawConfiguration } from './configuration.ts';
import { type History, print } from './history.ts';
import { naiveWords } from './naive.ts';
import { ticketsBeyond } from './near-end.ts';
import { Record } from './recorder.ts';
import { specification } from './specification.ts';
import type { News, Order, ThreadData } from './thread.ts';

const MOST_THREADS = 4;
/** Of one pool. Then another, with another configuration. */
const HISTORIES = 20;
/** Nobody holds anything longer than some milliseconds; but the machine may be busy. */
const HUNG = 60_000;
const root = new URL('../..', import.meta.url);

export interface Options {
  readonly seed: number;
  /** Ends after so many histories, or so many ms, whichever is first; or when one is refused. */
  readonly histories: number;
  readonly limit: number;
  /** But not before so many histories. */
  readonly least?: number;
  /** Where the pool's code is, if not in dist/; 'naive': a semaphore that is not fair. */
  readonly code?: string;
  /** Instead of what the seed draws. */
  readonly configuration?: Partial<Configuration>;
  readonly bound?: number;
  readonly interrupted?: () => boolean;
}

export interface Report {
  histories: number;
  operations: number;
  // ── how much there was to get wrong
  timeouts: number;
  aborts: number;
  nulls: number;
  /** Tickets that were drawn after the counter had come round. */
  beyond: number;
  mostStates: number;
  /** How many were neither accepted nor refused. */
  unknown: number;
  /** Empty: every history is linearisable. */
  failure: string;
}

export async function run(options: Options): Promise<Report> {
  const report: Report = {
    histories: 0,
    operations: 0,
    timeouts: 0,
    aborts: 0,
    nulls: 0,
    beyond: 0,
    mostStates: 0,
    unknown: 0,
    failure: '',
  };
  const compiled = compileThreads('test/linear/thread.ts');
  const crew = new Crew(compiled, options.code);
  const started = performance.now();
  const isOver = (): boolean =>
    report.histories >= options.histories ||
    (performance.now() - started > options.limit && report.histories >= (options.least ?? 0)) ||
    report.failure !== '' ||
    options.interrupted?.() === true;
  try {
    for (let pool = 0; !isOver(); pool++) {
      // Each pool has a seed of its own, so that it can be had again: --seed of that pool.
      const seed = (options.seed + pool * 0x9e3779b1) >>> 0;
      const configuration = { ...drawConfiguration(new Random(seed)), ...options.configuration };
      try {
        await crew.open(configuration);
        for (let number = 0; number < HISTORIES && !isOver(); number++) {
          const history = await crew.play((seed + number * 7919) | 0);
          judge(history, report, seed, configuration, options.bound);
        }
        report.beyond += crew.beyond();
        await crew.close();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        // What has been done so far may say why.
        judge(crew.history(), report, seed, configuration, options.bound);
        report.failure += `\n${error.message}\n${crew.dump()}`;
      }
    }
  } finally {
    await crew.end();
    compiled.remove();
  }
  return report;
}

function judge(history: History, report: Report, seed: number, configuration: Configuration, bound?: number): void {
  const { steps, model } = specification(history);
  const verdict = linearise(steps, model, bound);
  report.histories++;
  report.operations += history.operations.length;
  for (const { outcome } of history.operations) {
    if (outcome === 'timeout') report.timeouts++;
    if (outcome === 'abort') report.aborts++;
    if (outcome === 'none') report.nulls++;
  }
  report.mostStates = Math.max(report.mostStates, verdict.states);
  if (verdict.answer === 'linearisable') return;
  if (verdict.answer === 'unknown') report.unknown++;
  const why =
    verdict.answer === 'unknown'
      ? `nobody knows: not decided within ${verdict.states} states`
      : `refused: after\n  ${verdict.longest.join('\n  ')}\nnone of these can come\n  ${verdict.stuck.join('\n  ')}`;
  report.failure = [
    why,
    `seed ${seed} (what real threads do is not repeated exactly: try more than once)`,
    JSON.stringify(configuration),
    print(history),
  ].join('\n');
}

class Failure extends Error {}

/** The threads, which outlive the pools. */
class Crew {
  readonly #record = new Record(MOST_THREADS);
  readonly #workers: Worker[] = [];
  readonly #isNaive: boolean;
  #configuration!: Configuration;
  #handle: { buffer: SharedArrayBuffer } | undefined;
  #beginning: Pick<History, 'idle' | 'empty'> = { idle: [], empty: 0 };

  constructor(compiled: Compiled, code = fileURLToPath(new URL('dist', root))) {
    this.#isNaive = code === 'naive';
    const numbers = new Int32Array(new SharedArrayBuffer(4 * MOST_THREADS));
    for (let index = 0; index < MOST_THREADS; index++) {
      const workerData: ThreadData = {
        index,
        threads: MOST_THREADS,
        record: this.#record.buffer,
        numbers,
        code: this.#isNaive ? '' : pathToFileURL(code).href,
      };
      this.#workers.push(new Worker(compiled.url('test/linear/thread.ts'), { workerData, execArgv: [] }));
    }
  }

  /** Those that take part. The naive semaphore has no owner. */
  get #cast(): Worker[] {
    return this.#workers.slice(this.#isNaive ? 1 : 0, this.#configuration.ways.length);
  }

  #ask(worker: Worker, order: Order): Promise<News> {
    return new Promise((resolve, reject) => {
      const done = (end: () => void): void => {
        clearTimeout(timer);
        worker.off('message', heard);
        worker.off('error', died);
        end();
      };
      const heard = (news: News): void => done(() => (news.type === 'failed' ? reject(new Failure(news.why)) : resolve(news)));
      const died = (error: Error): void => done(() => reject(new Failure(`a thread died: ${error.stack}`)));
      const hung = (): void => done(() => reject(new Failure(`thread ${this.#workers.indexOf(worker)} hangs in '${order.type}'`)));
      const timer = setTimeout(hung, HUNG);
      worker.on('message', heard);
      worker.on('error', died);
      worker.postMessage(order);
    });
  }

  async open(configuration: Configuration): Promise<void> {
    this.#configuration = configuration;
    if (this.#isNaive) {
      const words = naiveWords(configuration.capacity, MOST_THREADS);
      await Promise.all(this.#cast.map((worker) => this.#ask(worker, { type: 'naive', configuration, words })));
      this.#beginning = { idle: Array.from({ length: configuration.capacity }, (_, permit) => permit + 1), empty: 0 };
      return;
    }
    const [owner, ...borrowers] = this.#cast;
    const { handle } = (await this.#ask(owner, { type: 'open', configuration })) as News & { type: 'opened' };
    this.#handle = handle;
    await Promise.all(borrowers.map((worker) => this.#ask(worker, { type: 'attach', configuration, handle })));
    await this.#rest();
  }

  async #rest(): Promise<void> {
    if (this.#isNaive) return;
    const { idle, empty } = (await this.#ask(this.#workers[0], { type: 'rest' })) as News & { type: 'rests' };
    this.#beginning = { idle, empty };
  }

  async play(seed: number): Promise<History> {
    this.#record.clear();
    const cast = this.#cast;
    await Promise.all(cast.map((worker) => this.#ask(worker, { type: 'run', seed, threads: cast.length })));
    const history = this.history();
    await this.#rest();
    return history;
  }

  history(): History {
    return { ...this.#beginning, guardedReturns: this.#configuration.beforeRelease, operations: this.#record.read() };
  }

  async close(): Promise<void> {
    const [first, ...others] = this.#cast;
    await Promise.all(others.map((worker) => this.#ask(worker, { type: 'close' })));
    await this.#ask(first, { type: 'close' });
  }

  beyond(): number {
    return this.#configuration.nearEnd && this.#handle !== undefined ? ticketsBeyond(this.#handle.buffer) : 0;
  }

  dump(): string {
    return this.#handle === undefined ? '' : dump(this.#handle.buffer);
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

export function summary(report: Report, ms: number): string {
  const { histories, operations, timeouts, aborts, nulls, beyond, mostStates, unknown, failure } = report;
  return [
    `${histories} histories of ${operations} operations in ${Math.round(ms / 1000)} s, at most ${mostStates} states to decide one`,
    `${timeouts} timeouts, ${aborts} aborts, ${nulls} tries that got nothing, ${beyond} tickets after the counter had come round; ${unknown} undecided`,
    failure === '' ? 'all of them are linearisable' : `FAILED\n${failure}`,
  ].join('\n');
}
