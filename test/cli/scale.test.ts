/** From values to pixels: whoever reads a plot relies on it. */
import { expect, test } from 'vitest';
import { doublings, linear, logarithmic } from '../../src/cli/report/scale.ts';

const rounded = (values: readonly number[]): number[] => values.map((value) => Number(value.toPrecision(6)));

test.each([
  [2143, 10_400, [2000, 5000, 10_000, 20_000]],
  [1000, 1000, [1000, 2000]],
  [0.07, 19, [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]],
  [0.07, 20_000, [0.01, 0.1, 1, 10, 100, 1000, 10_000, 100_000]],
  [2500, 630_000, [2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000]],
])('a logarithmic scale of %d to %d has round ticks, from end to end', (least, most, ticks) => {
  const y = logarithmic(least, most, 256, 12);
  expect(rounded(y.ticks)).toEqual(ticks);
  expect(y(ticks[0])).toBeCloseTo(256);
  expect(y(ticks.at(-1)!)).toBeCloseTo(12);
  expect(y(Math.sqrt(ticks[0] * ticks.at(-1)!))).toBeCloseTo(134);
  // What is off the scale stands at its end.
  expect(y(0)).toBeCloseTo(256);
});

test.each([
  [2, [0, 0.5, 1, 1.5, 2]],
  [3.3, [0, 1, 2, 3, 4]],
  [7.9, [0, 2, 4, 6, 8]],
])('a linear scale to %d begins at 0 and ends at a round number', (most, ticks) => {
  const x = linear(most, 0, 100);
  expect(x.ticks).toEqual(ticks);
  expect([x(0), x(ticks.at(-1)!)]).toEqual([0, 100]);
});

test('twice as much is one step further, and a single value stands in the middle', () => {
  const x = doublings([8, 1, 2, 2], 0, 90);
  expect(x.ticks).toEqual([1, 2, 8]);
  expect([1, 2, 4, 8].map(x)).toEqual([0, 30, 60, 90]);
  expect(doublings([4], 0, 90)(4)).toBe(45);
});
