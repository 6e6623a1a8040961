/** Runs a program of this folder in a process of its own, and holds what it has measured against what may grow. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import type { Measure } from './measure.ts';
import type { Growth } from './process.ts';

export const isLong = process.env.CENOTE_LONG === '1';
/** More bytes for each round, and besides, in the part of the rounds in which the heap grew least: that is kept by something. */
const BYTES_A_ROUND = 24;
const BYTES_AT_ALL = 48 * 1024;

/** The first line that it prints. */
export function run<G extends Growth>(program: URL, args: readonly string[]): Promise<G> {
  const child = spawn(process.execPath, [fileURLToPath(program), isLong ? 'long' : 'quick', ...args], {
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
export function expectNoGrowth(who: string, { rounds }: Growth, measures: readonly Measure[]): void {
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
