/** Many jobs on one runner, most of them with a signal, in a process of its own. Prints what grew, as a line of JSON. */
import { getEventListeners } from 'node:events';
import { createPool } from 'cenote';
import { JobRunner } from 'cenote/jobs';
import type { Growth, Length } from './growth.ts';
import { type Measure, measure } from './measure.ts';
import { atRest } from './rest.ts';

/** Jobs; in `npm test`, and of the long form. */
const ROUNDS = 2_000;
const LONGER = 100_000;
const PARTS = 4;
/** In flight. */
const LANES = 8;
const SEED = Number(process.env.CENOTE_LONG_SEED ?? 14);

/** mulberry32. */
let state = SEED | 0;
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let value = Math.imul(state ^ (state >>> 15), 1 | state);
  value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
  return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
}

const pool = await createPool({ factory: () => ({ give: (n: number) => n }), max: 2 });
const runner = new JobRunner({
  filename: new URL('./jobs-job.js', import.meta.url),
  pools: { pool },
  maxThreads: 1,
  minThreads: 1,
  concurrentTasksPerWorker: 4,
  progressInterval: 5,
  grace: 60_000,
});
runner.on('progress', () => {});
const left: string[] = [];
const expect = (isTrue: boolean, what: string): void => void (isTrue || left.length > 9 || left.push(what));

/** One for thousands of jobs. It never aborts. */
const longLived = new AbortController();
const why = new Error('cancelled on purpose');

const ways: Readonly<Record<string, (n: number) => Promise<unknown>>> = {
  'the signal of all': (n) => runner.run(['quick', n], { signal: longLived.signal }),
  'a signal of its own': (n) => runner.run(['quick', n], { signal: new AbortController().signal, timeout: 60_000 }),
  'cancelled somewhere': (n) => {
    const abort = new AbortController();
    const running = runner.run(['sleeps', 20], { signal: AbortSignal.any([abort.signal, longLived.signal]), name: `job ${n}` });
    setTimeout(() => abort.abort(why), random() * 4);
    return running;
  },
  'cancelled in line': (n) => {
    const abort = new AbortController();
    const running = runner.run(['waits', n], { signal: abort.signal });
    setImmediate(() => abort.abort(why));
    return running;
  },
  'too late': () => runner.run(['sleeps', 1000], { timeout: 1 }),
  throws: (n) => runner.run(['throws', n], { signal: longLived.signal }),
  'says how far it is': (n) => runner.run(['says', n], { signal: longLived.signal }),
  borrows: (n) => runner.run(['borrows', n], { signal: longLived.signal }),
  forgets: (n) => runner.run(['forgets', n]),
  'a scope that is cancelled': (n) =>
    runner.scope(
      async (scope) => {
        void scope.run(['sleeps', 1000]);
        scope.signal.addEventListener('abort', () => {});
        await scope.run(['quick', n]);
        await scope.cancel(why);
      },
      { signal: longLived.signal, concurrency: 2, timeout: 60_000 },
    ),
  'a map that is left': async (n) => {
    for await (const _ of runner.map(
      [1, 2, 3].map((one) => ['quick', n + one]),
      { signal: longLived.signal },
    ))
      break;
  },
};
const names = Object.keys(ways);

let round = 0;
async function play(until: number): Promise<void> {
  const lane = async (): Promise<void> => {
    while (round < until) {
      const name = names[Math.floor(random() * names.length)];
      await ways[name](round++).catch((error: Error & { code?: string }) => {
        const isMeant = error === why || error.code === 'ERR_JOB_TIMEOUT' || error.message === 'thrown on purpose';
        expect(isMeant, `${name}: ${error}`);
      });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const { submitted, waiting, running, completed, failed, cancelled, lost, killedThreads, threads } = runner.stats();
  expect(submitted === completed + failed + cancelled && waiting + running + lost === 0, `the counts: ${JSON.stringify(runner.stats())}`);
  expect(threads === 1 && killedThreads === 0, `${threads} threads, ${killedThreads} ended`);
  const listeners = getEventListeners(longLived.signal, 'abort').length;
  expect(listeners === 0, `${listeners} listeners at the signal of all`);
}

const started = performance.now();
const rounds = { quick: ROUNDS, again: 4 * ROUNDS, long: LONGER }[process.argv[2] as Length];
const owner: Measure[] = [];
const worker: Measure[] = [];
// What is made once has been made in the first part.
for (let part = 0; part <= PARTS; part++) {
  await play((part + 1) * Math.ceil(rounds / PARTS));
  worker.push(await runner.run<unknown, Measure>(['measure', 0]));
  owner.push(await measure());
}
left.push(...(await atRest(pool.handle)));
await runner.close();
await pool.close();
console.log(JSON.stringify({ name: 'jobs', rounds, owner, worker, left, ms: performance.now() - started } satisfies Growth));
