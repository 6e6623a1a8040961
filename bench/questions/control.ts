/**
 * What does it cost that a pool can be steered: borrowers that pay for none of it, a suspension that every thread sees, and resources that are replaced while
 * the pool goes on?
 *
 * Each rival is what a program would have without it: the same pool with no ceiling and no limits, a word of shared memory that threads look at, and a
 * loop that destroys and makes as many at a time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createPool, type Pool, type PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import { atMost, cenoteAtMost } from '../frame/goals.ts';
import type { Effort, Question, Row } from '../frame/question.ts';
import { BATCH, compare, type Figures, interleave, measure, quantile, scale } from '../frame/rounds.ts';
import { withThreads } from '../frame/thread.ts';
import { warm } from '../frame/warm.ts';

const MAX = 4;
const CEILING = 1023;
const THREADS = 8;
/** Suspensions in a round. */
const TIMES = 25;
const RESOURCES = 50;
/** How long one takes to make, in ms. */
const TO_MAKE = 5;
/** As `recycle` does: a tenth of a full pool. */
const AT_ONCE = RESOURCES / 10;

const factory = (): object => ({ id: 1 });

export const control: Question = {
  name: 'control',
  asks: 'what ceiling and maxHold cost a borrow; how soon 8 threads see a suspension; recycle against doing it by hand',
  async run(effort): Promise<Row[]> {
    return [...(await borrows(effort)), ...(await suspensions(effort)), ...(await recycles(effort))];
  },
};

async function borrows(effort: Effort): Promise<Row[]> {
  const pools = [
    await createPool({ factory, min: MAX, max: MAX, ceiling: CEILING }),
    await createPool({ factory, min: MAX, max: MAX, maxHold: { warnAfter: 60_000, cancelAfter: 60_000, revokeAfter: 60_000 } }),
    await createPool({ factory, min: MAX, max: MAX }),
  ];
  const handles = pools.map(({ handle }) => handle);
  const figures = await withThreads(1, ([thread]) => thread.run<Figures>(import.meta.url, 'onWorker', [handles, effort]));
  for (const pool of pools) await pool.close();
  const { plain, ceiling, limits } = figures;
  return [
    ...compare(
      'worker: tryAcquireSync + release, ceiling 1023',
      'ns',
      { cenote: ceiling, 'no ceiling': plain },
      { 'no ceiling': atMost(1.05) },
    ),
    ...compare('worker: tryAcquireSync + release, maxHold', 'ns', { cenote: limits, 'no limits': plain }, { 'no limits': atMost(1.02) }),
  ];
}

export async function onWorker(handles: PoolHandle<object>[], effort: Effort): Promise<Figures> {
  const [ceiling, limits, plain] = await Promise.all(handles.map((handle) => attachPool(handle)));
  for (const pool of [ceiling, limits, plain]) await warm(pool);
  const borrowing = (pool: typeof plain) => ({
    async: false,
    run() {
      for (let i = 0; i < BATCH; i++) {
        const resource = pool.tryAcquireSync();
        if (resource === null) throw new Error('nothing to be had');
        pool.release(resource);
      }
    },
  });
  const figures = await measure({ ceiling: borrowing(ceiling), limits: borrowing(limits), plain: borrowing(plain) }, effort);
  for (const pool of [ceiling, limits, plain]) await pool.detach();
  return figures;
}

/** The time until the slowest of a hundred has seen it, in us: of all threads and all suspensions of a round. */
async function suspensions({ rounds }: Effort): Promise<Row[]> {
  const pool = await createPool({ factory, min: MAX, max: MAX });
  const figures = await withThreads(THREADS, (threads) =>
    interleave(['cenote', 'a word of shared memory'], Math.min(rounds, 5), async (name) => {
      const seen = new BigInt64Array(new SharedArrayBuffer(8 * THREADS * TIMES));
      const word = new Int32Array(new SharedArrayBuffer(4 * (2 + THREADS)));
      const watching = threads.map((thread, index) =>
        thread.run<void>(import.meta.url, 'watch', [pool.handle, name === 'cenote', seen, word, index]),
      );
      await ready(word, 1);
      const times: number[] = [];
      for (let turn = 0; turn < TIMES; turn++) {
        const since = process.hrtime.bigint();
        if (name === 'cenote') await once(pool, word, turn);
        else await flag(word, turn);
        for (let thread = 0; thread < THREADS; thread++) times.push(Number(seen[thread * TIMES + turn] - since) / 1000);
      }
      await Promise.all(watching);
      return quantile(times, 0.99);
    }),
  );
  await pool.close();
  return compare('a suspension is seen by 8 busy threads, p99', 'us', figures, { 'a word of shared memory': cenoteAtMost(1000) });
}

/** All threads have come so far. */
async function ready(word: Int32Array, turns: number): Promise<void> {
  for (let thread = 0; thread < THREADS; thread++) while (Atomics.load(word, 2 + thread) < turns) await sleep(1);
}

async function once(pool: Pool<object>, word: Int32Array, turn: number): Promise<void> {
  const suspension = await pool.suspend();
  await ready(word, 2 * turn + 2);
  suspension.resume();
  await ready(word, 2 * turn + 3);
}

async function flag(word: Int32Array, turn: number): Promise<void> {
  Atomics.store(word, 0, 1);
  await ready(word, 2 * turn + 2);
  Atomics.store(word, 0, 0);
  await ready(word, 2 * turn + 3);
}

/** A thread that borrows and gives back as fast as it can, and looks whether it may. */
export async function watch(
  handle: PoolHandle<object>,
  isPools: boolean,
  seen: BigInt64Array,
  word: Int32Array,
  index: number,
): Promise<void> {
  const pool = await attachPool(handle);
  const isStopped = (): boolean => (isPools ? pool.suspended : Atomics.load(word, 0) === 1);
  const arrive = (): void => void Atomics.add(word, 2 + index, 1);
  arrive();
  for (let turn = 0; turn < TIMES; turn++) {
    while (!isStopped()) {
      const resource = pool.tryAcquireSync();
      if (resource !== null) pool.release(resource);
    }
    seen[index * TIMES + turn] = process.hrtime.bigint();
    arrive();
    while (isStopped());
    arrive();
  }
}

async function recycles({ rounds }: Effort): Promise<Row[]> {
  const make = async (): Promise<object> => {
    await sleep(TO_MAKE);
    return {};
  };
  const pool = await createPool({ factory: make, destructor: async () => {}, min: RESOURCES, max: RESOURCES });
  const all: object[] = await Promise.all(Array.from({ length: RESOURCES }, make));
  const figures = await interleave(['cenote', 'by hand'], rounds, async (name) => {
    const since = performance.now();
    if (name === 'cenote') await pool.recycle();
    else await byHand(all, make);
    return performance.now() - since;
  });
  await pool.close();
  return compare('recycle of 50 idle resources, 5 ms to make each', 'us', scale(figures, 1000), { 'by hand': atMost(1.3) });
}

async function byHand(all: object[], make: () => Promise<object>): Promise<void> {
  const left = [...all.keys()];
  const one = async (): Promise<void> => {
    for (let at = left.shift(); at !== undefined; at = left.shift()) all[at] = await make();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}
