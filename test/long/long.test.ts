/**
 * What is done over and over leaves nothing behind: no memory, no handle, no listener, no slot, no cell. In processes of their own.
 * CENOTE_LONG=1 does it ten to a hundred times as often, for some minutes.
 */
import { afterAll, beforeAll, describe, test } from 'vitest';
import { type Compiled, compileThreads } from '../support/threads/compile.ts';
import { LONGEST, leavesNothing } from './growth.ts';
import { scenarios } from './scenarios.ts';

let compiled: Compiled;
beforeAll(() => {
  compiled = compileThreads('test/long/process.ts', 'test/long/borrower.ts');
});
afterAll(() => compiled.remove());

describe.each(Object.keys(scenarios))('%s', (name) => {
  test('leaves nothing behind', { timeout: LONGEST }, () => leavesNothing(compiled.url('test/long/process.ts'), name));
});
