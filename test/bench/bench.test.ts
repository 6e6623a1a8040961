import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Row } from '../../bench/frame/question.ts';
import type { Machine } from '../../bench/frame/table.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function start(...args: string[]) {
  const run = spawn(process.execPath, ['--import', './scripts/typescript.js', 'bench/run.ts', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  onTestFinished(() => void run.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  run.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk;
  });
  run.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((resolve) => run.on('close', (code) => resolve({ code, stdout, stderr })));
  return { run, ended };
}

/** What the table must have a line for. Not what it says: that is the machine's affair. */
const LINES: Readonly<Record<string, readonly string[]>> = {
  'worker: tryAcquireSync + release': ['compare-exchange pair'],
  'worker: await acquire + release': ['bare await'],
  'owner: await acquire + release': ['generic-pool', 'tarn', 'lightning-pool', 'async-sema', 'array and await'],
  'hand-offs: 2 threads on 1, 1 us': ['permits by message', 'barging mutex'],
  'hand-offs: 2 threads on 1, 1 us: shares': ['permits by message', 'barging mutex'],
  'hand-offs: 2 threads on 1, 20 us': ['permits by message', 'barging mutex'],
  'hand-offs: 2 threads on 1, 20 us: shares': ['permits by message', 'barging mutex'],
  'hand-offs: 4 threads on 2, 1 us': ['permits by message', 'barging mutex'],
  'hand-offs: 4 threads on 2, 1 us: shares': ['permits by message', 'barging mutex'],
  'hand-offs: 4 threads on 2, 20 us': ['permits by message', 'barging mutex'],
  'hand-offs: 4 threads on 2, 20 us: shares': ['permits by message', 'barging mutex'],
  'call: one at a time': ['postMessage'],
  'call: 32 in flight': ['postMessage'],
  'call: synchronous': ['postMessage, then sleep', 'postMessage, spin, sleep'],
};

describe('npm run bench', () => {
  test('answers every question, against every rival', { timeout: 90_000 }, async () => {
    const { code, stdout, stderr } = await start('--quick', '--json').ended;
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const { machine, quick, rows } = JSON.parse(stdout) as { machine: Machine; quick: boolean; rows: Row[] };
    expect(machine).toEqual({
      cores: expect.any(Number),
      node: process.version,
      v8: process.versions.v8,
      platform: `${process.platform} ${process.arch}`,
    });
    expect(quick).toBe(true);
    const rivals: Record<string, string[]> = {};
    for (const { question, rival } of rows) (rivals[question] ??= []).push(rival);
    expect(rivals).toEqual(LINES);
    for (const row of rows) {
      const where = `${row.question} / ${row.rival}`;
      expect(['ns', 'us', '/s', 'max/min'], where).toContain(row.unit);
      for (const figure of [row.cenote, row.figure, row.ratio, ...row.quartiles]) expect(figure, where).toBeGreaterThan(0);
      expect(row.quartiles[0], where).toBeLessThanOrEqual(row.ratio);
      expect(row.quartiles[1], where).toBeGreaterThanOrEqual(row.ratio);
    }
  });

  test('prints one table, and on what machine, without paths', { timeout: 60_000 }, async () => {
    const { code, stdout } = await start('--quick', '--only', 'worker-sync').ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^question +cenote +rival +rival figure +ratio +quartiles\n-/);
    expect(stdout).toMatch(/\nworker: tryAcquireSync \+ release +[\d.,]+ ns +compare-exchange pair +[\d.,]+ ns +[\d.,]+ /);
    expect(stdout).toContain(`node ${process.version}`);
    expect(stdout).not.toContain(root);
  });

  test('says which questions there are when it is asked another', { timeout: 60_000 }, async () => {
    const { code, stdout, stderr } = await start('--only', 'nonsense').ended;
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('nonsense');
    for (const name of ['worker-sync', 'worker-async', 'owner', 'hand-offs', 'remote-calls']) expect(stderr).toContain(name);
  });

  test('ends at once on SIGINT, though its threads are busy', { timeout: 60_000 }, async () => {
    const { run, ended } = start('--only', 'hand-offs');
    await new Promise<void>((resolve) => run.stderr.once('data', () => resolve()));
    // Threads start now; the thing to interrupt is the middle.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    run.kill('SIGINT');
    const asked = performance.now();
    expect(await ended).toEqual({ code: 130, stdout: '', stderr: 'hand-offs ...\n' });
    expect(performance.now() - asked).toBeLessThan(3000);
  });
});
