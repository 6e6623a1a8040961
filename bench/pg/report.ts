/** All that a run prints: which goals are reached, the tables, and what they were taken on. */
import type { Machine } from '../frame/table.ts';
import { TURNS } from './bare/turns.ts';
import { type Reached, reachedIn } from './goals.ts';
import type { Measured } from './measure.ts';
import type { Effort } from './plan.ts';
import { noiseOf, type Spread } from './rows.ts';
import { markdown, number, ratio, tables } from './tables.ts';

export interface Run extends Measured {
  readonly machine: Machine;
  readonly postgres: string;
  readonly effort: Effort;
  /** Constants that were changed. */
  readonly set: readonly string[];
}

export const REACH = 'Reach';

export const report = (run: Run): string => [reach(run), tables(run.rows), footer(run)].join('\n\n');

/** The same for a page, on which the tables are unfolded by those who want them. */
export const forPage = (run: Run): string =>
  [
    reach(run),
    footer(run),
    '<details>\n<summary>All tables: every work, way and number of threads, and what limits them</summary>',
    tables(run.rows),
    '</details>',
  ].join('\n\n');

const HEAD = ['work', 'threads', 'figure', 'goal', 'measured', 'half of the rounds', 'met', '4 in all', TURNS];
const TEXTS = new Set(['work', 'figure', 'goal', 'half of the rounds', 'met']);

/** Goals of which the run says nothing are only counted. */
export function reach({ rows }: Pick<Run, 'rows'>): string {
  const all = reachedIn(rows);
  const lines = all.flatMap((reached) => (reached.spread === undefined ? [] : [lineOf(reached, reached.spread)]));
  const left = all.length - lines.length;
  return [
    ...(lines.length === 0 ? [] : [`**${REACH}**`, markdown([HEAD, ...lines], TEXTS)]),
    ...(left === 0 ? [] : [`Goals that this run has not measured: ${left}.`]),
  ].join('\n\n');
}

function lineOf({ goal, threads, isMet, isClose, unshared, turns }: Reached, spread: Spread): string[] {
  const { measure, work, over, is, limit } = goal;
  const write = over === undefined ? number : ratio;
  const figure =
    over !== undefined
      ? `rate over ${over}`
      : measure === 'owner per query'
        ? 'CPU of the main thread for a query, us'
        : 'queries that failed';
  const from = measure === 'rate' || measure === 'owner per query' ? work : `${work}, Sequelize`;
  return [
    ...[from, String(threads), figure, `${is} ${over === undefined ? limit : ratio(limit)}`],
    write(spread.median),
    spread.quartiles.map(write).join(' to '),
    `${isMet ? 'yes' : 'NO'}${isClose ? ', within the noise' : ''}`,
    unshared === undefined ? '-' : ratio(unshared),
    turns === undefined ? '-' : ratio(turns),
  ];
}

export function footer({ machine, postgres, effort, set, rows, lending }: Run): string {
  const { cpu, cores, node, platform, load } = machine;
  const noise = noiseOf(rows);
  return [
    `Medians of ${effort.rounds} rounds of ${effort.slice} ms for each way, after ${effort.warm} ms of warming up; ${effort.lanes} under way on each thread.`,
    ...(noise === undefined
      ? []
      : [`Noise: half of all rates differ by more than ${Math.round(noise)} % from those of the same way a round before.`]),
    ...(set.length === 0 ? [] : [`Not as it is: ${set.join(', ')}.`]),
    ...Object.entries(lending).map(([way, said]) => `pool.lending of ${way}: ${said.join('; ')}.`),
    `${cores} cores of ${cpu}, node ${node}, ${platform}, PostgreSQL ${postgres}. Load before the run: ${load}.`,
  ].join('\n');
}
