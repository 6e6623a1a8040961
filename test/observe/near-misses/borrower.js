// A thread that borrows in an order in which no deadlock can be: from pools of higher numbers only while it holds those of lower ones.
// Otherwise it does what comes to its mind.
import { parentPort, workerData } from 'node:worker_threads';
import { attachPool } from 'cenote/worker';

const { handles, seed } = workerData;
const pools = await Promise.all(handles.map((handle) => attachPool(handle)));
let state = seed;
/** A whole number below `n`. */
const random = (n) => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};
const counts = { rounds: 0, timeouts: 0, suspected: 0 };

/** A timeout is part of the game. A knot in it that is certain is not. */
function failed(error) {
  if (error.code !== 'ERR_POOL_ACQUIRE_TIMEOUT') throw error;
  counts.timeouts++;
  if (error.knot?.certainty === 'certain') parentPort.postMessage({ verdict: error.knot.text });
  if (error.knot?.certainty === 'suspected') counts.suspected++;
}

const limit = () => (random(3) === 0 ? { timeout: 1 + random(20) } : undefined);
const some = () => pools.filter(() => random(3) > 0);

function asleep() {
  const held = [];
  try {
    for (const pool of some()) held.push([pool, random(8) === 0 ? pool.tryAcquireSync() : pool.acquireSync(limit())]);
    const end = performance.now() + random(3) * 0.3;
    while (performance.now() < end);
  } catch (error) {
    failed(error);
  }
  for (const [pool, resource] of held) {
    if (resource === null) continue;
    // Behind a call it comes back later; and then this thread sleeps for the same pool.
    if (random(10) === 0)
      pool
        .asynchronous(resource)
        .work(1)
        .catch(() => {});
    if (random(40) === 0) pool.destroy(resource);
    else pool.release(resource);
  }
}

async function awaiting() {
  const held = [];
  try {
    for (const pool of some()) held.push([pool, await pool.acquire(limit())]);
    if (held.length > 0 && random(3) === 0) await held[0][1].work(random(2));
  } catch (error) {
    failed(error);
  }
  for (const [pool, resource] of held) pool.release(resource);
}

const pause = () => new Promise((resolve) => setTimeout(resolve, random(4)));
let stop = false;
parentPort.once('message', () => {
  stop = true;
});
/** Told now and then: a thread that is ended says nothing any more. */
function tell() {
  parentPort.postMessage({ counts: { ...counts } });
  for (const name of Object.keys(counts)) counts[name] = 0;
}
while (!stop) {
  if (++counts.rounds >= 20) tell();
  if (random(2) === 0) for (let i = 0; i < 5; i++) asleep();
  else
    await Promise.all([
      ...Array.from({ length: 1 + random(3) }, awaiting),
      ...Array.from({ length: random(2) }, () => pools[random(pools.length)].call('work', [random(2)]).catch(failed)),
    ]);
  if (random(4) === 0) await pause();
  else await new Promise((resolve) => setImmediate(resolve));
}
await Promise.all(pools.map((pool) => pool.detach()));
tell();
