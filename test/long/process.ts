/** A process of its own, for a heap of its own. Runs the scenario it is told to, and prints what grew, a line of JSON. */
import { Worker } from 'node:worker_threads';
import { createPool, type PoolHandle } from 'cenote';
import type { WorkerNews, WorkerOrder } from './borrower.ts';
import type { Growth, Length } from './growth.ts';
import { type Measure, measure } from './measure.ts';
import { atRest } from './rest.ts';
import { defaults, type Scenario, scenarios, type Tool } from './scenarios.ts';

/** Looked at so often: what leaks grows in every part, what is compiled or allocated once does not. */
const PARTS = 4;

async function run(name: string, scenario: Scenario, rounds: number): Promise<Growth> {
  const started = performance.now();
  const pool = await createPool<Tool>({ ...defaults, ...scenario.options?.() });
  // Factories that fail on purpose; nobody is to be warned of it.
  pool.on('error', () => {});
  const worker = scenario.worker === undefined ? undefined : await startWorker(name, pool.handle);
  let round = 0;
  const play = async (times: number): Promise<void> => {
    const last = round + times;
    if (worker !== undefined) await worker.ask({ type: 'play', from: round, to: last });
    else for (; round < last; round++) await scenario.owner!(pool, round, createPool);
    round = last;
  };
  const owner: Measure[] = [];
  const onWorker: Measure[] = [];
  const look = async (): Promise<void> => {
    const { measure: there } = (await worker?.ask({ type: 'measure' })) ?? {};
    if (there !== undefined) onWorker.push(there);
    owner.push(await measure());
  };
  // What is made once has been made.
  await play(Math.ceil(rounds / PARTS));
  await look();
  for (let part = 0; part < PARTS; part++) {
    await play(Math.ceil(rounds / PARTS));
    await look();
  }
  const left = await atRest(pool.handle);
  await worker?.end();
  await pool.close();
  return { name, rounds, owner, worker: onWorker, left, ms: performance.now() - started };
}

async function startWorker(name: string, handle: PoolHandle<Tool>) {
  const worker = new Worker(new URL('./borrower.js', import.meta.url), { workerData: { name, handle } });
  const next = (): Promise<WorkerNews> =>
    new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', (news: WorkerNews) => {
        worker.off('error', reject);
        resolve(news);
      });
    });
  await next();
  return {
    ask(order: WorkerOrder): Promise<WorkerNews> {
      worker.postMessage(order);
      return next();
    },
    end: () => worker.terminate(),
  };
}

const [length, name] = process.argv.slice(2) as [Length, string];
const { rounds, longer } = scenarios[name];
const count = { quick: rounds, again: Math.min(16 * rounds, longer), long: longer }[length];
console.log(JSON.stringify(await run(name, scenarios[name], count)));
