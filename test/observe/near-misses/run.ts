/** Threads that come as near to a deadlock as can be without one, some of which die; and watchers, none of which may tell of one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { createPool, type Pool } from 'cenote';
import { inspect, type Knot, watchDeadlocks } from 'cenote/observe';
import { until } from '../../support/wait.ts';

export interface Outcome {
  /** What was told though there was nothing. */
  readonly verdicts: string[];
  readonly looks: number;
  /** Looks that found a suspected knot, which may be none. */
  readonly suspected: number;
  readonly rounds: number;
  readonly timeouts: number;
  readonly deaths: number;
}

const THREADS = 4;
const SIZES = [1, 1, 2, 1];
/** Milliseconds: a thread takes a while to begin. */
const BETWEEN_DEATHS = 3000;

class Borrowers {
  readonly verdicts: string[] = [];
  readonly counts = { rounds: 0, timeouts: 0, suspected: 0 };
  deaths = 0;
  readonly #pools: readonly Pool<object>[];
  readonly #threads = new Set<Worker>();
  #seed: number;

  constructor(pools: readonly Pool<object>[], seed: number) {
    this.#pools = pools;
    this.#seed = seed;
  }

  start(): void {
    const workerData = { handles: this.#pools.map(({ handle }) => handle), seed: this.#seed++ };
    const worker = new Worker(new URL('./borrower.js', import.meta.url), { workerData, execArgv: [] });
    this.#threads.add(worker);
    worker.on('message', ({ verdict, counts }: { verdict?: string; counts?: Record<'rounds' | 'timeouts' | 'suspected', number> }) => {
      if (verdict !== undefined) this.verdicts.push(`in an error: ${verdict}`);
      if (counts === undefined) return;
      for (const name of ['rounds', 'timeouts', 'suspected'] as const) this.counts[name] += counts[name];
    });
    worker.on('error', (error) => this.verdicts.push(`a thread died of ${error.stack}`));
    worker.on('exit', () => this.#threads.delete(worker));
  }

  async replaceOne(): Promise<void> {
    const [victim] = this.#threads;
    if (victim === undefined) return;
    this.deaths++;
    await victim.terminate();
    this.start();
  }

  async stop(): Promise<void> {
    for (const worker of this.#threads) worker.postMessage('stop');
    const end = performance.now() + 60_000;
    while (this.#threads.size > 0) {
      if (performance.now() > end) {
        this.verdicts.push('threads did not end within a minute');
        await Promise.all([...this.#threads].map((worker) => worker.terminate()));
        return;
      }
      await sleep(5);
    }
  }
}

export async function nearMisses(duration: number, seed: number): Promise<Outcome> {
  const work = (ms: number): Promise<void> => sleep(ms);
  const pools = await Promise.all(
    SIZES.map((max, index) => createPool<object>({ name: `p${index}`, max, min: index % 2, factory: () => ({ work }) })),
  );
  const borrowers = new Borrowers(pools, seed);
  for (let i = 0; i < THREADS; i++) borrowers.start();
  const told: Knot[] = [];
  const watching = watchDeadlocks(pools, { interval: 3, onDeadlock: (knot) => void told.push(knot) });
  let looks = 0;
  let suspected = 0;
  const end = performance.now() + duration;
  let nextDeath = performance.now() + BETWEEN_DEATHS;
  // Threads that take long to begin have their rounds, too.
  while (performance.now() < end || (borrowers.counts.rounds === 0 && performance.now() < end + 60_000)) {
    for (let i = 0; i < 20; i++) {
      looks++;
      for (const { certainty, text } of inspect(pools).knots)
        if (certainty === 'certain') borrowers.verdicts.push(`by inspect: ${text}`);
        else suspected++;
    }
    if (performance.now() > nextDeath) {
      nextDeath = performance.now() + BETWEEN_DEATHS;
      await borrowers.replaceOne();
    }
    await sleep(5);
  }
  await borrowers.stop();
  watching[Symbol.dispose]();
  for (const pool of pools) {
    // What was on its way behind a call comes back after its thread has gone.
    await until(() => pool.activeCount() + pool.waitingCount() === 0).catch(() => borrowers.verdicts.push(`${pool.name} is not at rest`));
    await pool.close();
  }
  const verdicts = [...borrowers.verdicts, ...told.map(({ text }) => `by watchDeadlocks: ${text}`)];
  const { rounds, timeouts } = borrowers.counts;
  return { verdicts, looks, suspected: suspected + borrowers.counts.suspected, rounds, timeouts, deaths: borrowers.deaths };
}
