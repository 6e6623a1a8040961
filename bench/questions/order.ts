/**
 * Is anybody overtaken? Seen from outside, with tickets of the benchmark's own, and only what is certain counts.
 *
 * One shared counter is drawn from three times for each borrow: before asking, when the asking is done (an asynchronous acquire has joined the line when it returns its promise), and
 * when it was served. Who had finished asking before somebody else began is ahead of them; and was overtaken if they were served first. What the system puts aside between ticket and
 * line cannot accuse anybody, since the order of the two is then not certain.
 *
 * With several slots whoever was given one may be slow to wake and draw its number late. That explains one older waiter without a slot for each of the other slots; so somebody has
 * jumped the line only if at least as many older ones as there are slots were served after it.
 *
 * Every other thread borrows synchronously. It cannot say when it had joined, so it can be caught overtaking, but not count as overtaken.
 */
import type { MessagePort } from 'node:worker_threads';
import { createPool, type PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import { cenoteAtMost } from '../frame/goals.ts';
import { heat, Runner } from '../frame/heat.ts';
import { hold } from '../frame/hold.ts';
import {
  bargingPermits,
  bargingPermitsLater,
  bargingWords,
  PermitDesk,
  permitsByMessage,
  permitsByMessageLater,
} from '../frame/permits.ts';
import type { Question, Row } from '../frame/question.ts';
import { compare, interleave } from '../frame/rounds.ts';
import { type BenchThread, withThreads } from '../frame/thread.ts';

const CASES = [
  { count: 4, slots: 1 },
  { count: 6, slots: 2 },
] as const;
const HOLD_US = 20;
const CONTENDERS = ['cenote', 'permits by message', 'barging mutex'] as const;
type Contender = (typeof CONTENDERS)[number];

/** Borrows of one thread in one slice: more are not written down, and end it. Numbers to a borrow: began to ask, had asked, was served. */
const MOST = 20_000;
const ASKED = 1;
const SERVED = 2;
const NUMBERS = 3;

export const order: Question = {
  name: 'order',
  asks: 'borrows that were overtaken by one that began later, threads waiting synchronously and asynchronously',
  async run(effort): Promise<Row[]> {
    const rows: Row[] = [];
    for (const { count, slots } of CASES)
      rows.push(...(await withThreads(count, (threads) => race(threads, slots, Math.ceil(effort.rounds * 0.6), effort.slice * 3))));
    return rows;
  },
};

async function race(threads: readonly BenchThread[], slots: number, rounds: number, slice: number): Promise<Row[]> {
  const pool = await createPool({ factory: () => ({}), min: slots, max: slots });
  const desk = new PermitDesk(slots, threads.length);
  const words = bargingWords(slots);
  await Promise.all(
    threads.map((thread, me) => {
      const port = desk.open(me);
      return thread.run(import.meta.url, 'setUp', [pool.handle, port, desk.bells, me, words], [port]);
    }),
  );
  const borrows: Record<string, number> = Object.fromEntries(CONTENDERS.map((name) => [name, 0]));
  const overtakings = { ...borrows };
  await interleave(CONTENDERS, rounds, async (name) => {
    const logs = threads.map(() => new Int32Array(new SharedArrayBuffer(MOST * NUMBERS * Int32Array.BYTES_PER_ELEMENT)));
    const counter = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    await heat(threads, import.meta.url, 'work', [name, counter, logs], slice);
    borrows[name] += logs.reduce((sum, log) => sum + lengthOf(log), 0);
    overtakings[name] += jumped(logs, slots);
    return 0;
  });
  desk.close();
  await pool.close();
  if (borrows.cenote === 0) throw new Error('nobody was served');
  // One figure for all rounds: what is rare is not in a median.
  const figures = Object.fromEntries(CONTENDERS.map((name) => [name, [(overtakings[name] / borrows[name]) * 1000]]));
  return compare(`order: ${threads.length} threads on ${slots}, out of line`, 'per 1,000', figures, {
    'permits by message': cenoteAtMost(0),
  });
}

const lengthOf = (log: Int32Array): number => {
  let borrows = 0;
  while (borrows < MOST && log[borrows * NUMBERS + SERVED] !== 0) borrows++;
  return borrows;
};

/** How many borrows were certainly served ahead of somebody who was in line before. A thread has one borrow under way at a time. */
export function jumped(logs: readonly Int32Array[], slots: number): number {
  let count = 0;
  for (const mine of logs) {
    // Of each thread, the first borrow that was served after the one that is looked at.
    const at = logs.map(() => 0);
    for (let borrow = 0; borrow < lengthOf(mine); borrow++) {
      const began = mine[borrow * NUMBERS];
      const served = mine[borrow * NUMBERS + SERVED];
      let passed = 0;
      for (const [thread, theirs] of logs.entries()) {
        if (theirs === mine) continue;
        while (at[thread] < lengthOf(theirs) && theirs[at[thread] * NUMBERS + SERVED] < served) at[thread]++;
        if (at[thread] < lengthOf(theirs) && theirs[at[thread] * NUMBERS + ASKED] < began) passed++;
      }
      if (passed >= slots) count++;
    }
  }
  return count;
}

// ── on each thread

interface Way {
  acquire(): unknown;
  release(permit: unknown): void;
}

const ways = new Map<Contender, Way>();
/** Whether this thread waits on its event loop. */
let isLater = false;

export async function setUp(
  handle: PoolHandle<object>,
  port: MessagePort,
  bells: Int32Array,
  me: number,
  words: Int32Array,
): Promise<void> {
  isLater = me % 2 === 0;
  const pool = await attachPool(handle);
  ways.set('cenote', {
    acquire: isLater ? () => pool.acquire() : () => pool.acquireSync(),
    release: (resource) => pool.release(resource as object),
  });
  ways.set('permits by message', (isLater ? permitsByMessageLater(port) : permitsByMessage(port, bells, me)) as Way);
  ways.set('barging mutex', (isLater ? bargingPermitsLater(words) : bargingPermits(words)) as Way);
}

export async function work(
  contender: Contender,
  counter: Int32Array,
  logs: readonly Int32Array[],
  me: number,
  signals: Int32Array,
): Promise<void> {
  const way = ways.get(contender)!;
  const log = logs[me];
  // Numbers begin at 1: 0 is not written yet.
  const draw = (): number => Atomics.add(counter, 0, 1) + 1;
  const runner = new Runner(me, signals);
  runner.start();
  for (let borrow = 0; borrow < MOST && !runner.stopped(); borrow++) {
    const at = borrow * NUMBERS;
    log[at] = draw();
    const asked = way.acquire();
    const isAsked = draw();
    const permit = isLater ? await asked : asked;
    const served = draw();
    hold(HOLD_US);
    way.release(permit);
    // Together, and last what says that it is there.
    log[at + ASKED] = isLater ? isAsked : served;
    log[at + SERVED] = served;
  }
}
