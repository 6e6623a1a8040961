import { expect, test } from 'vitest';
import { LAST_PROFILE } from '../../src/pg/messages/custody.ts';
import { ProfileNumbers } from '../../src/pg/owner/profile-numbers.ts';

test('a profile keeps its number while no thousand others were asked for, and none is given twice', () => {
  const numbers = new ProfileNumbers();
  expect([numbers.of(''), numbers.of('a'), numbers.of('b'), numbers.of('a')]).toEqual([0, 1, 2, 1]);
  const given = new Set([0, 1, 2]);
  for (let n = 0; n < 999; n++) given.add(numbers.of(`other ${n}`)!);
  expect(given.size).toBe(1002);
  expect(numbers.of('a')).toBe(1);
  expect(given.has(numbers.of('b')!)).toBe(false);
  expect(numbers.of('')).toBe(0);
});

test('there are as many as the word has room for', () => {
  const numbers = new ProfileNumbers(LAST_PROFILE - 1);
  expect([numbers.of('a'), numbers.of('b'), numbers.of('a'), numbers.of('')]).toEqual([LAST_PROFILE, undefined, LAST_PROFILE, 0]);
});
