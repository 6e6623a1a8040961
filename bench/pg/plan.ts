/** What a run asks of whom. */

import { GOALS, SEQUELIZE_THREADS } from './goals.ts';
import type { Way } from './way.ts';
import { SEQUELIZE_WAYS, WAYS } from './ways/index.ts';
import { ALL_WORKS, POINT_QUERY, TRANSACTION, type Work } from './works.ts';

export interface Effort {
  readonly threads: readonly number[];
  /** Queries, or transactions, that each thread has under way. */
  readonly lanes: number;
  /** One more runs first, and is forgotten. */
  readonly rounds: number;
  /** Milliseconds for one way in one round. */
  readonly slice: number;
  /** Milliseconds for one way before all rounds: every thread compiles its code for itself, which takes seconds where there are many. */
  readonly warm: number;
}

export const FULL: Effort = { threads: [1, 2, 4, 8], lanes: 4, rounds: 7, slice: 300, warm: 5000 };
/** Shows that everything runs; its figures mean little. */
export const QUICK: Effort = { threads: [1], lanes: 4, rounds: 1, slice: 10, warm: 10 };

export interface Choice {
  /** Only what the goals speak of. */
  readonly reach: boolean;
  /** Only these, by name. Empty: all. */
  readonly works: readonly string[];
  readonly ways: readonly string[];
}

/** What is asked with so many threads. */
export interface Part {
  readonly threads: number;
  readonly lanes: number;
  readonly works: readonly Work[];
  readonly ways: readonly Way[];
  /** Sequelize's are tables of their own. */
  readonly isSequelize: boolean;
  /** The main thread is asked for large results, too, and the bare experiments are made. */
  readonly isWhole: boolean;
}

/** Sequelize's own pool has five clients: so that all are in use. */
const SEQUELIZE_LANES = 8;

export function planOf({ threads, lanes }: Effort, { reach, works, ways }: Choice): Part[] {
  const isChosen = (names: readonly string[], name: string): boolean => names.length === 0 || names.includes(name);
  const isGoal = (count: number, work: Work): boolean => GOALS.some((goal) => goal.work === work && goal.threads.includes(count));
  const isCompared = (name: string): boolean => GOALS.some(({ way, over }) => way === name || over === name);
  const worksAt = (count: number): Work[] => ALL_WORKS.filter((work) => isChosen(works, work) && (!reach || isGoal(count, work)));
  const chosenOf = (among: readonly Way[]): Way[] => among.filter(({ name }) => isChosen(ways, name) && (!reach || isCompared(name)));
  const usual = threads.map((count) => ({
    threads: count,
    lanes,
    works: worksAt(count),
    ways: chosenOf(WAYS),
    isSequelize: false,
    isWhole: ways.length === 0,
  }));
  const sequelize: Part = {
    threads: SEQUELIZE_THREADS,
    lanes: SEQUELIZE_LANES,
    works: [POINT_QUERY, TRANSACTION].filter((work) => isChosen(works, work)),
    ways: chosenOf(SEQUELIZE_WAYS),
    isSequelize: true,
    isWhole: false,
  };
  return [...usual, sequelize].filter((part) => part.works.length > 0 && part.ways.length > 0);
}

export const namesOfWays: readonly string[] = [...WAYS, ...SEQUELIZE_WAYS].map(({ name }) => name);
