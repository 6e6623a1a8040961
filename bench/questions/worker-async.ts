/**
 * What does an asynchronous borrow cost on a worker that nobody competes with, beside the await that it cannot do without?
 *
 * The bare await is of a small number: nothing is allocated for it but the promise. The second rival awaits a new object between two compare-exchanges, which no pool that hands out
 * objects and is shared by threads can do without; the third also does what cenote does for its user besides: see `BareSlot`.
 */
import { createPool, type PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import { BareSlot } from '../frame/bare-slot.ts';
import { atMost } from '../frame/goals.ts';
import type { Effort, Question, Row } from '../frame/question.ts';
import { BATCH, compare, type Figures, measure } from '../frame/rounds.ts';
import { withThreads } from '../frame/thread.ts';
import { warm } from '../frame/warm.ts';

const MAX = 10;

export const workerAsync: Question = {
  name: 'worker-async',
  asks: 'await acquire() + release on a worker, uncontended, over a bare await in the same loop',
  async run(effort): Promise<Row[]> {
    const pool = await createPool({ factory: () => ({ id: 1 }), min: MAX, max: MAX });
    const figures = await withThreads(1, ([thread]) => thread.run<Figures>(import.meta.url, 'onWorker', [pool.handle, effort]));
    await pool.close();
    return compare('worker: await acquire + release', 'ns', figures, { 'bare await': atMost(1.6) });
  },
};

export async function onWorker(handle: PoolHandle<{ id: number }>, effort: Effort): Promise<Figures> {
  const pool = await attachPool(handle);
  await warm(pool);
  const words = new Int32Array(new SharedArrayBuffer(4));
  const bare = new BareSlot();
  const figures = await measure(
    {
      cenote: {
        async: true,
        async run() {
          for (let i = 0; i < BATCH; i++) pool.release(await pool.acquire());
        },
      },
      'bare await': {
        async: true,
        async run() {
          for (let i = 0; i < BATCH; i++) await Promise.resolve(i);
        },
      },
      'pair, await of an object': {
        async: true,
        async run() {
          for (let i = 0; i < BATCH; i++) {
            if (Atomics.compareExchange(words, 0, 0, 1) !== 0) throw new Error('taken');
            const { serial } = await Promise.resolve({ serial: i });
            if (Atomics.compareExchange(words, 0, 1, 0) !== 1 || serial !== i) throw new Error('not taken');
          }
        },
      },
      'pair, object, counts, await': {
        async: true,
        async run() {
          for (let i = 0; i < BATCH; i++) bare.release(await Promise.resolve(bare.acquire()));
        },
      },
    },
    effort,
  );
  await pool.detach();
  return figures;
}
