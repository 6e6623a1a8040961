/** Everything that is asked, of every way, in interleaved rounds. */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { divide, interleave, quantile } from '../frame/rounds.ts';
import { withThreads } from '../frame/thread.ts';
import { type Observer, privateMemory } from './observer.ts';
import { ON_MAIN, openRoad, type Road, type Server, WAYS, type Way } from './ways.ts';
import { LARGE_RESULTS, tableOf, WORKS, type Work } from './works.ts';

export interface Effort {
  readonly threads: readonly number[];
  /** Queries, or transactions, that each thread has under way. */
  readonly lanes: number;
  /** One more runs first, and is forgotten. */
  readonly rounds: number;
  /** Milliseconds for one way in one round. */
  readonly slice: number;
}

export const FULL: Effort = { threads: [1, 2, 4, 8], lanes: 4, rounds: 5, slice: 500 };
/** Shows that everything runs; its figures mean little. */
export const QUICK: Effort = { threads: [1], lanes: 4, rounds: 1, slice: 40 };

export type Measure = 'rate' | 'p99' | 'longest block' | 'owner per query' | 'connections' | 'memory';

/** One line of a table: every way that was asked. Figures are medians of the rounds, and null where there is no telling. */
export interface Row {
  readonly measure: Measure;
  readonly unit: '/s' | 'ms' | 'us' | '' | 'MiB';
  /** Undefined for what the server has after all of them. */
  readonly work: Work | undefined;
  readonly threads: number;
  readonly figures: Partial<Record<Way, number | null>>;
  /** cenote / this way, within a round; the median. */
  readonly ratios: Partial<Record<Way, number | null>>;
}

interface Sample {
  readonly rate: number;
  /** In ms. */
  readonly p99: number;
  /** The longest that the main thread's event loop was not to be had, in ms. */
  readonly block: number;
  /** What the main thread computed for each query, in us. NaN where the system does not tell. */
  readonly owner: number;
}

export async function measureAll(
  server: Server,
  observer: Observer,
  isLocal: boolean,
  effort: Effort,
  say: (line: string) => void,
): Promise<Row[]> {
  await observer.run(tableOf(server.schema));
  const rows: Row[] = [];
  for (const count of effort.threads)
    await withThreads(count, async (threads) => {
      const roads = new Map<Way, Road>();
      for (const way of [...WAYS, ON_MAIN] as const) roads.set(way, await openRoad(way, server, threads));
      for (const work of Object.keys(WORKS) as Work[]) {
        say(`${work}, ${count === 1 ? '1 thread' : `${count} threads`} ...`);
        rows.push(...(await measure(work, count, roads, effort)));
      }
      rows.push(...(await weigh(observer, isLocal, count)));
      for (const road of roads.values()) await road.close();
    });
  return rows;
}

async function measure(work: Work, threads: number, roads: ReadonlyMap<Way, Road>, { lanes, rounds, slice }: Effort): Promise<Row[]> {
  const isLarge = work === LARGE_RESULTS;
  const ways: readonly Way[] = isLarge ? [...WAYS, ON_MAIN] : WAYS;
  const samples = Object.fromEntries(ways.map((way) => [way, [] as Sample[]])) as Record<Way, Sample[]>;
  await interleave(ways, rounds, async (way) => {
    const sample = await once(roads.get(way as Way)!, work, lanes, slice);
    samples[way as Way].push(sample);
    return sample.rate;
  });
  const row = (measure: Measure, unit: Row['unit'], among: readonly Way[], figure: (sample: Sample) => number): Row => {
    // The first round is not counted by `interleave` either.
    const of = (way: Way): number[] => samples[way].slice(1).map(figure);
    const entries = among.map((way) => [way, of(way)] as const);
    return {
      ...{ measure, unit, work, threads },
      figures: Object.fromEntries(entries.map(([way, values]) => [way, median(values)])),
      ratios: Object.fromEntries(entries.slice(1).map(([way, values]) => [way, median(divide(of('cenote'), values))])),
    };
  };
  // With a pool in each thread, the main thread has nothing to do.
  const busy = ways.filter((way) => way !== 'a pool in each');
  return [
    row('rate', '/s', WAYS, ({ rate }) => rate),
    row('p99', 'ms', WAYS, ({ p99 }) => p99),
    row('owner per query', 'us', busy, ({ owner }) => owner),
    ...(isLarge ? [row('longest block', 'ms', busy, ({ block }) => block)] : []),
  ];
}

function median(values: readonly number[]): number | null {
  const value = quantile(values, 0.5);
  return Number.isFinite(value) ? value : null;
}

const NS_IN_MS = 1e6;
/** Between two looks at the clock, in ms: what the loop is late by is less than this besides. */
const LOOK = 1;

async function once(road: Road, work: Work, lanes: number, slice: number): Promise<Sample> {
  const delay = monitorEventLoopDelay({ resolution: LOOK });
  const before = cpuOfMain();
  delay.enable();
  const outcomes = await road.go(work, lanes, slice);
  delay.disable();
  const cpu = cpuOfMain() - before;
  const latencies = Float64Array.from(outcomes.flatMap((outcome) => [...outcome.latencies]));
  return {
    rate: outcomes.reduce((sum, { perSecond }) => sum + perSecond, 0),
    p99: quantile([...latencies], 0.99),
    block: Math.max(0, delay.max / NS_IN_MS - LOOK),
    owner: cpu / latencies.length,
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

/** What the server has for each way, when all the work has been done. */
async function weigh(observer: Observer, isLocal: boolean, threads: number): Promise<Row[]> {
  const figures: Record<'connections' | 'memory', Partial<Record<Way, number | null>>> = { connections: {}, memory: {} };
  for (const way of WAYS) {
    const pids = await observer.backends(way);
    const bytes = isLocal ? privateMemory(pids) : null;
    figures.connections[way] = pids.length;
    figures.memory[way] = bytes === null ? null : bytes / 1024 / 1024;
  }
  const row = (measure: 'connections' | 'memory', unit: Row['unit']): Row => {
    const { cenote, ...others } = figures[measure];
    const ratios = Object.fromEntries(
      Object.entries(others).map(([way, figure]) => [way, cenote == null || figure == null ? null : cenote / figure]),
    );
    return { measure, unit, work: undefined, threads, figures: figures[measure], ratios };
  };
  return [row('connections', ''), row('memory', 'MiB')];
}
