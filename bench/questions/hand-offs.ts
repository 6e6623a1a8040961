/** How many resources change hands in a second when more threads want one than there are, and does every thread get its share? */

import { setTimeout as sleep } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { createPool, type PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import { bargingPermits, bargingWords, PAD, PermitDesk, type Permits, permitsByMessage } from '../frame/permits.ts';
import type { Effort, Question, Row } from '../frame/question.ts';
import { compare, type Figures, interleave } from '../frame/rounds.ts';
import { type BenchThread, withThreads } from '../frame/thread.ts';

const CASES = [
  { count: 2, slots: 1 },
  { count: 4, slots: 2 },
] as const;
const HOLDS_US = [1, 20] as const;
const CONTENDERS = ['cenote', 'permits by message', 'barging mutex'] as const;
type Contender = (typeof CONTENDERS)[number];

/** Words of `signals`: how many threads are ready; 1 go, 2 stop; then a line for each thread's count. */
const READY = 0;
const PHASE = 1;
const GO = 1;
const STOP = 2;
const countOf = (thread: number): number => (thread + 1) * PAD;

export const handOffs: Question = {
  name: 'hand-offs',
  asks: 'contended synchronous hand-offs between threads, and how evenly they are shared',
  async run(effort): Promise<Row[]> {
    const rows: Row[] = [];
    // A slice is spread over threads that have to wake each other: it takes longer to tell anything.
    const longer = { ...effort, rounds: Math.ceil(effort.rounds * 0.6), slice: effort.slice * 3 };
    for (const { count, slots } of CASES) rows.push(...(await withThreads(count, (threads) => contend(threads, slots, longer))));
    return rows;
  },
};

async function contend(threads: readonly BenchThread[], slots: number, effort: Effort): Promise<Row[]> {
  const pool = await createPool({ factory: () => ({}), min: slots, max: slots });
  const desk = new PermitDesk(slots, threads.length);
  const words = bargingWords(slots);
  await Promise.all(
    threads.map((thread, me) => {
      const port = desk.open(me);
      return thread.run(import.meta.url, 'setUp', [pool.handle, port, desk.bells, me, words], [port]);
    }),
  );
  const rows: Row[] = [];
  for (const hold of HOLDS_US) {
    const shares: Record<string, number[]> = Object.fromEntries(CONTENDERS.map((name) => [name, []]));
    const rates = await interleave(CONTENDERS, effort.rounds, async (name) => {
      const { perSecond, unevenness } = await heat(threads, name as Contender, hold, effort.slice);
      shares[name].push(unevenness);
      return perSecond;
    });
    const question = `hand-offs: ${threads.length} threads on ${slots}, ${hold} us`;
    // The first round is not counted in `rates` either.
    const evenness: Figures = Object.fromEntries(Object.entries(shares).map(([name, values]) => [name, values.slice(1)]));
    rows.push(...compare(question, '/s', rates), ...compare(`${question}: shares`, 'max/min', evenness));
  }
  desk.close();
  await pool.close();
  return rows;
}

/** One contender for one slice. */
async function heat(
  threads: readonly BenchThread[],
  contender: Contender,
  hold: number,
  slice: number,
): Promise<{ perSecond: number; unevenness: number }> {
  const signals = new Int32Array(new SharedArrayBuffer(countOf(threads.length) * Int32Array.BYTES_PER_ELEMENT));
  const done = Promise.all(threads.map((thread, me) => thread.run(import.meta.url, 'work', [contender, hold, me, signals])));
  while (Atomics.load(signals, READY) < threads.length) await Promise.race([sleep(1), done]);
  const started = performance.now();
  Atomics.store(signals, PHASE, GO);
  Atomics.notify(signals, PHASE);
  await Promise.race([sleep(slice), done]);
  Atomics.store(signals, PHASE, STOP);
  const seconds = (performance.now() - started) / 1000;
  const counts = threads.map((_, me) => Atomics.load(signals, countOf(me)));
  await done;
  return {
    perSecond: counts.reduce((sum, count) => sum + count, 0) / seconds,
    unevenness: Math.max(...counts) / Math.max(1, Math.min(...counts)),
  };
}

// ── on each thread

const ways = new Map<Contender, Permits>();

export async function setUp(
  handle: PoolHandle<object>,
  port: MessagePort,
  bells: Int32Array,
  me: number,
  words: Int32Array,
): Promise<void> {
  const pool = await attachPool(handle);
  let held: ReturnType<typeof pool.acquireSync>;
  ways.set('cenote', {
    acquire() {
      held = pool.acquireSync();
      return 0;
    },
    release: () => pool.release(held),
  });
  ways.set('permits by message', permitsByMessage(port, bells, me));
  ways.set('barging mutex', bargingPermits(words));
}

export function work(contender: Contender, hold: number, me: number, signals: Int32Array): void {
  const way = ways.get(contender)!;
  const mine = countOf(me);
  Atomics.add(signals, READY, 1);
  while (Atomics.load(signals, PHASE) === 0) Atomics.wait(signals, PHASE, 0);
  while (Atomics.load(signals, PHASE) !== STOP) {
    const permit = way.acquire();
    const end = performance.now() + hold / 1000;
    while (performance.now() < end);
    way.release(permit);
    Atomics.store(signals, mine, signals[mine] + 1);
  }
}
