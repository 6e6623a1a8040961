/** A way that is open on all threads, or on the main thread alone. */
import type { BenchThread } from '../frame/thread.ts';
import { type Access, applicationName, type Server, type Way } from './way.ts';
import { type Outcome, repeat, type Work } from './works.ts';

export interface Road {
  /** Each thread has `lanes` of this work under way for `slice` ms. */
  go(work: Work, lanes: number, slice: number): Promise<Outcome[]>;
  /** What each thread's pool has said of itself; empty for pools that say nothing. */
  lending(): Promise<string[]>;
  close(): Promise<void>;
}

export async function openRoad(way: Way, server: Server, threads: readonly BenchThread[]): Promise<Road> {
  const { join, close } = await way.open(server, applicationName(server, way.name));
  const onEach = <V>(name: string, ...args: unknown[]): Promise<V[]> =>
    Promise.all(threads.map((thread) => thread.run<V>(import.meta.url, name, [way.name, ...args])));
  for (const thread of threads) {
    const { given, port } = join();
    await thread.run(import.meta.url, 'enter', [way.name, way.module, given], port === undefined ? [] : [port]);
  }
  return {
    go: (work, lanes, slice) => onEach('go', work, server.schema, lanes, slice),
    lending: async () => (await onEach<string | undefined>('lending')).filter((said) => said !== undefined),
    async close() {
      await onEach('leave');
      await close();
    },
  };
}

/** The main thread does the work of so many threads by itself. */
export async function openOnMain(way: Way, server: Server, threads: number): Promise<Road> {
  const { join, close } = await way.open(server, applicationName(server, way.name));
  await enter(way.name, way.module, join().given);
  return {
    go: async (work, lanes, slice) => [await go(way.name, work, server.schema, lanes * threads, slice)],
    lending: async () => [],
    async close() {
      await leave(way.name);
      await close();
    },
  };
}

// ── on a thread

const open = new Map<string, Access>();

export async function enter(way: string, module: string, given: unknown): Promise<void> {
  const side = (await import(module)) as { enter(given: unknown): Promise<Access> };
  open.set(way, await side.enter(given));
}

export const go = (way: string, work: Work, schema: string, lanes: number, slice: number): Promise<Outcome> =>
  repeat(work, open.get(way)!, schema, lanes, slice);

export const lending = (way: string): string | undefined => open.get(way)!.lending?.();

export async function leave(way: string): Promise<void> {
  await open.get(way)!.end();
  open.delete(way);
}
