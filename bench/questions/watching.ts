/**
 * What does it cost to watch pools? Borrowing itself, after subscribers to its channels have come and gone; a scrape of 50 pools, in time and
 * in bytes; a look at 1,000 slots with 10,000 waiters; and a scrape on another thread while the owner is in a loop.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createPool, type Pool, type PoolHandle } from 'cenote';
import { inspect, prometheus } from 'cenote/observe';
import { attachPool } from 'cenote/worker';
import { Registry } from 'prom-client';
import { atMost, cenoteAtMost } from '../frame/goals.ts';
import type { Effort, Question, Row } from '../frame/question.ts';
import { BATCH, compare, interleave, measure } from '../frame/rounds.ts';
import { withThreads } from '../frame/thread.ts';

const POOLS = 50;
const SLOTS = 1000;
const WAITERS = 10_000;
/** Milliseconds that the owner is in its loop. */
const BLOCKED = 2000;

const factory = (): object => ({});
/** Every channel that a borrow and a return are published on. */
const CHANNELS = [...['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((part) => `tracing:cenote:acquire:${part}`), 'cenote:release'];

export const watching: Question = {
  name: 'watching',
  asks: 'metrics, inspection and channels: what they take, and what they add to a borrow when nothing listens',
  async run(effort): Promise<Row[]> {
    return [...(await unheard(effort)), ...(await scrapes(effort)), ...(await looks(effort)), ...(await fromElsewhere(effort))];
  },
};

/** The rival is a pool of the same kind, whose lease is begun and ended in a process in which nothing has ever subscribed: so it runs first. */
async function unheard(effort: Effort): Promise<Row[]> {
  const pool = await createPool({ factory, min: 10, max: 10 });
  const round = {
    async: true,
    async run() {
      for (let i = 0; i < BATCH; i++) pool.release(await pool.acquire());
    },
  };
  const listen = (): void => {};
  const comeAndGo = (): void => {
    for (const name of CHANNELS) subscribe(name, listen);
    for (const name of CHANNELS) unsubscribe(name, listen);
  };
  const before = await measure({ 'before any subscriber': round }, effort);
  comeAndGo();
  const after = await measure({ cenote: round }, effort);
  await pool.close();
  return compare('watching: acquire + release, subscribers gone', 'ns', { ...after, ...before }, { 'before any subscriber': atMost(1.03) });
}

async function scrapes({ rounds }: Effort): Promise<Row[]> {
  const pools = await Promise.all(
    Array.from({ length: POOLS }, (_, index) => createPool({ factory, min: 5, max: 10, name: `pool-${index}` })),
  );
  for (const pool of pools) for (let i = 0; i < 100; i++) await pool.use(() => {});
  const registry = prometheus(pools, { registry: new Registry() });
  let bytes = 0;
  const figures = await interleave(['cenote', 'stats() of each'], rounds, (name) =>
    timed(async () => {
      if (name === 'cenote') bytes = Buffer.byteLength(await registry.metrics());
      else for (const pool of pools) pool.stats();
    }),
  );
  const kilobytes = { cenote: [bytes / 1024], 'a page of memory': [4] };
  await closeAll(pools);
  return [
    ...compare(`watching: a scrape of ${POOLS} pools`, 'us', figures, { 'stats() of each': cenoteAtMost(20_000) }),
    ...compare(`watching: a scrape of ${POOLS} pools, its text`, 'KiB', kilobytes, { 'a page of memory': cenoteAtMost(200_000 / 1024) }),
  ];
}

async function looks({ rounds }: Effort): Promise<Row[]> {
  const pool = await createPool({ factory, min: SLOTS, max: SLOTS, maxWaiting: WAITERS });
  const held = await Promise.all(Array.from({ length: SLOTS }, () => pool.acquire()));
  const waiting = Array.from({ length: WAITERS }, () => pool.acquire());
  const figures = await interleave(['cenote', 'stats()'], rounds, (name) =>
    timed(async () => void (name === 'cenote' ? inspect(pool) : pool.stats())),
  );
  for (const each of held) pool.release(each);
  for (const each of waiting) pool.release(await each);
  await pool.close();
  return compare(`watching: inspect, ${SLOTS} slots, ${WAITERS} waiters`, 'us', figures, { 'stats()': cenoteAtMost(20_000) });
}

/** On a thread that is let to do so while the owner, this thread, runs a loop. */
async function fromElsewhere({ rounds }: Effort): Promise<Row[]> {
  const pool = await createPool({ factory, min: 2, max: 2 });
  const figures = await withThreads(2, async ([watcher, borrower]) => {
    const flags = new Int32Array(new SharedArrayBuffer(8));
    const borrowing = borrower.run(import.meta.url, 'borrow', [pool.handle, flags]);
    const watched = watcher.run<number[]>(import.meta.url, 'watch', [pool.handle, flags, Math.min(rounds, 5)]);
    while (Atomics.load(flags, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const end = performance.now() + (rounds > 5 ? BLOCKED : BLOCKED / 10);
    while (performance.now() < end);
    const times = await watched;
    Atomics.store(flags, 1, 1);
    await borrowing;
    return { cenote: times, 'the owner in a loop': times.map(() => BLOCKED * 1000) };
  });
  await pool.close();
  return compare('watching: a scrape while the owner is busy', 'us', figures, { 'the owner in a loop': cenoteAtMost(50_000) });
}

export async function watch(handle: PoolHandle<object>, flags: Int32Array, times: number): Promise<number[]> {
  const pool = await attachPool(handle);
  const registry = prometheus([pool], { registry: new Registry() });
  await registry.metrics();
  Atomics.store(flags, 0, 1);
  const figures: number[] = [];
  for (let i = 0; i < times; i++) figures.push(await timed(() => registry.metrics()));
  await pool.detach();
  return figures;
}

export async function borrow(handle: PoolHandle<object>, flags: Int32Array): Promise<void> {
  const pool = await attachPool(handle);
  while (Atomics.load(flags, 1) === 0) pool.release(pool.acquireSync());
  await pool.detach();
}

/** Microseconds. */
async function timed(body: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await body();
  return (performance.now() - started) * 1000;
}

const closeAll = async (pools: readonly Pool<object>[]): Promise<void> => void (await Promise.all(pools.map((pool) => pool.close())));
