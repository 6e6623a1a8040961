/**
 * What does waiting cost the machine? Eight threads want one slot, and whoever has it keeps it for 100 ms, asleep: so they wait nearly all the time.
 *
 * CPU time by the accounts of the system, once of a whole process that starts its threads, waits and ends, and once only of what is spent while everybody waits: there a few
 * milliseconds in a second are all there is, and ratios are large and noisy. To be set against: the same threads when they just sleep, each for 100 ms at a time, or for the whole time
 * at once; permits by message; and trying again every millisecond, which is what one does without a line.
 */
import { setTimeout as later } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { createPool, type PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import { atMost } from '../frame/goals.ts';
import { heat, Runner } from '../frame/heat.ts';
import { PermitDesk, permitsByMessage } from '../frame/permits.ts';
import { inProcess } from '../frame/process.ts';
import type { Effort, Question, Row } from '../frame/question.ts';
import { compare, type Figures, interleave } from '../frame/rounds.ts';
import { type BenchThread, withThreads } from '../frame/thread.ts';

const THREADS = 8;
const HOLD_MS = 100;
const TRY_EVERY_MS = 1;
const PAUSE_MS = 400;

const SLEEP = 'sleep, 100 ms at a time';
const CONTENDERS = ['cenote', SLEEP, 'one long sleep', 'permits by message', 'try every ms'] as const;
type Contender = (typeof CONTENDERS)[number];

export const waiting: Question = {
  name: 'waiting',
  asks: 'CPU time of a process whose 8 threads wait for one slot held for 100 ms at a time, over one that just sleeps',
  async run({ rounds, slice }): Promise<Row[]> {
    // Slices in which every thread has its turn, so that few rounds tell enough.
    const effort: Effort = { rounds: Math.ceil(rounds / 3), slice: slice * 50 };
    const whole = await interleave(['cenote', SLEEP], Math.ceil(rounds / 5), async (name) =>
      inProcess<number>(import.meta.url, 'wholeProcess', [name, effort.slice]),
    );
    const meanwhile = await inProcess<Figures>(import.meta.url, 'meanwhile', [effort]);
    return [
      ...compare('waiting: 8 threads on 1, CPU, whole process', 'ms/s', whole, { [SLEEP]: atMost(1.1) }),
      ...compare('waiting: 8 threads on 1, CPU, meanwhile', 'ms/s', meanwhile, { [SLEEP]: atMost(1.1) }),
    ];
  },
};

// ── in a process of its own

/** CPU time of the process from its start to its end, by the time that it took. */
export async function wholeProcess(contender: Contender, slice: number): Promise<number> {
  await withPool((threads) => heat(threads, import.meta.url, 'work', [contender, slice], slice));
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000 / process.uptime();
}

export async function meanwhile({ rounds, slice }: Effort): Promise<Figures> {
  return withPool(async (threads) => {
    // Code that has seldom run is not compiled, and a hand-over after 100 ms of sleep then takes five times as long: more of it is to be fetched again.
    for (const name of CONTENDERS) await heat(threads, import.meta.url, 'warm', [name, slice], slice);
    return interleave(CONTENDERS, rounds, async (name) => {
      let before = process.cpuUsage();
      let used = 0;
      const { seconds } = await heat(threads, import.meta.url, 'work', [name, slice], slice, {
        begin() {
          before = process.cpuUsage();
        },
        end() {
          const { user, system } = process.cpuUsage(before);
          used = (user + system) / 1000;
        },
      });
      // What compiler and collector still do in the background is not the next one's.
      await later(PAUSE_MS);
      return used / seconds;
    });
  });
}

async function withPool<V>(body: (threads: readonly BenchThread[]) => Promise<V>): Promise<V> {
  const pool = await createPool({ factory: () => ({}), min: 1, max: 1 });
  const desk = new PermitDesk(1, THREADS);
  const value = await withThreads(THREADS, async (threads) => {
    await Promise.all(
      threads.map((thread, me) => {
        const port = desk.open(me);
        return thread.run(import.meta.url, 'setUp', [pool.handle, port, desk.bells, me], [port]);
      }),
    );
    return body(threads);
  });
  desk.close();
  await pool.close();
  return value;
}

// ── on each thread

const ways = new Map<Contender, (sleep: (ms: number) => void, slice: number) => void>();

export async function setUp(handle: PoolHandle<object>, port: MessagePort, bells: Int32Array, me: number): Promise<void> {
  const pool = await attachPool(handle);
  const permits = permitsByMessage(port, bells, me);
  ways.set('cenote', (sleep) => pool.useSync(() => sleep(HOLD_MS)));
  ways.set(SLEEP, (sleep) => sleep(HOLD_MS));
  ways.set('one long sleep', (sleep, slice) => sleep(2 * slice));
  ways.set('permits by message', (sleep) => {
    const permit = permits.acquire();
    sleep(HOLD_MS);
    permits.release(permit);
  });
  ways.set('try every ms', (sleep) => {
    const resource = pool.tryAcquireSync();
    sleep(resource === null ? TRY_EVERY_MS : HOLD_MS);
    if (resource !== null) pool.release(resource);
  });
}

/** What `work` does, with holds of no time at all. */
export function warm(contender: Contender, slice: number, me: number, signals: Int32Array): void {
  const way = ways.get(contender)!;
  const runner = new Runner(me, signals);
  runner.start();
  while (!runner.stopped()) way(() => {}, slice);
}

export function work(contender: Contender, slice: number, me: number, signals: Int32Array): void {
  const way = ways.get(contender)!;
  const runner = new Runner(me, signals);
  const sleep = (ms: number): void => runner.sleep(ms);
  runner.start();
  while (!runner.stopped()) {
    way(sleep, slice);
    runner.count();
  }
}
