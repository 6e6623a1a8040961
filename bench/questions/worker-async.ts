/** What does an asynchronous borrow cost on a worker that nobody competes with, beside the await that it cannot do without? */
import { createPool, type PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
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
    return compare('worker: await acquire + release', 'ns', figures);
  },
};

export async function onWorker(handle: PoolHandle<{ id: number }>, effort: Effort): Promise<Figures> {
  const pool = await attachPool(handle);
  await warm(pool);
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
    },
    effort,
  );
  await pool.detach();
  return figures;
}
