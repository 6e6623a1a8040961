// A Piscina task file: what such a worker does with a pool.
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { attachPool } from 'cenote/worker';

export default async function task({ kind, n }) {
  const pool = await attachPool(workerData.handle);
  switch (kind) {
    case 'use':
      return { threadId, value: await pool.use((resource) => resource.add(n, 1)) };
    case 'useSync':
      return { threadId, value: pool.useSync((resource) => resource.add(n, 1)) };
    case 'hold':
      await pool.acquire();
      return { threadId };
    case 'die':
      await pool.acquire();
      return process.exit(1);
    default:
      throw new Error(kind);
  }
}

parentPort.postMessage('loaded');
