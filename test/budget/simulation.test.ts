/** The shipped member and holdings under a virtual clock, with a network and processes that fail. Long: npm run simulate. */
import { expect, test } from 'vitest';
import { simulate } from './simulation/run.ts';

test.each([1, 2, 3, 4, 5, 6, 7, 8])('whatever fails, no more is granted than there is, and nobody starves: seed %i', async (seed) => {
  const { steps } = await simulate(seed);
  expect(steps).toBeGreaterThan(50);
});
