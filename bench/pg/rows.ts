/** What a run comes to: for each work and number of threads, a figure of each way in each round. All else is made of these. */
import { divide, quantile } from '../frame/rounds.ts';
import type { Work } from './works.ts';

export type Measure =
  | 'rate'
  | 'p99'
  | 'longest block'
  | 'owner per query'
  | 'connections'
  | 'memory'
  | 'sequelize'
  | 'sequelize failures'
  | 'bare';

export interface Row {
  readonly measure: Measure;
  /** Undefined for what the server has after all work, and for bare experiments. */
  readonly work: Work | undefined;
  readonly threads: number;
  /** By way, or by experiment. Empty where the system does not tell. */
  readonly rounds: Readonly<Record<string, readonly number[]>>;
}

export interface Spread {
  readonly median: number;
  readonly quartiles: readonly [number, number];
}

/** Undefined where the system does not tell, and where the way was not asked. */
export function spreadOf(figures: readonly number[] | undefined): Spread | undefined {
  if (figures === undefined || figures.length === 0) return undefined;
  const [low, median, high] = [0.25, 0.5, 0.75].map((share) => quantile(figures, share));
  return { median, quartiles: [low, high] };
}

/** One way over another, within each round. */
export function ratioIn({ rounds }: Row, over: string, under: string): Spread | undefined {
  const [above, below] = [rounds[over], rounds[under]];
  return above === undefined || below === undefined ? undefined : spreadOf(divide(above, below).filter(Number.isFinite));
}

/** By how much, in per cent, half of all rates differ from what the same way did in the round before: the noise of the machine. */
export function noiseOf(rows: readonly Row[]): number | undefined {
  const steps = rows
    .filter(({ measure }) => measure === 'rate')
    .flatMap(({ rounds }) => Object.values(rounds))
    .flatMap((rates) => rates.slice(1).map((rate, before) => Math.abs(rate / rates[before] - 1) * 100));
  return spreadOf(steps)?.median;
}
