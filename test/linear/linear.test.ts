/**
 * Histories of real threads. Those of the pool have an order; those of pools that are broken on purpose have none, and the checker says so.
 * CENOTE_LINEAR_SEED=n runs other ones, CENOTE_LINEAR_SECONDS=n more of them.
 */
import { describe, expect, test } from 'vitest';
import { broken } from './broken.ts';
import type { Configuration } from './configuration.ts';
import { run, summary } from './run.ts';

const seed = Number(process.env.CENOTE_LINEAR_SEED ?? 1);
const seconds = Number(process.env.CENOTE_LINEAR_SECONDS ?? 2);

/** Much to get wrong: sleepers and lanes, one resource or two, and hardly a pause. */
const contended: Partial<Configuration> = {
  ways: ['async', 'sync', 'sync', 'async'],
  lanes: 2,
  length: 4,
  capacity: 1,
  min: 1,
  beforeAcquire: false,
  beforeRelease: false,
  destroys: 0,
  longest: 30,
  nearEnd: false,
  restless: 0.02,
};
/** Milliseconds, should the histories take that long: found or not is a matter of their number. */
const BROKEN_LIMIT = 240_000;
/** Enough to get wrong, however slow the machine is just now. */
const LEAST = 60;

describe('histories of real threads', () => {
  test('have an order that a sequential pool allows', { timeout: seconds * 1000 + 300_000 }, async () => {
    const started = performance.now();
    const report = await run({ seed, least: LEAST, histories: Number.POSITIVE_INFINITY, limit: seconds * 1000 });
    expect(report.failure, summary(report, performance.now() - started)).toBe('');
    // There was something to get wrong.
    expect(report.histories).toBeGreaterThan(50);
    for (const some of [report.timeouts, report.aborts, report.nulls]) expect(some).toBeGreaterThan(10);
  });

  test('and have one while tickets, versions, epochs and generations come round', async () => {
    const started = performance.now();
    const limit = (seconds * 1000) / 2;
    const configuration = { nearEnd: true, destroys: 0.2 };
    const report = await run({ seed: seed + 1, least: LEAST, histories: Number.POSITIVE_INFINITY, limit, configuration });
    expect(report.failure, summary(report, performance.now() - started)).toBe('');
    expect(report.beyond).toBeGreaterThan(100);
  });

  test('a semaphore that is not fair is refused', async () => {
    const configuration = { ...contended, ways: ['sync', 'sync', 'sync', 'sync'] as const };
    const report = await run({ seed, histories: 20_000, limit: BROKEN_LIMIT, code: 'naive', configuration });
    expect(report.failure).toMatch(/^refused: /);
  });

  test.each([
    [
      'whoever finds something idle takes it, line or not',
      'shared/lending/lending.ts',
      ' | (this.words[LINE_WORD] & NOT_EMPTY)) !== 0) return this.tryBorrowGuarded()',
      ') !== 0) return this.tryBorrowGuarded()',
    ],
    [
      'the youngest is served first',
      'shared/lending/fifo-cursor.ts',
      'keys.subarray(0, found).sort();',
      'keys.subarray(0, found).sort().reverse();',
    ],
    [
      'what is out may be taken',
      'shared/words/slot.ts',
      'slotState(idle) === IDLE && this',
      '(slotState(idle) === IDLE || slotState(idle) === LEASED) && this',
    ],
  ])('a pool in which %s is refused', async (_, file, find, replace) => {
    const { code, remove } = broken(file, find, replace);
    try {
      const report = await run({
        seed,
        histories: 20_000,
        limit: BROKEN_LIMIT,
        code,
        configuration: contended,
      });
      expect(report.failure).toMatch(/^refused: /);
    } finally {
      remove();
    }
  });
});
