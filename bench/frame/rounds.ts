/** Interleaved rounds: what disturbs the machine for a while disturbs every contender, and a ratio within one round survives it. */
import { setImmediate as breathe } from 'node:timers/promises';
import { Bench } from 'tinybench';
import type { Goals } from './goals.ts';
import type { Effort, Row, Unit } from './question.ts';

/** One figure for each round, by contender. */
export type Figures = Readonly<Record<string, readonly number[]>>;

/** Operations in one sample: reading the clock costs as much as several of them. */
export const BATCH = 1000;
const NS_IN_MS = 1e6;

export interface Contender {
  readonly async: boolean;
  /** Operations in one `run`. Default BATCH. */
  readonly ops?: number;
  run(): unknown;
}

/** Nanoseconds an operation: the median of a slice's samples, for each contender in each round. One round more runs first, and is forgotten. */
export async function measure(contenders: Readonly<Record<string, Contender>>, { rounds, slice }: Effort): Promise<Figures> {
  return interleave(Object.keys(contenders), rounds, async (name) => {
    // A bench of its own for each slice: tinybench runs the tasks of one bench one after the other, to the end.
    const { run, async, ops = BATCH } = contenders[name];
    const bench = new Bench({ time: slice, iterations: 3, warmup: false, throws: true });
    bench.add(name, run as () => void, { async });
    const [task] = await bench.run();
    const { result } = task;
    if (result.state !== 'completed') throw new Error(`${name}: ${result.state}`);
    return (result.latency.p50 * NS_IN_MS) / ops;
  });
}

/** Runs every contender once a round, each round beginning with another one. */
export async function interleave(names: readonly string[], rounds: number, once: (name: string) => Promise<number>): Promise<Figures> {
  const figures: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round + 1) % names.length];
      const figure = await once(name);
      if (round >= 0) figures[name].push(figure);
      // A loop of promises alone keeps signals and timers waiting.
      await breathe();
    }
  }
  return figures;
}

/** The first contender against each of the others. */
export function compare(question: string, unit: Unit, figures: Figures, goals: Goals = {}): Row[] {
  const [ours, ...rivals] = Object.keys(figures);
  const unknown = Object.keys(goals).find((rival) => !rivals.includes(rival));
  if (unknown !== undefined) throw new Error(`${question} has a goal against ${unknown}, which was not measured`);
  return rivals.map((rival) => {
    // A round in which the rival came to nothing has no ratio: it is left out, unless most rounds are like that.
    const rounds = divide(figures[ours], figures[rival]);
    const ratios = rounds.filter(Number.isFinite);
    const known = ratios.length > 0 && ratios.length * 2 >= rounds.length;
    const measured = {
      question,
      unit,
      cenote: quantile(figures[ours], 0.5),
      rival,
      figure: quantile(figures[rival], 0.5),
      ratio: known ? quantile(ratios, 0.5) : null,
      quartiles: known ? ([quantile(ratios, 0.25), quantile(ratios, 0.75)] as const) : null,
    };
    const goal = goals[rival];
    return { ...measured, goal: goal?.says(measured) ?? null, met: goal?.isMet(measured) ?? null };
  });
}

/** Round by round. */
export function divide(over: readonly number[], under: readonly number[]): number[] {
  return over.map((figure, round) => figure / under[round]);
}

/** The same figures in another unit. */
export function scale(figures: Figures, by: number): Figures {
  return Object.fromEntries(Object.entries(figures).map(([name, values]) => [name, values.map((value) => value * by)]));
}

/** The median is 0.5. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)];
  return low + (sorted[Math.ceil(at)] - low) * (at % 1);
}
