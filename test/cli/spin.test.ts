import { expect, test } from 'vitest';
import { spin } from '../../src/cli/measure/spin.ts';

test('to spin takes as long as it was told to', () => {
  const started = performance.now();
  spin(3);
  expect(performance.now() - started).toBeGreaterThanOrEqual(3);
});
