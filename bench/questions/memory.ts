/**
 * What does a pool weigh? Ten resources, as many threads as may attach by default (64) and as many waiters (1,024).
 *
 * The control block is one SharedArrayBuffer, whose size is known. What hangs on it on the heap of each thread is measured: a number of pools, attachments or waiters, between two
 * collections, divided by how many they are. Against generic-pool, one in every thread. Nothing is closed before all has been weighed.
 */
import { createPool, type PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import genericPool from 'generic-pool';
import { growthOf } from '../frame/heap.ts';
import { inProcess } from '../frame/process.ts';
import type { Question, Row } from '../frame/question.ts';
import { compare, type Figures, interleave, scale } from '../frame/rounds.ts';
import { startBareThread, withThreads } from '../frame/thread.ts';

const MAX = 10;
const THREADS = 64;
const WAITERS = 1024;
/** Pools, attachments and threads at a time, to be divided by. */
const MANY = 40;
const FEW = 4;

const RIVAL = 'generic-pool';
const CONTENDERS = ['cenote', RIVAL] as const;

interface Weights {
  /** Heap of a pool on its owner, of what a thread has of it, and of the waiters of one pool. Bytes. */
  readonly owner: Figures;
  readonly thread: Figures;
  readonly waiters: Figures;
  /** What the process grows by with an idle thread, as the system sees it. */
  readonly resident: readonly number[];
  readonly block: number;
}

export const memory: Question = {
  name: 'memory',
  asks: 'memory of a pool of 10 for 64 threads and 1,024 waiters, over a pool in every thread',
  async run({ rounds }): Promise<Row[]> {
    // What the engine throws away meanwhile can outweigh a pool, twice in a row: never few rounds, so that the median is of pools.
    const weights = await inProcess<Weights>(import.meta.url, 'weigh', [Math.max(5, Math.ceil(rounds / 3))]);
    const inKiB = (figures: Figures): Figures => scale(figures, 1 / 1024);
    const [owner, thread, waiters] = [weights.owner, weights.thread, weights.waiters].map(inKiB);
    const block = owner.cenote.map(() => weights.block / 1024);
    const everywhere = {
      cenote: owner.cenote.map((own, round) => own + block[round] + THREADS * thread.cenote[round]),
      [`${RIVAL}, one in each`]: thread[RIVAL].map((each) => THREADS * each),
    };
    return [
      ...compare('memory: control block', 'KiB', {
        cenote: block,
        'an idle thread of Node, resident': weights.resident.map((bytes) => bytes / 1024),
      }),
      ...compare('memory: heap of the owner', 'KiB', owner),
      ...compare('memory: heap of each thread', 'KiB', thread),
      ...compare(`memory: block and heaps, ${THREADS} threads`, 'KiB', everywhere),
      ...compare(`memory: heap of ${WAITERS.toLocaleString('en')} waiters`, 'KiB', waiters),
    ];
  },
};

// ── in a process of its own

export async function weigh(rounds: number): Promise<Weights> {
  const owner = await interleave(CONTENDERS, rounds, async (name) => {
    const grown = await growthOf(() => times<unknown>(MANY, name === 'cenote' ? makeCenote : makeGeneric));
    return grown / MANY;
  });
  const waiters = await interleave(CONTENDERS, rounds, async (name) => {
    const acquire = name === 'cenote' ? await exhaustedCenote() : await exhaustedGeneric();
    return growthOf(async () => kept.push(Array.from({ length: WAITERS }, acquire)));
  });
  const thread = await withThreads(1, ([one]) =>
    interleave(CONTENDERS, rounds, async (name) => {
      const handles = name === 'cenote' ? (await times(MANY, makeCenote)).map((pool) => pool.handle) : [];
      return (await one.run<number>(import.meta.url, name === 'cenote' ? 'attachMany' : 'makeMany', [handles])) / MANY;
    }),
  );
  const resident: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = process.memoryUsage.rss();
    await times(FEW, startBareThread);
    resident.push((process.memoryUsage.rss() - before) / FEW);
  }
  const block = (await makeCenote()).handle.buffer.byteLength;
  return { owner, thread, waiters, resident, block };
}

/** So that nothing of it is garbage. */
const kept: unknown[] = [];

async function times<V>(count: number, make: () => Promise<V>): Promise<V[]> {
  const made: V[] = [];
  kept.push(made);
  for (let i = 0; i < count; i++) made.push(await make());
  return made;
}

const makeCenote = () => createPool({ factory: () => ({}), min: MAX, max: MAX });

async function makeGeneric() {
  const pool = genericPool.createPool({ create: async () => ({}), destroy: async () => {} }, { min: MAX, max: MAX });
  await pool.ready();
  return pool;
}

async function exhaustedCenote(): Promise<() => Promise<object>> {
  const pool = await makeCenote();
  await times(MAX, () => pool.acquire());
  return () => pool.acquire();
}

async function exhaustedGeneric(): Promise<() => PromiseLike<object>> {
  const pool = await makeGeneric();
  await times(MAX, async () => pool.acquire());
  return () => pool.acquire();
}

// ── on a thread

export const attachMany = (handles: readonly PoolHandle<object>[]): Promise<number> =>
  growthOf(async () => {
    for (const handle of handles) kept.push(await attachPool(handle));
  });

export const makeMany = (): Promise<number> => growthOf(() => times(MANY, makeGeneric));
