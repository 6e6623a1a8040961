/** A few seconds of bits flipped under real threads. FUZZ_SEED=n runs other rounds; `npm run fuzz` runs longer. */
import { expect, test } from 'vitest';
import { fuzz } from './fuzz.ts';

const seed = Number(process.env.FUZZ_SEED ?? 1);

test(`bits flipped at random, from seed ${seed}: nothing hangs, spins or crashes`, async () => {
  const report = await fuzz(seed, 6, 0);
  expect(report.failures).toEqual([]);
  expect(report.flips).toBeGreaterThan(0);
  expect(report.operations).toBeGreaterThan(100);
  expect(report.judged).toBeGreaterThan(100);
});
