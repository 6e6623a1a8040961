/** Runs a program of this folder in a process of its own, and holds what it has measured against what may grow. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import type { Measure } from './measure.ts';

export interface Growth {
  readonly name: string;
  readonly rounds: number;
  /** Before the first part of the rounds, and after each. */
  readonly owner: readonly Measure[];
  /** The same on the worker, if there is one. */
  readonly worker: readonly Measure[];
  /** What is not as it was in the control block, or was not to be. */
  readonly left: readonly string[];
  readonly ms: number;
}

/** `again`: after a quick run that seemed to grow. */
export type Length = 'quick' | 'again' | 'long';

const isLong = process.env.CENOTE_LONG === '1';
/** More bytes for each round, and besides, in the part of the rounds in which the heap grew least: that is kept by something. */
const BYTES_A_ROUND = 24;
const BYTES_AT_ALL = 48 * 1024;
/** Of a test, in ms. */
export const LONGEST = isLong ? 3_600_000 : 300_000;

/** The program prints its growth as a line of JSON; it gets how long it is to run, and these arguments. */
export async function leavesNothing(program: URL, ...args: readonly string[]): Promise<void> {
  if (isLong) return expectNothingLeft(await run(program, 'long', args));
  const growth = await run(program, 'quick', args);
  try {
    expectNothingLeft(growth);
  } catch {
    // On a busy machine messages pile up, and a part of a hundred rounds grows by what is on its way. What leaks goes on growing.
    expectNothingLeft(await run(program, 'again', args));
  }
}

function run(program: URL, length: Length, args: readonly string[]): Promise<Growth> {
  const child = spawn(process.execPath, [fileURLToPath(program), length, ...args], {
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

function expectNothingLeft(growth: Growth): void {
  expectNoGrowth('owner', growth, growth.owner);
  expectNoGrowth('worker', growth, growth.worker);
  expect(growth.left, 'what is left').toEqual([]);
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
