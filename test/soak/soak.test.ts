/** A few seconds of the soak, so that it does not rot, and because it finds things. SOAK_SEED=n runs other rounds. */
import { expect, test } from 'vitest';
import { soak, summary } from './run.ts';

const seed = Number(process.env.SOAK_SEED ?? 2);

test('a short soak loses nothing', async () => {
  const started = performance.now();
  const report = await soak({ seed, rounds: 3, limit: Number.POSITIVE_INFINITY, duration: 700 });
  expect(report.failure, summary(report, performance.now() - started)).toBe('');
  expect(report.figures.operations).toBeGreaterThan(0);
});
