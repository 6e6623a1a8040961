// A thread that runs random programs, several beside each other, as its owner hands them out.
import { parentPort, workerData } from 'node:worker_threads';
import { attachPgPool } from 'cenote/pg/worker';
import { work } from './borrower.js';
import { programOf } from './programs.js';

const waiting = [];

/** Not at the top level: Node 20 crashes when a thread is terminated as a module with an await there begins. */
async function main() {
  const pool = await attachPgPool(workerData.handle);
  parentPort.on('message', ({ given }) => waiting.shift()(given));
  const next = () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      parentPort.postMessage({ wants: true });
    });
  const done = (number, report) => parentPort.postMessage({ number, report });
  await Promise.all(Array.from({ length: workerData.beside }, () => work(pool, programOf, next, done)));
  if (workerData.leaves) await pool.end();
  parentPort.postMessage({ way: pool.lending.way });
  parentPort.close();
}

main();
