/** How much this thread holds on to, once everything that can be collected has been. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export interface Measure {
  /** Bytes in use, in this thread's heap. */
  readonly heap: number;
  /** What keeps an event loop alive, or might: timers, ports ... */
  readonly resources: Readonly<Record<string, number>>;
  /** Listeners on the process. */
  readonly listeners: number;
}

export async function measure(): Promise<Measure> {
  let heap = Number.POSITIVE_INFINITY;
  for (let times = 0; times < 4; times++) {
    // What is due is done, and what it left behind collected.
    await new Promise((resolve) => setTimeout(resolve, 2));
    collect();
    heap = Math.min(heap, getHeapStatistics().used_heap_size);
  }
  const resources: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1;
  const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
  return { heap, resources, listeners };
}
