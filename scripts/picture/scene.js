// What the picture of the page shows: three pools under load, and two threads that wait for each other. Gives the dashboard, and what
// ends it all.
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { createPool } from 'cenote';
import { serveDashboard } from 'cenote/observe';

const factory = async () => {
  await sleep(2 + 6 * Math.random());
  return {};
};

export async function startScene() {
  const pools = [];
  for (const [name, max, min] of [
    ['orders-db', 12, 4],
    ['browsers', 4, 0],
    ['licences', 2, 2],
    ['north', 1, 0],
    ['south', 1, 0],
  ])
    pools.push(await createPool({ name, max, min, factory }));
  const handles = pools.map(({ handle }) => handle);
  const meeting = new SharedArrayBuffer(4);
  const workers = ['busy', 'busy', 'busy', 'greedy', 'north', 'south'].map(
    (part) => new Worker(new URL('./worker.js', import.meta.url), { workerData: { part, handles, meeting } }),
  );
  const jobs = [
    { job: 1, name: 'import of prices', done: 310, total: 500, message: 'fourth file' },
    { job: 2, name: 'nightly report', done: 12, total: 90 },
  ];
  const runner = {
    stats: () => ({ running: 2, queued: 5, done: 1240, failed: 3 }),
    on(_, listener) {
      for (const job of jobs) listener(job);
    },
  };
  const dashboard = await serveDashboard(pools, { title: 'Harbour pools', runner });
  return {
    url: dashboard.url,
    async end() {
      await Promise.all(workers.map((worker) => worker.terminate()));
      await dashboard.close();
      await Promise.all(pools.map((pool) => pool.close()));
    },
  };
}
