/** Of `npm run bench:pg`: what is asked, what is refused, and when a goal counts as reached. Nothing is measured here. */
import { describe, expect, test } from 'vitest';
import { TURNS } from '../../bench/pg/bare/turns.ts';
import { GOALS, reachedIn } from '../../bench/pg/goals.ts';
import { optionsOf } from '../../bench/pg/options.ts';
import { type Choice, FULL, planOf } from '../../bench/pg/plan.ts';
import { footer, reach } from '../../bench/pg/report.ts';
import { noiseOf, type Row } from '../../bench/pg/rows.ts';
import { CENOTE, POOL_1, POOL_4, SEQUELIZE_WAYS, UNSHARED, WAYS } from '../../bench/pg/ways/index.ts';
import { ALL_WORKS, POINT_QUERY } from '../../bench/pg/works.ts';

const ALL: Choice = { reach: false, works: [], ways: [] };
const asked = (choice: Choice) =>
  planOf(FULL, choice).map(({ threads, works, ways }) => ({ threads, works, ways: ways.map(({ name }) => name) }));
const names = (ways: readonly { readonly name: string }[]): string[] => ways.map(({ name }) => name);

describe('what is asked', () => {
  test('is every work of every way with every number of threads, and Sequelize in three', () => {
    expect(asked(ALL)).toEqual([
      ...[1, 2, 4, 8].map((threads) => ({ threads, works: ALL_WORKS, ways: names(WAYS) })),
      { threads: 3, works: ['point query', 'transaction of 3 statements'], ways: names(SEQUELIZE_WAYS) },
    ]);
  });

  test('may be only what the goals speak of, which is all that they speak of', () => {
    const plan = asked({ ...ALL, reach: true });
    const pairs = plan.flatMap(({ threads, works }) => works.map((work) => `${work}, ${threads}`));
    expect(new Set(pairs)).toEqual(new Set(GOALS.flatMap(({ work, threads }) => threads.map((count) => `${work}, ${count}`))));
    expect(plan[0].ways).toEqual([CENOTE, POOL_4, POOL_1]);
    expect(plan.at(-1)!.ways).toEqual(names(SEQUELIZE_WAYS));
  });

  test('may be one work of one way', () => {
    expect(asked({ ...ALL, works: [POINT_QUERY], ways: [POOL_1] })).toEqual(
      [1, 2, 4, 8].map((threads) => ({ threads, works: [POINT_QUERY], ways: [POOL_1] })),
    );
  });

  test('with more threads than the goals speak of there is nothing for them', () => {
    expect(planOf({ ...FULL, threads: [16] }, { ...ALL, reach: true }).map(({ threads }) => threads)).toEqual([3]);
  });
});

test.each([
  ['--threads', 'many'],
  ['--threads', '1,0'],
  ['--rounds', '1.5'],
  ['--ms', ''],
  ['--lanes', '1000'],
  ['--work', 'nonsense'],
  ['--way', 'nonsense'],
  ['--into', 'README.md'],
  ['--into', 'docs/performance-pg.md', '--reach'],
  ['--reach', '--way', 'comlink'],
  ['--set', 'pg/sql/reads:QUICK=50'],
])('%s %s %s is refused, with the usage', (...args) => {
  const given = args.filter((arg) => arg !== undefined);
  expect(() => optionsOf(given)).toThrow(/--|README\.md has no place/);
  expect(() => optionsOf(given)).toThrow(given[0] === '--into' && given.length === 2 ? 'place for figures' : 'usage: npm run bench:pg');
});

describe('a goal', () => {
  const row = (measure: Row['measure'], threads: number, rounds: Row['rounds']): Row => ({ measure, work: POINT_QUERY, threads, rounds });
  const reached = (...rows: Row[]) =>
    reachedIn(rows)
      .filter(({ spread }) => spread !== undefined)
      .map(({ goal, threads, spread, isMet, isClose }) => [goal.over, threads, spread!.median, isMet, isClose]);

  test('is reached at its limit, by the median of the ratios within each round', () => {
    expect(reached(row('rate', 1, { [CENOTE]: [95, 10, 190], [POOL_4]: [100, 10, 200] }))).toEqual([[POOL_4, 1, 0.95, true, false]]);
    expect(reached(row('rate', 1, { [CENOTE]: [94, 94, 94], [POOL_4]: [100, 100, 100] }))).toEqual([[POOL_4, 1, 0.94, false, false]]);
  });

  test('is close where a quarter of the rounds say otherwise', () => {
    expect(reached(row('rate', 2, { [CENOTE]: [50, 90, 100], [POOL_1]: [100, 100, 100] }))).toEqual([[POOL_1, 2, 0.9, true, true]]);
  });

  test("for cenote's own figure is measured where it is worst", () => {
    const rows = [1, 2, 4].map((threads) => row('owner per query', threads, { [CENOTE]: [threads === 2 ? 12 : 8] }));
    expect(reached(...rows)).toEqual([[undefined, 2, 12, false, false]]);
    expect(reached(row('sequelize failures', 3, { 'Sequelize over cenote, max 2': [0, 0, 1] }))).toEqual([[undefined, 3, 0, true, true]]);
  });

  test('of point queries stands beside what four connections come to that are not shared, or take bare turns', () => {
    const rows = [row('rate', 8, { [CENOTE]: [50], [POOL_4]: [100], [POOL_1]: [60], [UNSHARED]: [90], [TURNS]: [75] })];
    const found = reachedIn(rows).filter(({ unshared }) => unshared !== undefined);
    expect(found.map(({ goal, threads, unshared, turns }) => [goal.over, threads, unshared, turns])).toEqual([
      [POOL_4, 8, 0.9, 0.75],
      [POOL_1, 8, 1.5, 1.25],
    ]);
    expect(reach({ rows })).toMatch(/\| 0\.50 .*\| +0\.90 \| +0\.75 \|/);
  });

  test('that was not measured is not reached, and is counted', () => {
    expect(reachedIn([]).some(({ isMet }) => isMet)).toBe(false);
    expect(reach({ rows: [] })).toBe(`Goals that this run has not measured: ${reachedIn([]).length}.`);
  });
});

test('the noise is how far a way is from itself a round before', () => {
  const rows: Row[] = [{ measure: 'rate', work: POINT_QUERY, threads: 1, rounds: { [CENOTE]: [100, 110, 99], [POOL_4]: [100, 90] } }];
  expect(noiseOf(rows)).toBeCloseTo(10);
  expect(noiseOf([])).toBeUndefined();
  const machine = { cpu: 'a processor', cores: 2, node: 'v20', v8: '11', platform: 'linux', load: 0 };
  const text = footer({ machine, postgres: '18', effort: FULL, set: ['pg/sql/reads:QUICK=4'], rows, lending: { [CENOTE]: ['local'] } });
  expect(text).toContain('differ by more than 10 %');
  expect(text).toContain('Not as it is: pg/sql/reads:QUICK=4.');
  expect(text).toContain('pool.lending of cenote: local.');
});
