/** Asks what is planned, of every way in interleaved rounds. */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { interleave, quantile } from '../frame/rounds.ts';
import { type BenchThread, withThreads } from '../frame/thread.ts';
import { measureBare } from './bare/index.ts';
import { TURNS, turns } from './bare/turns.ts';
import { type Observer, privateMemory } from './observer.ts';
import type { Effort, Part } from './plan.ts';
import { openOnMain, openRoad, type Road } from './road.ts';
import type { Measure, Row } from './rows.ts';
import type { Server } from './way.ts';
import { dealt } from './ways/connections.ts';
import { APART, ON_MAIN, POOL_4, UNSHARED, unshared } from './ways/index.ts';
import { LARGE_RESULTS, POINT_QUERY, TRANSACTION, tablesOf, type Work } from './works.ts';

export interface Measured {
  readonly rows: readonly Row[];
  /** By way: what its pools said of where connections are spoken to, each different answer once. */
  readonly lending: Readonly<Record<string, readonly string[]>>;
}

export class Measurement {
  readonly #server: Server;
  readonly #observer: Observer;
  /** On this machine: what it needs can be seen. */
  readonly #isLocal: boolean;
  readonly #effort: Effort;
  readonly #say: (line: string) => void;
  readonly #rows: Row[] = [];
  readonly #lending: Record<string, string[]> = {};

  constructor(server: Server, observer: Observer, isLocal: boolean, effort: Effort, say: (line: string) => void) {
    this.#server = server;
    this.#observer = observer;
    this.#isLocal = isLocal;
    this.#effort = effort;
    this.#say = say;
  }

  async run(plan: readonly Part[]): Promise<Measured> {
    await this.#observer.run(tablesOf(this.#server.schema));
    for (const part of plan) await withThreads(part.threads, (threads) => this.#part(part, threads));
    return { rows: this.#rows, lending: this.#lending };
  }

  async #part(part: Part, threads: readonly BenchThread[]): Promise<void> {
    const roads = new Map<string, Road>();
    for (const way of part.ways) roads.set(way.name, await openRoad(way, this.#server, threads));
    for (const work of part.works) await this.#work(work, part, roads, threads);
    if (!part.isSequelize) this.#rows.push(...(await this.#weigh(part)));
    for (const [way, road] of roads) this.#note(way, await road.lending());
    for (const road of roads.values()) await road.close();
    if (!part.isWhole) return;
    this.#say(`what limits them, ${threadsOf(part)} ...`);
    this.#rows.push(await measureBare(this.#server, threads, this.#effort));
  }

  async #work(work: Work, part: Part, opened: ReadonlyMap<string, Road>, threads: readonly BenchThread[]): Promise<void> {
    this.#say(`${work}, ${threadsOf(part)}${part.isSequelize ? ', Sequelize' : ''} ...`);
    const isLarge = work === LARGE_RESULTS;
    const guests = part.isWhole ? await this.#guests(work, threads) : new Map<string, Road>();
    const roads = new Map([...opened, ...guests]);
    for (const road of roads.values()) await once(road, work, part.lanes, this.#effort.warm, isLarge);
    const samples = new Map<string, Sample[]>([...roads.keys()].map((way) => [way, []]));
    await interleave([...roads.keys()], this.#effort.rounds, async (way) => {
      const sample = await once(roads.get(way)!, work, part.lanes, this.#effort.slice, isLarge);
      if (sample.failed > 0 && !part.isSequelize) throw new Error(`${way} has failed at ${work}: ${sample.error}`);
      if (sample.failed > 0) this.#say(`  ${way}: ${sample.failed} failed, the first with ${sample.error}`);
      samples.get(way)!.push(sample);
      return sample.rate;
    });
    for (const road of guests.values()) await road.close();
    const row = (measure: Measure, figure: (sample: Sample) => number, ways: Iterable<string> = samples.keys()): void => {
      // The first round is not counted by `interleave` either.
      const of = (way: string): number[] => samples.get(way)!.slice(1).map(figure).filter(Number.isFinite);
      const rounds = Object.fromEntries([...ways].map((way) => [way, of(way)]));
      this.#rows.push({ measure, work, threads: part.threads, rounds });
    };
    if (part.isSequelize) {
      row('sequelize', ({ rate }) => rate);
      row('sequelize failures', ({ failed }) => failed);
      return;
    }
    const inThreads = [...roads.keys()].filter((way) => way !== ON_MAIN.name);
    row('rate', ({ rate }) => rate, inThreads);
    row('p99', ({ p99 }) => p99, inThreads);
    this.#owner(work, part, samples);
    if (isLarge) row('longest block', ({ block }) => block);
  }

  /** Ways that stand beside the others in this work only. */
  async #guests(work: Work, threads: readonly BenchThread[]): Promise<Map<string, Road>> {
    const guests = new Map<string, Road>();
    if (work === LARGE_RESULTS) guests.set(ON_MAIN.name, await openOnMain(ON_MAIN, this.#server, threads.length));
    if (work === POINT_QUERY) {
      const [holders, each] = dealt(threads);
      guests.set(UNSHARED, await openRoad(unshared(each), this.#server, holders));
    }
    const bare = work === POINT_QUERY || work === TRANSACTION ? turns() : undefined;
    if (bare !== undefined) guests.set(TURNS, await openRoad(bare, this.#server, threads));
    return guests;
  }

  /** What the main thread computes for each query, less what it does for the benchmark when it has no part in them. */
  #owner(work: Work, { threads }: Part, samples: ReadonlyMap<string, readonly Sample[]>): void {
    const idle = samples.get(POOL_4);
    const rounds: Record<string, number[]> = {};
    for (const [way, own] of samples) {
      if (APART.includes(way)) continue;
      const each = own.map(({ cpu, count }, round) => Math.max(0, cpu - (idle?.[round].cpu ?? 0)) / count);
      rounds[way] = each.slice(1).filter(Number.isFinite);
    }
    this.#rows.push({ measure: 'owner per query', work, threads, rounds });
  }

  /** What the server has for each way, when all the work has been done. */
  async #weigh({ ways, threads }: Part): Promise<Row[]> {
    const connections: Record<string, number[]> = {};
    const memory: Record<string, number[]> = {};
    for (const { name } of ways) {
      const pids = await this.#observer.backends(name);
      const bytes = this.#isLocal ? privateMemory(pids) : null;
      connections[name] = [pids.length];
      memory[name] = bytes === null ? [] : [bytes / 1024 / 1024];
    }
    return [
      { measure: 'connections', work: undefined, threads, rounds: connections },
      { measure: 'memory', work: undefined, threads, rounds: memory },
    ];
  }

  #note(way: string, said: readonly string[]): void {
    if (said.length > 0) this.#lending[way] = [...new Set([...(this.#lending[way] ?? []), ...said])];
  }
}

const threadsOf = ({ threads }: Part): string => (threads === 1 ? '1 thread' : `${threads} threads`);

interface Sample {
  readonly rate: number;
  /** In ms. */
  readonly p99: number;
  /** The longest that the main thread's event loop was not to be had, in ms. NaN unless it was watched. */
  readonly block: number;
  /** What the main thread has computed, in us. NaN where the system does not tell. */
  readonly cpu: number;
  readonly count: number;
  readonly failed: number;
  readonly error: string | undefined;
}

const NS_IN_MS = 1e6;
/** Between two looks at the clock, in ms. To look more often would cost the main thread more than some ways do. */
const LOOK = 10;

async function once(road: Road, work: Work, lanes: number, slice: number, isWatched: boolean): Promise<Sample> {
  const delay = monitorEventLoopDelay({ resolution: LOOK });
  const before = cpuOfMain();
  if (isWatched) delay.enable();
  const outcomes = await road.go(work, lanes, slice);
  delay.disable();
  const cpu = cpuOfMain() - before;
  const latencies = outcomes.flatMap((outcome) => [...outcome.latencies]);
  return {
    rate: outcomes.reduce((sum, { perSecond }) => sum + perSecond, 0),
    p99: quantile(latencies, 0.99),
    block: isWatched ? Math.max(0, delay.max / NS_IN_MS - LOOK) : Number.NaN,
    cpu,
    count: latencies.length,
    failed: outcomes.reduce((sum, { failed }) => sum + failed, 0),
    error: outcomes.find(({ error }) => error !== undefined)?.error,
  };
}

/** CPU time of the main thread alone, in us: waiting for a core is not in it. */
function cpuOfMain(): number {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]) / 1000;
  } catch {
    return Number.NaN;
  }
}
