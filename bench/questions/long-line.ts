/**
 * What does one hand-over cost when a thousand stand in line, over one with ten in line?
 *
 * One resource, and a line that never gets shorter: whoever is served joins again, then gives back. Across threads, two workers take turns in the line, so that every hand-over goes to
 * the other one; within a thread, the owner is the only one. A thousand pending promises cost something by themselves: the rivals show how much.
 */
import type { MessagePort } from 'node:worker_threads';
import { Sema } from 'async-sema';
import { createPool, type PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import genericPool from 'generic-pool';
import { cenoteAtMost, type Goals } from '../frame/goals.ts';
import { heat, Runner, totalOf } from '../frame/heat.ts';
import { PermitDesk, permitsByMessageLater } from '../frame/permits.ts';
import type { Effort, Question, Row } from '../frame/question.ts';
import { BATCH, type Contender, compare, divide, type Figures, interleave, measure, scale } from '../frame/rounds.ts';
import { withThreads } from '../frame/thread.ts';

const LENGTHS = [10, 1000] as const;
const [SHORT, LONG] = LENGTHS;
const THREADS = 2;

export const longLine: Question = {
  name: 'long-line',
  asks: 'one hand-over with 1,000 in line, over one with 10 in line: across threads, and within one',
  async run(effort): Promise<Row[]> {
    const across = await acrossThreads({ rounds: Math.ceil(effort.rounds * 0.6), slice: effort.slice * 3 });
    const within = await withinOne(effort);
    return [...answer('long line, across threads', across), ...answer('long line, within a thread', within)];
  },
};

/** Figures in nanoseconds, named `cenote 10` and so on. */
function answer(question: string, figures: Figures): Row[] {
  const us = scale(figures, 1e-3);
  const contenders = [...new Set(Object.keys(us).map((key) => key.replace(/ \d+$/, '')))];
  const of = (length: number): Figures => Object.fromEntries(contenders.map((name) => [name, us[nameOf(name, length)]]));
  const growth = Object.fromEntries(contenders.map((name) => [name, divide(of(LONG)[name], of(SHORT)[name])]));
  const goals: Goals = { [contenders[1]]: cenoteAtMost(1.5) };
  return [
    ...LENGTHS.flatMap((length) => compare(`${question}: ${length.toLocaleString('en')} in line`, 'us', of(length))),
    ...compare(`${question}: 1,000 over 10`, 'x', growth, goals),
  ];
}

const nameOf = (contender: string, length: number): string => `${contender} ${length}`;

// ── within one thread

/** What stands in line for the one resource, oldest first; and who has it. */
class Standing<R> {
  readonly #acquire: () => Promise<R>;
  readonly #release: (resource: R) => unknown;
  readonly #line: Promise<R>[];
  #next = 0;
  #held: R;

  private constructor(acquire: () => Promise<R>, release: (resource: R) => unknown, held: R, length: number) {
    this.#acquire = acquire;
    this.#release = release;
    this.#held = held;
    this.#line = Array.from({ length }, acquire);
  }

  static async of<R>(length: number, acquire: () => Promise<R>, release: (resource: R) => unknown): Promise<Standing<R>> {
    return new Standing(acquire, release, await acquire(), length);
  }

  async handOver(): Promise<void> {
    const line = this.#line;
    this.#release(this.#held);
    this.#held = await line[this.#next];
    line[this.#next] = this.#acquire();
    if (++this.#next === line.length) this.#next = 0;
  }

  async dissolve(): Promise<void> {
    for (let left = this.#line.length; left > 0; left--) {
      this.#release(this.#held);
      this.#held = await this.#line[this.#next];
      if (++this.#next === this.#line.length) this.#next = 0;
    }
    this.#release(this.#held);
  }
}

async function withinOne(effort: Effort): Promise<Figures> {
  const create = (): object => ({});
  const contenders: Record<string, Contender> = {};
  const ends: (() => Promise<unknown>)[] = [];
  for (const length of LENGTHS) {
    const pool = await createPool({ factory: create, min: 1, max: 1 });
    const sema = new Sema(1, { initFn: create, capacity: length });
    const generic = genericPool.createPool({ create: async () => create(), destroy: async () => {} }, { min: 1, max: 1 });
    const standings = {
      cenote: await Standing.of(
        length,
        () => pool.acquire(),
        (resource) => pool.release(resource),
      ),
      'async-sema': await Standing.of(
        length,
        () => sema.acquire(),
        (token) => sema.release(token),
      ),
      'generic-pool': await Standing.of<object>(
        length,
        async () => generic.acquire(),
        (resource) => generic.release(resource),
      ),
    };
    for (const [name, standing] of Object.entries<Pick<Standing<object>, 'handOver' | 'dissolve'>>(standings)) {
      contenders[nameOf(name, length)] = {
        async: true,
        async run() {
          for (let i = 0; i < BATCH; i++) await standing.handOver();
        },
      };
      ends.push(() => standing.dissolve());
    }
    ends.push(
      () => pool.close(),
      () => generic.drain().then(() => generic.clear()),
    );
  }
  const figures = await measure(contenders, effort);
  for (const end of ends) await end();
  return figures;
}

// ── across threads

async function acrossThreads(effort: Effort): Promise<Figures> {
  const pool = await createPool({ factory: () => ({}), min: 1, max: 1 });
  const desk = new PermitDesk(1, THREADS);
  const names = LENGTHS.flatMap((length) => ['cenote', 'permits by message'].map((name) => nameOf(name, length)));
  const figures = await withThreads(THREADS, async (threads) => {
    await Promise.all(
      threads.map((thread, me) => {
        const port = desk.open(me);
        return thread.run(import.meta.url, 'setUp', [pool.handle, port], [port]);
      }),
    );
    return interleave(names, effort.rounds, async (name) => {
      const [, contender, length] = /^(.*) (\d+)$/.exec(name)!;
      const turn = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
      const done = await heat(threads, import.meta.url, 'takeTurns', [contender, Number(length), turn], effort.slice);
      return (done.seconds * 1e9) / totalOf(done);
    });
  });
  desk.close();
  await pool.close();
  return figures;
}

interface Way {
  acquire(): Promise<unknown>;
  release(resource: unknown): void;
}

const ways = new Map<string, Way>();

export async function setUp(handle: PoolHandle<object>, port: MessagePort): Promise<void> {
  const pool = await attachPool(handle);
  ways.set('cenote', { acquire: () => pool.acquire(), release: (resource) => pool.release(resource as object) });
  ways.set('permits by message', permitsByMessageLater(port) as Way);
}

export async function takeTurns(contender: string, length: number, turn: Int32Array, me: number, signals: Int32Array): Promise<void> {
  const { acquire, release } = ways.get(contender)!;
  const runner = new Runner(me, signals);
  const line: Promise<unknown>[] = [];
  // One after the other, so that the line alternates.
  for (let place = me; place < length; place += THREADS) {
    for (let now = Atomics.load(turn, 0); now !== place; now = Atomics.load(turn, 0)) Atomics.wait(turn, 0, now);
    line.push(acquire());
    Atomics.add(turn, 0, 1);
    Atomics.notify(turn, 0);
  }
  runner.start();
  let first = 0;
  const next = (): void => {
    if (++first === line.length) first = 0;
  };
  while (!runner.stopped()) {
    const resource = await line[first];
    // First in line again, then out of the way: the other one joins after us.
    line[first] = acquire();
    release(resource);
    next();
    runner.count();
  }
  for (let left = line.length; left > 0; left--, next()) release(await line[first]);
}
