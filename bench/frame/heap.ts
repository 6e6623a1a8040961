/** How much the heap of this thread grows. */
import { Session } from 'node:inspector';
import { promisify } from 'node:util';

const COLLECTIONS = 3;

/** All that was weighed, for good: what becomes garbage later would be missing in the next weight. */
const held: unknown[] = [];

/** Bytes that are there after `body` and were not before, and are not garbage. */
export async function growthOf(body: () => Promise<unknown>): Promise<number> {
  const session = new Session();
  session.connect();
  const collectOnce = promisify((done: (error: Error | null) => void) => session.post('HeapProfiler.collectGarbage', done));
  // What was only weakly held, or had a last wish, is gone after another one.
  const collect = async (): Promise<void> => {
    for (let i = 0; i < COLLECTIONS; i++) await collectOnce();
  };
  try {
    await collect();
    const before = process.memoryUsage().heapUsed;
    held.push(await body());
    await collect();
    return process.memoryUsage().heapUsed - before;
  } finally {
    session.disconnect();
  }
}
