/**
 * What is done over and over leaves nothing behind: no memory, no handle, no listener, no slot, no cell. In processes of their own.
 * CENOTE_LONG=1 does it ten to a hundred times as often, for some minutes.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Compiled, compileThreads } from '../support/threads/compile.ts';
import type { Measure } from './measure.ts';
import type { Growth, Length } from './process.ts';
import { scenarios } from './scenarios.ts';

const isLong = process.env.CENOTE_LONG === '1';
/** More bytes for each round, and besides, in the part of the rounds in which the heap grew least: that is kept by something. */
const BYTES_A_ROUND = 24;
const BYTES_AT_ALL = 48 * 1024;

let compiled: Compiled;
beforeAll(() => {
  compiled = compileThreads('test/long/process.ts', 'test/long/borrower.ts');
});
afterAll(() => compiled.remove());

function run(name: string, length: Length): Promise<Growth> {
  const child = spawn(process.execPath, [fileURLToPath(compiled.url('test/long/process.ts')), length, name], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => resolve(JSON.parse(line)));
    child.on('close', (code) => reject(new Error(`ended with ${code}: ${errors}`)));
  });
}

/** Bytes kept for each round. */
function expectNoGrowth(who: string, { rounds }: Growth, measures: readonly Measure[]): void {
  if (measures.length === 0) return;
  const growths = measures.slice(1).map(({ heap }, part) => heap - measures[part].heap);
  const inPart = rounds / growths.length;
  const least = Math.min(...growths);
  expect(
    least,
    `bytes by which the heap of the ${who} grew in each of ${growths.length} parts of ${inPart} rounds: ${growths}`,
  ).toBeLessThan(BYTES_AT_ALL + BYTES_A_ROUND * inPart);
  const [first, last] = [measures[0], measures[measures.length - 1]];
  expect(last.resources, `what the event loop of the ${who} has to do`).toEqual(first.resources);
  expect(last.listeners, `listeners on the process of the ${who}`).toBe(first.listeners);
}

function leavesNothing(growth: Growth): void {
  expectNoGrowth('owner', growth, growth.owner);
  expectNoGrowth('worker', growth, growth.worker);
  expect(growth.left, 'in the control block').toEqual([]);
}

describe.each(Object.keys(scenarios))('%s', (name) => {
  test('leaves nothing behind', { timeout: isLong ? 3_600_000 : 300_000 }, async () => {
    if (isLong) return leavesNothing(await run(name, 'long'));
    const growth = await run(name, 'quick');
    try {
      leavesNothing(growth);
    } catch {
      // On a busy machine messages pile up, and a part of a hundred rounds grows by what is on its way. What leaks goes on growing.
      leavesNothing(await run(name, 'again'));
    }
  });
});
