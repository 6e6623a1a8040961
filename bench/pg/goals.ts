/** What cenote is to reach beside the others. Set before it was measured. */
import { TURNS } from './bare/turns.ts';
import type { Measure, Row } from './rows.ts';
import { ratioIn, type Spread, spreadOf } from './rows.ts';
import { CENOTE, POOL_1, POOL_4, SEQUELIZE, SEQUELIZE_ALONE, UNSHARED } from './ways/index.ts';
import { POINT_QUERY, TRANSACTION, type Work } from './works.ts';

export interface Goal {
  readonly measure: Measure;
  readonly work: Work;
  readonly threads: readonly number[];
  /** Whose figure it is. */
  readonly way: string;
  /** Beside which other, in the same round. Undefined: the figure itself counts, at the worst of these numbers of threads. */
  readonly over: string | undefined;
  readonly is: 'at least' | 'at most';
  readonly limit: number;
}

/** Sequelize runs with so many threads, and no other work does. */
export const SEQUELIZE_THREADS = 3;

const rate = (work: Work, threads: readonly number[], over: string, limit: number): Goal => ({
  ...{ measure: 'rate', work, threads, way: CENOTE, over, is: 'at least', limit },
});

/** The main thread's time for a query, in us. */
const owner = (work: Work): Goal => ({
  ...{ measure: 'owner per query', work, threads: [1, 2, 4, 8], way: CENOTE, over: undefined, is: 'at most', limit: 10 },
});

const sequelize = (work: Work): Goal[] => {
  const usual = { work, threads: [SEQUELIZE_THREADS], way: SEQUELIZE } as const;
  return [
    { ...usual, measure: 'sequelize', over: SEQUELIZE_ALONE, is: 'at least', limit: 0.5 },
    { ...usual, measure: 'sequelize failures', over: undefined, is: 'at most', limit: 0 },
  ];
};

export const GOALS: readonly Goal[] = [
  rate(POINT_QUERY, [1], POOL_4, 0.95),
  rate(POINT_QUERY, [2, 4, 8], POOL_4, 0.85),
  rate(POINT_QUERY, [2, 4, 8], POOL_1, 0.9),
  rate('1,000 rows', [1, 2, 4, 8], POOL_4, 0.9),
  rate('100 KB', [1, 2, 4, 8], POOL_4, 0.9),
  rate(TRANSACTION, [1], POOL_4, 0.9),
  rate(TRANSACTION, [4], POOL_4, 0.75),
  rate(TRANSACTION, [1, 4], POOL_1, 0.85),
  rate('point query, then 2 ms of computing', [8], POOL_4, 1),
  rate('point query, then 2 ms of computing', [8], POOL_1, 1),
  owner(POINT_QUERY),
  owner('1,000 rows'),
  owner('100 KB'),
  ...sequelize(POINT_QUERY),
  ...sequelize(TRANSACTION),
];

/** A goal at one number of threads, and what came of it. */
export interface Reached {
  readonly goal: Goal;
  readonly threads: number;
  /** The ratio, or the figure itself. Undefined: not measured in this run. */
  readonly spread: Spread | undefined;
  readonly isMet: boolean;
  /** A quarter of the rounds or more say otherwise. */
  readonly isClose: boolean;
  /** The ratio that four connections come to if no thread hands one over. Of point queries only. */
  readonly unshared: number | undefined;
  /** The ratio that a strict line over four connections comes to with nothing else done. Of point queries and transactions only. */
  readonly turns: number | undefined;
}

export function reachedIn(rows: readonly Row[]): Reached[] {
  return GOALS.flatMap((goal) => {
    const measured = goal.threads.map((threads) => [threads, spreadFor(goal, threads, rows)] as const);
    // Of figures by themselves the worst stands for all.
    const chosen = goal.over === undefined ? [worst(measured)] : measured;
    return chosen.map(([threads, spread]) => {
      const meets = (figure: number): boolean => (goal.is === 'at least' ? figure >= goal.limit : figure <= goal.limit);
      const isMet = spread !== undefined && meets(spread.median);
      const isClose = spread?.quartiles.some((figure) => meets(figure) !== isMet) === true;
      return {
        goal,
        threads,
        spread,
        isMet,
        isClose,
        unshared: limitOf(UNSHARED, goal, threads, rows),
        turns: limitOf(TURNS, goal, threads, rows),
      };
    });
  });
}

const rowOf = ({ measure, work }: Goal, threads: number, rows: readonly Row[]): Row | undefined =>
  rows.find((each) => each.measure === measure && each.work === work && each.threads === threads);

function spreadFor(goal: Goal, threads: number, rows: readonly Row[]): Spread | undefined {
  const { way, over } = goal;
  const row = rowOf(goal, threads, rows);
  if (row === undefined) return undefined;
  return over === undefined ? spreadOf(row.rounds[way]) : ratioIn(row, way, over);
}

function limitOf(way: string, goal: Goal, threads: number, rows: readonly Row[]): number | undefined {
  const row = rowOf(goal, threads, rows);
  return row === undefined || goal.over === undefined ? undefined : ratioIn(row, way, goal.over)?.median;
}

type Measured = readonly [threads: number, spread: Spread | undefined];
const worst = (measured: readonly Measured[]): Measured =>
  measured.reduce((one, other) => ((other[1]?.median ?? 0) > (one[1]?.median ?? 0) ? other : one));
