/** Jobs leave nothing behind, whatever becomes of them. CENOTE_LONG=1: 100,000 of them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Compiled, compileThreads } from '../support/threads/compile.ts';
import { expectNoGrowth, isLong, run } from './growth.ts';

let compiled: Compiled;
beforeAll(() => {
  compiled = compileThreads('test/long/jobs-process.ts', 'test/long/jobs-job.ts');
});
afterAll(() => compiled.remove());

test('jobs, with signals, that end in every way', { timeout: isLong ? 3_600_000 : 300_000 }, async () => {
  const growth = await run(compiled.url('test/long/jobs-process.ts'), []);
  expect(growth.left).toEqual([]);
  expectNoGrowth('runner', growth, growth.owner);
  expectNoGrowth('thread', growth, growth.worker);
});
