/** The worker of a scenario. */
import { parentPort, workerData } from 'node:worker_threads';
import type { PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import { type Measure, measure } from './measure.ts';
import { type Bench, scenarios, type Tool } from './scenarios.ts';

export type WorkerOrder = { readonly type: 'play'; readonly from: number; readonly to: number } | { readonly type: 'measure' };
export interface WorkerNews {
  readonly measure?: Measure;
}

const { name, handle } = workerData as { name: string; handle: PoolHandle<Tool> };
const round = scenarios[name].worker!;
const attach = () => attachPool(handle);
const bench: Bench = { pool: await attach(), attach };

parentPort!.on('message', async (order: WorkerOrder) => {
  if (order.type === 'measure') {
    parentPort!.postMessage({ measure: await measure() } satisfies WorkerNews);
    return;
  }
  for (let number = order.from; number < order.to; number++) {
    const done = round(bench, number);
    if (done instanceof Promise) await done;
  }
  parentPort!.postMessage({} satisfies WorkerNews);
});
parentPort!.postMessage({} satisfies WorkerNews);
