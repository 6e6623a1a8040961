// A thread that is an owner: a budget and a pool of its own. It does what its parent asks.
import { parentPort, workerData } from 'node:worker_threads';
import { createPool } from 'cenote';
import { createBudget, postgresBudget } from 'cenote/budget';

const { url, ...options } = workerData;
const budget = await createBudget({ engine: postgresBudget({ connection: url }), ...options });
const pool = await createPool({ factory: () => ({}), max: 10, budget });
const out = [];
const does = {
  borrow: (count) => {
    for (let n = 0; n < count; n++) void pool.acquire().then((thing) => out.push(thing));
  },
  release: (count) => {
    for (const thing of out.splice(0, count)) pool.release(thing);
  },
  state: () => ({ out: out.length, granted: budget.granted, used: budget.used }),
  members: () => budget.members(),
  close: async () => {
    await pool.close();
    does.release(out.length);
    await budget.close();
    parentPort.unref();
  },
};
parentPort.on('message', async ({ id, what, value }) => parentPort.postMessage({ id, value: await does[what](value) }));
parentPort.postMessage({ event: 'ready' });
