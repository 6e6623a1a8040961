/** Numbers for people: three digits, in the unit that suits. */
import { expect, test } from 'vitest';
import { counted, duration, exactDuration, percent, short, times } from '../../src/cli/report/units.ts';

test.each([
  [0, '0'],
  [0.012, '0.01'],
  [1.234, '1.23'],
  [9.994, '9.99'],
  [9.995, '10.0'],
  [99.94, '99.9'],
  [99.96, '100'],
  [999.4, '999'],
  [1234.5, '1,235'],
  [1_234_567, '1,234,567'],
])('%d is %s', (value, text) => expect(short(value)).toBe(text));

test.each([
  [0.04, '0.04 us'],
  [999.4, '999 us'],
  [999.5, '1.00 ms'],
  [999_400, '999 ms'],
  [999_500, '1.00 s'],
])('%d microseconds are %s', (us, text) => expect(duration(us)).toBe(text));

test.each([
  [0, '0 us'],
  [0.5, '0.5 us'],
  [999, '999 us'],
  [1500, '1.5 ms'],
  [1_000_000, '1 s'],
])('%d microseconds as they were given are %s', (us, text) => expect(exactDuration(us)).toBe(text));

test('shares, ratios and counts', () => {
  expect([0, 0.00005, 0.0001, 0.123, 1].map(percent)).toEqual(['0', '<0.01 %', '0.01 %', '12.3 %', '100 %']);
  expect([times(null), times(null, 'starved'), times(1), times(0.021)]).toEqual(['-', 'starved', '1.00x', '0.02x']);
  expect([counted(0, 'thread'), counted(1, 'thread'), counted(1200, 'thread')]).toEqual(['0 threads', '1 thread', '1,200 threads']);
});
