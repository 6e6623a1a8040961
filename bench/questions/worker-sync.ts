/**
 * What does a borrow cost on a worker that nobody competes with, beside the two compare-exchanges that any lock-free pool must do?
 *
 * The second rival is that pair, and what cenote owes its user besides, done for one slot: see `BareSlot`. What cenote takes beyond that is the price of being a library: several
 * pools in a thread, several kinds of resources in a pool, hooks that might be set.
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

export const workerSync: Question = {
  name: 'worker-sync',
  asks: 'tryAcquireSync + release on a worker, uncontended, over a bare compare-exchange pair',
  async run(effort): Promise<Row[]> {
    const pool = await createPool({ factory: () => ({ id: 1 }), min: MAX, max: MAX });
    const figures = await withThreads(1, ([thread]) => thread.run<Figures>(import.meta.url, 'onWorker', [pool.handle, effort]));
    await pool.close();
    return compare('worker: tryAcquireSync + release', 'ns', figures, { 'compare-exchange pair': atMost(1.6) });
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
        async: false,
        run() {
          for (let i = 0; i < BATCH; i++) {
            const resource = pool.tryAcquireSync();
            if (resource === null) throw new Error('nothing to be had');
            pool.release(resource);
          }
        },
      },
      'compare-exchange pair': {
        async: false,
        run() {
          for (let i = 0; i < BATCH; i++) {
            if (Atomics.compareExchange(words, 0, 0, 1) !== 0) throw new Error('taken');
            if (Atomics.compareExchange(words, 0, 1, 0) !== 1) throw new Error('not taken');
          }
        },
      },
      'pair, object, counts': {
        async: false,
        run() {
          for (let i = 0; i < BATCH; i++) bare.release(bare.acquire());
        },
      },
    },
    effort,
  );
  await pool.detach();
  return figures;
}
