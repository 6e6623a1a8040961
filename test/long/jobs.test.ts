/** Jobs leave nothing behind, whatever becomes of them. CENOTE_LONG=1: 100,000 of them. */
import { afterAll, beforeAll, test } from 'vitest';
import { type Compiled, compileThreads } from '../support/threads/compile.ts';
import { LONGEST, leavesNothing } from './growth.ts';

let compiled: Compiled;
beforeAll(() => {
  compiled = compileThreads('test/long/jobs-process.ts', 'test/long/jobs-job.ts');
});
afterAll(() => compiled.remove());

test('jobs, with signals, that end in every way', { timeout: LONGEST }, () => leavesNothing(compiled.url('test/long/jobs-process.ts')));
