import { expect, test } from 'vitest';
import { atLeast, atMost, cenoteAtMost, type Goal, timesAsFast } from '../../bench/frame/goals.ts';
import type { Unit } from '../../bench/frame/question.ts';
import { compare } from '../../bench/frame/rounds.ts';

const judge = (goal: Goal, cenote: number, rival: number, unit: Unit = 'ns') => {
  const [{ goal: says, met }] = compare('question', unit, { cenote: [cenote], rival: [rival] }, { rival: goal });
  return [says, met];
};

test('a goal for the ratio is met at the limit', () => {
  expect([1.5, 1.6, 1.7].map((ratio) => judge(atMost(1.6), ratio, 1))).toEqual([
    ['<= 1.6', true],
    ['<= 1.6', true],
    ['<= 1.6', false],
  ]);
  expect([0.94, 0.95].map((ratio) => judge(atLeast(0.95), ratio, 1, '/s')[1])).toEqual([false, true]);
});

test('to be so many times as fast is to take less time, or to do more in it', () => {
  expect([judge(timesAsFast(8), 1, 8), judge(timesAsFast(8), 1, 7)]).toEqual([
    ['<= 1/8', true],
    ['<= 1/8', false],
  ]);
  expect([judge(timesAsFast(8), 8, 1, '/s'), judge(timesAsFast(8), 7, 1, '/s')]).toEqual([
    ['>= 8', true],
    ['>= 8', false],
  ]);
});

test("a goal for cenote's own figure does not look at the rival, which may be nothing", () => {
  expect(judge(cenoteAtMost(0), 0, 0)).toEqual(['cenote <= 0', true]);
  expect(judge(cenoteAtMost(0), 1, 100)).toEqual(['cenote <= 0', false]);
  expect(compare('question', 'per 1,000', { cenote: [0], rival: [0] })[0]).toMatchObject({
    ratio: null,
    quartiles: null,
    goal: null,
    met: null,
  });
});

test('a goal for the ratio is not met where there is none', () => {
  expect(judge(atMost(1), 0, 0)).toEqual(['<= 1', false]);
});

test('a goal against somebody who was not measured is a mistake', () => {
  expect(() => compare('question', 'ns', { cenote: [1], rival: [1] }, { other: atMost(1) })).toThrow('other');
});

test('a round in which the rival came to nothing is left out of the ratio, unless most are like that', () => {
  const [one] = compare('question', '/s', { cenote: [2, 6, 8], rival: [1, 0, 2] });
  expect(one).toMatchObject({ ratio: 3, quartiles: [2.5, 3.5] });
  const [most] = compare('question', '/s', { cenote: [2, 6, 8], rival: [1, 0, 0] });
  expect(most).toMatchObject({ ratio: null, quartiles: null });
});
