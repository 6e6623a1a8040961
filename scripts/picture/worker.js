// A thread of the scene.
import { setTimeout as sleep } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { attachPool } from 'cenote/worker';

const { part, handles, meeting } = workerData;
const [orders, browsers, licences, north, south] = await Promise.all(handles.map((handle) => attachPool(handle)));

async function borrow(pool, hold) {
  for (;;) {
    await pool.use(() => sleep(hold * (0.3 + Math.random())), { timeout: 2000 }).catch(() => {});
    await sleep(hold * Math.random());
  }
}

if (part === 'busy') {
  for (let i = 0; i < 3; i++) void borrow(orders, 40);
  void borrow(licences, 300);
} else if (part === 'greedy') {
  for (let i = 0; i < 7; i++) void borrow(browsers, 900);
} else {
  const [first, second] = part === 'north' ? [north, south] : [south, north];
  const held = first.acquireSync();
  const met = new Int32Array(meeting);
  Atomics.add(met, 0, 1);
  while (Atomics.load(met, 0) < 2) await sleep(5);
  second.acquireSync();
  first.release(held);
}
