/** No false verdict: `npm run soak:knots` does the same for ten minutes. */
import { expect, test } from 'vitest';
import { nearMisses } from './near-misses/run.ts';

test('threads that come near a deadlock without one are told of none', async () => {
  const outcome = await nearMisses(5000, 7);
  expect(outcome.verdicts).toEqual([]);
  expect(outcome.rounds).toBeGreaterThan(10);
  expect(outcome.looks).toBeGreaterThan(10);
});
