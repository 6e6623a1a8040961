/**
 * How many resources change hands in a second when more threads want one than there are, and does every thread get its share?
 *
 * To hold is to watch the clock, but for one case, in which holders sleep as if they waited for a server. So holders compete for the cores: with as many slots as cores, whoever is to wake next has to wait for a core too. That is so for all contenders;
 * but permits by message need the main thread besides, which has a core to itself only where there are more cores than slots.
 *
 * Beside the rivals, `bare turns`: each thread passes its permit to one that is fixed beforehand, so nothing is done but what every strict hand-over must do, which is to wake the
 * other one. With a line, whoever is not in it at a moment is not waited for; so short holds may well be quicker than that.
 */
import type { MessagePort } from 'node:worker_threads';
import { createPool, type PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import { cenoteAtMost, type Goals, timesAsFast } from '../frame/goals.ts';
import { heat, Runner, totalOf } from '../frame/heat.ts';
import { hold, sleep } from '../frame/hold.ts';
import {
  bareTurns,
  bargingPermits,
  bargingWords,
  dealTurns,
  PermitDesk,
  type Permits,
  permitsByMessage,
  turnWords,
} from '../frame/permits.ts';
import type { Effort, Question, Row } from '../frame/question.ts';
import { compare, type Figures, interleave } from '../frame/rounds.ts';
import { type BenchThread, withThreads } from '../frame/thread.ts';

const CONTENDERS = ['cenote', 'permits by message', 'barging mutex', 'bare turns'] as const;
type Contender = (typeof CONTENDERS)[number];

/** `us` is how long one is held, watching the clock or asleep; `times` is the goal: so many times as fast as permits by message. */
interface Case {
  readonly us: number;
  readonly asleep?: boolean;
  readonly times?: number;
}
const CASES: readonly { readonly count: number; readonly slots: number; readonly holds: readonly Case[] }[] = [
  { count: 2, slots: 1, holds: [{ us: 1, times: 10 }, { us: 20 }] },
  {
    count: 4,
    slots: 2,
    holds: [
      { us: 1, times: 8 },
      { us: 20, times: 1.5 },
    ],
  },
  {
    count: 8,
    slots: 4,
    holds: [
      { us: 20, times: 1.2 },
      { us: 1000, asleep: true },
    ],
  },
];
/** With shorter holds a thread does a lot before the one that it has woken is there: shares mean little. Microseconds. */
const EVEN_FROM = 20;
const EVEN: Goals = { 'permits by message': cenoteAtMost(1.3) };

export const handOffs: Question = {
  name: 'hand-offs',
  asks: 'contended synchronous hand-offs between threads, and how evenly they are shared',
  async run(effort): Promise<Row[]> {
    const rows: Row[] = [];
    // A slice is spread over threads that have to wake each other: it takes longer to tell anything.
    const longer = { rounds: Math.ceil(effort.rounds * 0.6), slice: effort.slice * 8 };
    for (const { count, slots, holds } of CASES)
      rows.push(...(await withThreads(count, (threads) => contend(threads, slots, holds, longer))));
    return rows;
  },
};

async function contend(threads: readonly BenchThread[], slots: number, holds: readonly Case[], effort: Effort): Promise<Row[]> {
  const pool = await createPool({ factory: () => ({}), min: slots, max: slots });
  const desk = new PermitDesk(slots, threads.length);
  const words = bargingWords(slots);
  const turns = turnWords(threads.length);
  await Promise.all(
    threads.map((thread, me) => {
      const port = desk.open(me);
      return thread.run(import.meta.url, 'setUp', [pool.handle, port, desk.bells, me, words, turns, slots], [port]);
    }),
  );
  const rows: Row[] = [];
  for (const { us, asleep = false, times } of holds) {
    const shares: Record<string, number[]> = Object.fromEntries(CONTENDERS.map((name) => [name, []]));
    const rates = await interleave(CONTENDERS, effort.rounds, async (name) => {
      dealTurns(turns, slots);
      const done = await heat(threads, import.meta.url, 'work', [name, us, asleep], effort.slice);
      shares[name].push(Math.max(...done.counts) / Math.max(1, Math.min(...done.counts)));
      return totalOf(done) / done.seconds;
    });
    const question = `hand-offs: ${threads.length} threads on ${slots}, ${us} us${asleep ? ' asleep' : ''}`;
    // The first round is not counted in `rates` either.
    const evenness: Figures = Object.fromEntries(Object.entries(shares).map(([name, values]) => [name, values.slice(1)]));
    rows.push(
      ...compare(question, '/s', rates, times === undefined ? {} : { 'permits by message': timesAsFast(times) }),
      ...compare(`${question}: shares`, 'max/min', evenness, us < EVEN_FROM ? {} : EVEN),
    );
  }
  desk.close();
  await pool.close();
  return rows;
}

// ── on each thread

const ways = new Map<Contender, Permits>();
let runner: Runner;

export async function setUp(
  handle: PoolHandle<object>,
  port: MessagePort,
  bells: Int32Array,
  me: number,
  words: Int32Array,
  turns: Int32Array,
  slots: number,
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
  ways.set(
    'bare turns',
    bareTurns(turns, slots, me, () => runner.stopped()),
  );
}

export function work(contender: Contender, us: number, asleep: boolean, me: number, signals: Int32Array): void {
  const way = ways.get(contender)!;
  runner = new Runner(me, signals);
  runner.start();
  while (!runner.stopped()) {
    const permit = way.acquire();
    if (asleep) sleep(us);
    else hold(us);
    way.release(permit);
    runner.count();
  }
}
