/** From what was counted to what is said: figures made by hand, so that the answers are known. */
import { describe, expect, test } from 'vitest';
import { BUCKETS, bucketOf } from '../../src/cli/measure/histogram.ts';
import type { Contestant, Setting } from '../../src/cli/measure/setting.ts';
import type { Slice } from '../../src/cli/measure/slice.ts';
import { type Result, summarize } from '../../src/cli/measure/summary.ts';
import type { Report } from '../../src/cli/report/report.ts';
import { lead, ofShares, ofThroughput, ofWaits } from '../../src/cli/report/sentences.ts';

const setting: Setting = { mode: 'sync', threads: 2, slots: 1, hold: 20, distribution: 'fixed' };

/** Everybody waited so many microseconds, each time. */
function slice(done: readonly number[], more: Partial<Slice> & { readonly us?: number } = {}): Slice {
  const { us = 10, ...rest } = more;
  const waits = new Float64Array(BUCKETS);
  waits[bucketOf(us / 1000)] = done.reduce((sum, count) => sum + count);
  return { done, waits, longest: us / 1000, overtaken: 0, worst: 0, clashes: 0, seconds: 0.5, cpu: 1, ...rest };
}

const summaryOf = (slices: Partial<Record<Contestant, readonly Slice[]>>): Partial<Record<Contestant, Result>> =>
  Object.fromEntries(
    summarize(setting, new Map(Object.entries(slices) as [Contestant, readonly Slice[]][])).map((result) => [result.contestant, result]),
  );

describe('a summary', () => {
  test('has medians over the rounds, ratios within them, and sums', () => {
    const { cenote, mutex } = summaryOf({
      cenote: [slice([50, 50]), slice([100, 100]), slice([10, 10])],
      mutex: [slice([200, 200]), slice([100, 100]), slice([100, 100])],
    });
    expect(cenote).toMatchObject({ ...setting, rounds: 3, operations: 320, operationsPerSecond: 200, timesCenote: 1, mostOverLeast: 1 });
    // 4, 1 and 10 times as many.
    expect(mutex).toMatchObject({ rounds: 3, operations: 800, operationsPerSecond: 400, timesCenote: 4 });
    expect(mutex!.cpuPerOperation).toBeCloseTo((3 / 800) * 1e6);
  });

  test('gives shares by luck, not by thread', () => {
    const { cenote } = summaryOf({ cenote: [slice([30, 10]), slice([10, 30])] });
    expect(cenote).toMatchObject({ shares: [0.75, 0.25], mostOverLeast: 3 });
    expect(summaryOf({ cenote: [slice([9, 0])] }).cenote).toMatchObject({ shares: [1, 0], mostOverLeast: null });
  });

  test('has waits over all rounds, and of the overtaken the part and the worst', () => {
    const { cenote } = summaryOf({
      cenote: [slice([98, 0], { us: 10, overtaken: 1, worst: 3 }), slice([1, 1], { us: 5000, overtaken: 1, worst: 7 })],
    });
    expect(cenote!.wait.p50).toBeCloseTo(10, 0);
    expect(cenote!.wait.max).toBe(5000);
    expect(Math.abs(cenote!.wait.p99 / 5000 - 1)).toBeLessThan(0.023);
    expect(cenote!.overtaken).toEqual({ share: 0.02, worst: 7 });
  });

  test('leaves out whoever had no round, and makes no ratio to nothing', () => {
    const nothing = slice([0, 0]);
    const found = summaryOf({ cenote: [nothing], mutex: [slice([5, 5])], messages: [] });
    expect(Object.keys(found)).toEqual(['cenote', 'mutex']);
    expect(found.cenote).toMatchObject({
      operationsPerSecond: 0,
      timesCenote: null,
      shares: [],
      mostOverLeast: null,
      cpuPerOperation: null,
    });
    expect(found.mutex).toMatchObject({ timesCenote: null });
  });
});

describe('the sentences', () => {
  const { cenote, mutex } = summaryOf({ cenote: [slice([30, 10])], mutex: [slice([160, 0], { us: 40 })] });
  const easier = { ...cenote!, threads: 1, operationsPerSecond: 1000, mostOverLeast: 1 };
  const report = { results: [easier, { ...mutex!, threads: 1, timesCenote: 0.5 }, cenote!, mutex!] } as unknown as Report;

  test('begin with the hardest setting, and ask about cenote', () => {
    expect(lead(report)).toBe(
      'With 2 threads on 1 slot held for 20 µs (sync), cenote does 80.0 operations a second: 0.25 times as many as mutex. Half of its waits are shorter than 10.0 µs; the longest took 10.0 µs.',
    );
  });

  test('say from where to where a rival is', () => {
    expect(ofThroughput(report)).toContain(
      'Against mutex, cenote does from 0.25 times the operations (sync, 2 on 1, 20 µs) to 2.00 times (sync, 1 on 1, 20 µs).',
    );
  });

  test('name the longest wait of each, and the least even shares', () => {
    expect(ofWaits(report)).toContain('was 10.0 µs with cenote and 40.0 µs with mutex.');
    expect(ofShares(report)).toContain('At its least even, that was 3.00 to 1 (cenote) and everything to nothing (mutex).');
  });
});
