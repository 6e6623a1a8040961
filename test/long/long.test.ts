/**
 * What is done over and over leaves nothing behind: no memory, no handle, no listener, no slot, no cell. In processes of their own.
 * CENOTE_LONG=1 does it ten to a hundred times as often, for some minutes.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Compiled, compileThreads } from '../support/threads/compile.ts';
import { expectNoGrowth, isLong, run } from './growth.ts';
import { scenarios } from './scenarios.ts';

let compiled: Compiled;
beforeAll(() => {
  compiled = compileThreads('test/long/process.ts', 'test/long/borrower.ts');
});
afterAll(() => compiled.remove());

describe.each(Object.keys(scenarios))('%s', (name) => {
  test('leaves nothing behind', { timeout: isLong ? 3_600_000 : 300_000 }, async () => {
    const growth = await run(compiled.url('test/long/process.ts'), [name]);
    expectNoGrowth('owner', growth, growth.owner);
    expectNoGrowth('worker', growth, growth.worker);
    expect(growth.left, 'in the control block').toEqual([]);
  });
});
