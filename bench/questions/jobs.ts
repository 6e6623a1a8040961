/**
 * What does a runner cost, or save, beside Piscina? It has Piscina's threads, and brings jobs to them by ports of its own. Against a Piscina with the same options and the same function in its
 * threads, in the same rounds: a job that does nothing, one at a time; many jobs of 10 us, by `map` and by a loop that does as much by hand; what a job pays to ask whether it is cancelled, and
 * to say how far it is; and how soon a thread has its next job when one has been cancelled that only waits. Piscina ends the thread for that.
 */
import { JobRunner } from 'cenote/jobs';
import { Piscina } from 'piscina';
import { atLeast, atMost, cenoteAtMost } from '../frame/goals.ts';
import { inProcess } from '../frame/process.ts';
import type { Effort, Question, Row } from '../frame/question.ts';
import { compare, type Figures, interleave, measure, scale } from '../frame/rounds.ts';

const THREADS = 2;
/** In flight. */
const CONCURRENCY = 8;
/** In ms. */
const WORK = 0.01;
/** Jobs in one measured run of `map`. */
const MANY = 400;

type Answers = Readonly<Record<'empty' | 'many' | 'check' | 'progress' | 'cancel', Figures>>;

export const jobs: Question = {
  name: 'jobs',
  asks: 'a job over the same task on the same Piscina: empty, by map, cancelled; what check() and progress() cost',
  async run(effort): Promise<Row[]> {
    const { empty, many, check, progress, cancel } = await inProcess<Answers>(import.meta.url, 'besidePiscina', [effort]);
    return [
      ...compare('jobs: an empty one', 'us', scale(empty, 1e-3), { 'piscina.run': atMost(1.2) }),
      ...compare('jobs: map, 10 us each', '/s', many, { 'a loop by hand': atLeast(0.9) }),
      ...compare('jobs: check()', 'ns', check, { 'Atomics.load': cenoteAtMost(10) }),
      ...compare('jobs: progress()', 'ns', progress, { 'Atomics.load': cenoteAtMost(150) }),
      ...compare('jobs: from a cancel to the next job', 'us', scale(cancel, 1e3), { "Piscina's abort": atMost(0.1) }),
    ];
  },
};

// ── in a process of its own

export async function besidePiscina(effort: Effort): Promise<Answers> {
  const options = { minThreads: THREADS, maxThreads: THREADS, execArgv: [] };
  const runner = new JobRunner({ ...options, filename: new URL('./jobs-task.js', import.meta.url) });
  const piscina = new Piscina({
    ...options,
    atomics: 'async',
    recordTiming: false,
    filename: new URL('./jobs-piscina.js', import.meta.url).href,
  });
  const one = { minThreads: 1, maxThreads: 1, execArgv: [] };
  const single = new JobRunner({ ...one, filename: new URL('./jobs-task.js', import.meta.url) });
  const abortable = new Piscina({
    ...one,
    atomics: 'async',
    recordTiming: false,
    filename: new URL('./jobs-piscina.js', import.meta.url).href,
  });
  await Promise.all([runner, piscina].flatMap((pool) => Array.from({ length: 200 }, () => pool.run(null))));

  const empty = await measure(
    {
      cenote: { async: true, ops: 1, run: () => runner.run(null) },
      'piscina.run': { async: true, ops: 1, run: () => piscina.run(null) },
    },
    effort,
  );

  const payloads = Array.from({ length: MANY }, () => WORK);
  const byMap = async (): Promise<void> => {
    for await (const _ of runner.map(payloads, { concurrency: CONCURRENCY }));
  };
  const byHand = async (): Promise<void> => {
    let next = 0;
    const results: unknown[] = [];
    const lane = async (): Promise<void> => {
      while (next < MANY) {
        const number = next++;
        results[number] = await piscina.run(payloads[number]);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  };
  const times = await measure(
    { cenote: { async: true, ops: MANY, run: byMap }, 'a loop by hand': { async: true, ops: MANY, run: byHand } },
    effort,
  );
  const many = Object.fromEntries(Object.entries(times).map(([name, values]) => [name, values.map((ns) => 1e9 / ns)]));

  const inJob = (what: string): Promise<Figures> =>
    interleave(['cenote', 'Atomics.load'], Math.ceil(effort.rounds / 3), (name) =>
      single.run<string, number>(name === 'cenote' ? what : 'load'),
    );
  const [check, progress] = [await inJob('check'), await inJob('progress')];

  const cancel = await interleave(['cenote', "Piscina's abort"], Math.ceil(effort.rounds / 3), async (name) => {
    const pool = name === 'cenote' ? single : abortable;
    await pool.run(null);
    const abort = new AbortController();
    const sleeping = pool.run('sleep', { signal: abort.signal }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 20));
    const start = performance.now();
    abort.abort();
    await pool.run(null);
    const took = performance.now() - start;
    await sleeping;
    return took;
  });

  await Promise.all([runner.close(), single.close(), piscina.destroy(), abortable.destroy()]);
  return { empty, many, check, progress, cancel };
}
