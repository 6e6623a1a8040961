import { expect, test } from 'vitest';
import { jumped } from '../../bench/questions/order.ts';

/** Each borrow: began to ask, had asked, was served. */
const logs = (...threads: [number, number, number][][]): Int32Array[] =>
  threads.map((borrows) => {
    const log = new Int32Array(60_000);
    log.set(borrows.flat());
    return log;
  });

test('in order is in order', () => {
  expect(
    jumped(
      logs(
        [
          [1, 2, 3],
          [8, 9, 10],
        ],
        [
          [4, 5, 6],
          [11, 12, 13],
        ],
      ),
      1,
    ),
  ).toBe(0);
});

test('who was served before somebody that had asked before it began has jumped the line', () => {
  expect(jumped(logs([[1, 2, 6]], [[3, 4, 5]]), 1)).toBe(1);
  expect(
    jumped(
      logs(
        [[1, 2, 20]],
        [
          [3, 4, 5],
          [6, 7, 8],
        ],
      ),
      1,
    ),
  ).toBe(2);
});

test('whose asking overlaps accuses nobody: either may have been first', () => {
  expect(jumped(logs([[1, 3, 6]], [[2, 4, 5]]), 1)).toBe(0);
});

test('with two slots one older waiter may be slow to wake, two may not', () => {
  expect(jumped(logs([[1, 2, 6]], [[3, 4, 5]]), 2)).toBe(0);
  expect(jumped(logs([[1, 2, 9]], [[3, 4, 8]], [[5, 6, 7]]), 2)).toBe(1);
});

test('a thread that blocks says nothing before it is served, and is never overtaken for certain', () => {
  expect(jumped(logs([[1, 6, 6]], [[3, 4, 5]]), 1)).toBe(0);
});
