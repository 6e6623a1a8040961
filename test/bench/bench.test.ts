import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { checkPage } from '../../bench/frame/page.ts';
import type { Row } from '../../bench/frame/question.ts';
import type { Machine } from '../../bench/frame/table.ts';
import { page } from '../docs/markdown.ts';
import { type Compiled, compileThreads } from '../support/threads/compile.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A hundred threads: most of the time would go into loading TypeScript on each of them. */
let compiled: Compiled;
beforeAll(() => {
  compiled = compileThreads('bench/run.ts');
});
afterAll(() => compiled.remove());

const start = (...args: string[]) => startNode(fileURLToPath(compiled.url('bench/run.ts')), ...args);
/** As `npm run bench` does. */
const startAsItIs = (...args: string[]) => startNode('--import', './scripts/typescript.js', 'bench/run.ts', ...args);

function startNode(...args: string[]) {
  const run = spawn(process.execPath, args, {
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
  'worker: tryAcquireSync + release': ['compare-exchange pair', 'pair, object, counts'],
  'worker: await acquire + release': ['bare await', 'pair, await of an object', 'pair, object, counts, await'],
  'owner: await acquire + release': ['generic-pool', 'tarn', 'lightning-pool', 'async-sema', 'pair, array and await', 'array and await'],
  ...handOffs(
    '2 threads on 1, 1 us',
    '2 threads on 1, 20 us',
    '4 threads on 2, 1 us',
    '4 threads on 2, 20 us',
    '8 threads on 4, 20 us',
    '8 threads on 4, 1000 us asleep',
  ),
  'order: 4 threads on 1, out of line': ['permits by message', 'barging mutex'],
  'order: 6 threads on 2, out of line': ['permits by message', 'barging mutex'],
  'long line, across threads: 10 in line': ['permits by message'],
  'long line, across threads: 1,000 in line': ['permits by message'],
  'long line, across threads: 1,000 over 10': ['permits by message'],
  'long line, within a thread: 10 in line': ['async-sema', 'generic-pool'],
  'long line, within a thread: 1,000 in line': ['async-sema', 'generic-pool'],
  'long line, within a thread: 1,000 over 10': ['async-sema', 'generic-pool'],
  'waiting: 8 threads on 1, CPU, whole process': ['sleep, 100 ms at a time'],
  'waiting: 8 threads on 1, CPU, meanwhile': ['sleep, 100 ms at a time', 'one long sleep', 'permits by message', 'try every ms'],
  'call: one at a time': ['postMessage'],
  'call: 32 in flight': ['postMessage'],
  'call: synchronous': ['postMessage', 'postMessage, then sleep', 'postMessage, spin, sleep'],
  'attach: first time on a thread': ['a port and a round trip', 'starting a bare thread'],
  'attach: again': ['a port and a round trip'],
  'memory: control block': ['an idle thread of Node, resident'],
  'memory: heap of the owner': ['generic-pool'],
  'memory: heap of each thread': ['generic-pool'],
  'memory: block and heaps, 64 threads': ['generic-pool, one in each'],
  'memory: heap of 1,024 waiters': ['generic-pool'],
};

/** Needs PostgreSQL and half a minute, so --quick leaves it out. */
const DEMO_LINES: Readonly<Record<string, readonly string[]>> = {
  'demo: files stored, 8 threads': ['a pool in each thread'],
  'demo: connections that the server has': ['a pool in each thread'],
};

function handOffs(...settings: string[]): Record<string, string[]> {
  const questions = settings.flatMap((setting) => [`hand-offs: ${setting}`, `hand-offs: ${setting}: shares`]);
  return Object.fromEntries(questions.map((question) => [question, ['permits by message', 'barging mutex', 'bare turns']]));
}

/** Every goal, by question and rival. */
const GOALS: Readonly<Record<string, string>> = {
  'worker: tryAcquireSync + release / compare-exchange pair': '<= 1.6',
  'worker: await acquire + release / bare await': '<= 1.6',
  'owner: await acquire + release / generic-pool': '<= 1/8',
  'owner: await acquire + release / tarn': '<= 1/14',
  'owner: await acquire + release / lightning-pool': '<= 1/8',
  'hand-offs: 2 threads on 1, 1 us / permits by message': '>= 10',
  'hand-offs: 2 threads on 1, 20 us: shares / permits by message': 'cenote <= 1.3',
  'hand-offs: 4 threads on 2, 1 us / permits by message': '>= 8',
  'hand-offs: 4 threads on 2, 20 us / permits by message': '>= 1.5',
  'hand-offs: 4 threads on 2, 20 us: shares / permits by message': 'cenote <= 1.3',
  'hand-offs: 8 threads on 4, 20 us / permits by message': '>= 1.2',
  'hand-offs: 8 threads on 4, 20 us: shares / permits by message': 'cenote <= 1.3',
  'hand-offs: 8 threads on 4, 1000 us asleep: shares / permits by message': 'cenote <= 1.3',
  'order: 4 threads on 1, out of line / permits by message': 'cenote <= 0',
  'order: 6 threads on 2, out of line / permits by message': 'cenote <= 0',
  'long line, across threads: 1,000 over 10 / permits by message': 'cenote <= 1.5',
  'long line, within a thread: 1,000 over 10 / async-sema': 'cenote <= 1.5',
  'waiting: 8 threads on 1, CPU, whole process / sleep, 100 ms at a time': '<= 1.1',
  'waiting: 8 threads on 1, CPU, meanwhile / sleep, 100 ms at a time': '<= 1.1',
  'call: one at a time / postMessage': '<= 1.1',
  'call: 32 in flight / postMessage': '<= 0.7',
  'call: synchronous / postMessage': '<= 0.5',
};

const UNITS = ['ns', 'us', 'ms/s', 'KiB', '/s', 'max/min', 'x', 'per 1,000'];

describe('npm run bench', () => {
  test('answers every question, against every rival', async () => {
    const { code, stdout, stderr } = await start('--quick', '--json').ended;
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const { machine, quick, rows } = JSON.parse(stdout) as { machine: Machine; quick: boolean; rows: Row[] };
    expect(machine).toEqual({
      cpu: expect.any(String),
      cores: expect.any(Number),
      node: process.version,
      v8: process.versions.v8,
      platform: `${process.platform} ${process.arch}`,
      load: expect.any(Number),
    });
    expect(quick).toBe(true);
    const rivals: Record<string, string[]> = {};
    for (const { question, rival } of rows) (rivals[question] ??= []).push(rival);
    expect(rivals).toEqual(LINES);
    for (const row of rows) {
      const where = `${row.question} / ${row.rival}`;
      expect(UNITS, where).toContain(row.unit);
      // In order, nobody should be, and with permits by message nobody need be.
      const least = row.unit === 'per 1,000' ? 0 : Number.MIN_VALUE;
      for (const figure of [row.cenote, row.figure]) expect(figure, where).toBeGreaterThanOrEqual(least);
      if (row.figure > 0) {
        expect(row.ratio, where).toBeGreaterThanOrEqual(least);
        expect(row.ratio, where).toBeLessThan(Number.POSITIVE_INFINITY);
        expect(row.quartiles![0], where).toBeLessThanOrEqual(row.ratio!);
        expect(row.quartiles![1], where).toBeGreaterThanOrEqual(row.ratio!);
      }
      expect(row.met, where).toEqual(row.goal === null ? null : expect.any(Boolean));
    }
    const goals = rows.filter(({ goal }) => goal !== null).map(({ question, rival, goal }) => [`${question} / ${rival}`, goal]);
    expect(Object.fromEntries(goals)).toEqual(GOALS);
    // What does not depend on the machine: the line is kept. Who is overtaken without a line does: order.test.ts counts that.
    for (const { question, cenote } of rows.filter(({ unit }) => unit === 'per 1,000')) expect(cenote, question).toBe(0);
  });

  test.each([
    ['docs/performance.md', 20],
    ['docs/performance-node24.md', 24],
  ])('has every question in %s, in this order, of Node %i', (path, version) => {
    expect(page(path).text).toMatch(new RegExp(`^machine: .*, node v${version}\\.`, 'm'));
    checkPage(root + path, 'npm run bench');
    // The summary before it is made of the same lines.
    const [, full] = page(path).text.split('<!-- figures');
    const [, ...lines] = /^\$ npm run bench.*?\n\n/ms.exec(full!)![0].trim().split('\n');
    // The line of dashes says how wide the columns are.
    const columns = [...lines[1].matchAll(/-+/g)].map(({ index, 0: dashes }) => [index, index + dashes.length]);
    const cell = (line: string, column: number): string => line.slice(...columns[column]).trim();
    const inPage: Record<string, string[]> = {};
    let question = '';
    for (const line of lines.slice(2)) {
      question = cell(line, 0) || question;
      (inPage[question] ??= []).push(cell(line, 2));
    }
    expect(Object.entries(inPage)).toEqual(Object.entries({ ...LINES, ...DEMO_LINES }));
  });

  test('prints one table, and on what machine, without paths; and puts it into a page, in the place of the old one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cenote-bench-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'page.md');
    const [before, , after] = page('docs/performance.md').text.split(/(?=<!-- figures)|(?<=<!-- end of figures -->)/);
    writeFileSync(path, page('docs/performance.md').text);
    const { code, stdout } = await startAsItIs('--quick', '--only', 'worker-sync', '--into', path).ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^question +cenote +rival +rival figure +ratio +quartiles +goal +met\n-/);
    expect(stdout).toMatch(
      /\nworker: tryAcquireSync \+ release +[\d.,]+ ns +compare-exchange pair +[\d.,]+ ns +[\d.,]+ .* <= 1.6 +(?:yes|NO)\n/,
    );
    expect(stdout).toContain(`node ${process.version}`);
    expect(stdout).not.toContain(root);

    const text = readFileSync(path, 'utf8');
    expect(text.startsWith(before)).toBe(true);
    expect(text.endsWith(after)).toBe(true);
    expect(text).toContain(`\n\`\`\`text\n$ npm run bench -- --only worker-sync --quick\n${stdout}\`\`\`\n`);
    expect(text).not.toContain('generic-pool, one in each');
  });

  test('refuses a page without a place', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cenote-bench-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'page.md');
    writeFileSync(path, 'Nothing here.');
    const refused = await start('--quick', '--only', 'worker-sync', '--into', path).ended;
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('has no place for figures') });
  });

  test('says which questions there are when it is asked another', async () => {
    const { code, stdout, stderr } = await start('--only', 'nonsense').ended;
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('nonsense');
    const names = readdirSync(`${root}bench/questions`).filter((name) => name.endsWith('.ts'));
    for (const name of names) expect(stderr).toContain(name.replace('.ts', ''));
  });

  test.each([
    ['though its threads are busy', 'hand-offs'],
    ['though they sleep in another process, which goes as well', 'waiting'],
  ])('ends at once on SIGINT, %s', async (_, name) => {
    const { run, ended } = start('--only', name);
    await new Promise<void>((resolve) => run.stderr.once('data', () => resolve()));
    // Threads start now; the thing to interrupt is the middle.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    run.kill('SIGINT');
    // Streams close when nobody holds them any more, the other process included.
    expect(await ended).toEqual({ code: 130, stdout: '', stderr: `${name} ...\n` });
  });
});
