/** `cenote bench` as a process: short runs, real threads. */
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Interruption } from '../../src/cli/interruption.ts';
import type { Result } from '../../src/cli/measure/summary.ts';
import type { Report } from '../../src/cli/report/report.ts';
import { folder, root, run, start } from './support.ts';

/** Runs before the command, on every thread. */
const preload = (code: string) => ({ node: ['--import', `data:text/javascript,${encodeURIComponent(code)}`] });

const SHORT = ['--seconds', '0.05', '--rounds', '2'];
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };

describe('a short run', () => {
  test('measures every contestant in every setting, and its numbers make sense', async () => {
    // Long enough for everybody to get something done on a busy machine.
    const effort = ['--seconds', '0.2', '--rounds', '2'];
    const { code, stdout, stderr } = await run('bench', ...effort, '--threads', '1,3', '--slots', '2', '--hold', '0,20us', '--json');
    expect(code, stderr).toBe(0);
    const report = JSON.parse(stdout) as Report;
    expect(report).toMatchObject({ cenote: version, interrupted: false, machine: { node: process.version } });
    expect(report.piscina).toMatch(/^5\./);
    expect(report.results.map(({ mode, threads, hold, contestant }) => `${mode} ${threads} ${hold} ${contestant}`)).toEqual(
      [1, 3].flatMap((threads) =>
        ['sync', 'async'].flatMap((mode) =>
          [0, 20].flatMap((hold) =>
            ['cenote', 'mutex', 'messages', ...(mode === 'async' ? ['piscina'] : [])].map((name) => `${mode} ${threads} ${hold} ${name}`),
          ),
        ),
      ),
    );
    for (const result of report.results) makesSense(result);
    // Who does not wait for anybody loses no more than microseconds over the hold of 20.
    const alone = report.results.find(({ threads, hold, contestant }) => threads === 1 && hold === 20 && contestant === 'cenote')!;
    expect(alone.operationsPerSecond).toBeLessThanOrEqual(50_000);
    expect(alone.wait.p50).toBeLessThan(50);
  });

  function makesSense(result: Result): void {
    const where = JSON.stringify(result);
    const { operations, operationsPerSecond, contestant, timesCenote, wait, shares, threads, mostOverLeast, hold, slots } = result;
    expect(result.rounds, where).toBe(2);
    expect(operations, where).toBeGreaterThan(0);
    expect(operationsPerSecond, where).toBeGreaterThan(0);
    // Slots that are held for so long cannot change hands more often. (What was held at the start is over sooner.)
    if (hold > 0) expect(operationsPerSecond, where).toBeLessThan((slots / hold) * 1e6 * 1.05);
    if (contestant === 'cenote') expect(timesCenote, where).toBe(1);
    else expect(timesCenote, where).toBeGreaterThan(0);
    expect(wait.p50, where).toBeGreaterThanOrEqual(0);
    expect(wait.p99, where).toBeGreaterThanOrEqual(wait.p50);
    expect(wait.max, where).toBeGreaterThanOrEqual(wait.p99);
    expect(shares, where).toHaveLength(threads);
    expect(
      shares.reduce((sum, share) => sum + share),
      where,
    ).toBeCloseTo(1, 9);
    expect(shares, where).toEqual(shares.toSorted((a, b) => b - a));
    if (mostOverLeast !== null) expect(mostOverLeast, where).toBeGreaterThanOrEqual(1);
    expect(result.cpuPerOperation, where).toBeGreaterThan(0);
    expect(result.overtaken.share, where).toBeGreaterThanOrEqual(0);
    expect(result.overtaken.share, where).toBeLessThanOrEqual(1);
    if (threads === 1) expect(result.overtaken, where).toEqual({ share: 0, worst: 0 });
    expect(result.clashes, where).toBe(0);
  }

  test('prints a table, one line of progress for each setting, and on what machine', async () => {
    const { code, stdout, stderr } = await run(
      ...['bench', ...SHORT, '--threads', '2', '--slots', '1', '--hold', '5,10us', '--distribution', 'exponential', '--mode', 'sync'],
      ...['--against', 'mutex,messages'],
    );
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(
      /^mode +threads +slots +hold +contestant +ops\/s +to cenote +wait p50 +p99 +max +most\/least +CPU\/op +overtaken\n-/,
    );
    expect(stdout).toMatch(/\nsync +2 +1 +~5 us +cenote +[\d,.]+ +1\.00x /);
    expect(stdout).toMatch(/\n +mutex +[\d,.]+ +[\d.,]+x /);
    expect(stdout).toContain(`node ${process.version}`);
    expect(stdout).not.toContain(root);
    expect(stderr).toMatch(/^2 settings, cenote against mutex against messages: about 1 second\n/);
    expect(stderr).toContain('\n1 of 2: sync, 2 threads on 1 slot, 5 us\n2 of 2: sync, 2 threads on 1 slot, 10 us\n');
    expect(stderr.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });

  test('writes a page that needs nothing else', async () => {
    const path = join(folder(), 'report.html');
    const { code, stderr } = await run('bench', ...SHORT, '--threads', '1,4', '--slots', '1', '--hold', '10us', '--html', path);
    expect(code, stderr).toBe(0);
    const html = readFileSync(path, 'utf8');
    expect(html).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(html).not.toMatch(/\b(?:src|href|srcset|action)\s*=|https?:|url\(|@import|<script|<link|<iframe/i);
    expect(html).not.toMatch(/NaN|undefined|Infinity|\[object/);
    expect(html).not.toContain(root);
    expectBalanced(html);
    // A plot for each mode, of throughput, of waits, of shares.
    expect(html.match(/<svg [^>]*role="img"/g)).toHaveLength(2 * 3);
    for (const name of ['cenote', 'mutex', 'messages', 'piscina'])
      expect(html).toContain(`<td class="left contestant ${name}">${name}</td>`);
    expect(html.match(/<tr/g)).toHaveLength(1 + 2 * (3 + 4));
    expect(html).toContain('prefers-color-scheme: dark');
    for (const unit of ['operations per second', 'load: threads for each slot', 'µs']) expect(html).toContain(unit);
  });

  /** Every element that is opened is closed, in order. */
  function expectBalanced(html: string): void {
    const open: string[] = [];
    for (const [, closing, name, selfClosing] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*?(\/?)>/g)) {
      if (['meta', 'br'].includes(name) || selfClosing === '/') continue;
      if (closing === '') open.push(name);
      else expect(open.pop()).toBe(name);
    }
    expect(open).toEqual([]);
  }
});

test('two borrowers in one slot are seen, and cost the exit code', async () => {
  // A mutex that takes without taking: its word is the only one at 0 that is ever compared and exchanged.
  const broken = `const { compareExchange } = Atomics;
    Atomics.compareExchange = (words, index, expected, next) => (index === 0 ? expected : compareExchange(words, index, expected, next));`;
  const path = join(folder(), 'report.html');
  const { ended } = start(
    [
      'bench',
      '--threads',
      '4',
      '--slots',
      '1',
      '--hold',
      '1ms',
      '--mode',
      'sync',
      '--against',
      'mutex',
      '--seconds',
      '0.2',
      '--html',
      path,
    ],
    preload(broken),
  );
  const { code, stderr } = await ended;
  expect(code, stderr).toBe(1);
  expect(stderr).toMatch(/\ncenote bench: mutex lent one slot to two at once \(sync, 4 threads on 1\): \d+ times\n/);
  expect(stderr).not.toContain('cenote bench: cenote');
  expect(readFileSync(path, 'utf8')).toContain('two borrowers in one slot at once: mutex.');
});

test('whoever reads it may have had enough', async () => {
  const { child, ended } = start([
    'bench',
    ...SHORT,
    '--threads',
    '1',
    '--slots',
    '1',
    '--hold',
    '0',
    '--mode',
    'sync',
    '--against',
    'none',
  ]);
  child.stdout!.destroy();
  const { code, stderr } = await ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/\n1 of 1: .*\n$/) });
});

describe('SIGINT', () => {
  const LONG = ['bench', '--threads', '2', '--slots', '1', '--hold', '5us', '--mode', 'async', '--rounds', '1', '--seconds'];

  test('ends the run with what there is: table and page, exit code 130', async () => {
    const path = join(folder(), 'report.html');
    const { child, says, ended } = start([
      ...LONG,
      '0.05',
      '--rounds',
      '1',
      '--threads',
      '1,2,3,4,5,6,7,8',
      '--hold',
      '5,6,7,8,9us',
      '--html',
      path,
    ]);
    await says('\n 1 of 40: ');
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect(code, stderr).toBe(130);
    expect(stderr).toContain('interrupted: ending with what there is');
    expect(stderr).not.toContain('40 of 40');
    expect(stdout).toMatch(/\nasync +1 +1 +5 us +cenote +[\d,.]+ +1\.00x /);
    expect(stdout).toMatch(/\ninterrupted: what is above is what there was by then\n$/);
    expect(readFileSync(path, 'utf8')).toContain('The run was interrupted');
  });

  test('before anything was measured says so, and writes no page; JSON is written all the same', async () => {
    const path = join(folder(), 'report.html');
    const { child, says, ended } = start([...LONG, '600', '--json', '--html', path]);
    await says('1 setting, ');
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect(code, stderr).toBe(130);
    expect(JSON.parse(stdout)).toMatchObject({ interrupted: true, results: [] });
    expect(stderr).toContain('interrupted before anything was measured');
    expect(existsSync(path)).toBe(false);
  });

  /** No thread of the benchmark ever ends: so the run never does, whenever the first SIGINT comes. */
  const STUCK = `import { Worker } from 'node:worker_threads';
    Worker.prototype.terminate = () => new Promise(() => {});`;

  test('a second time ends it at once, with exit code 130, though it is stuck', async () => {
    const { child, says, ended } = start([...LONG, '600'], preload(STUCK));
    await says('1 setting, ');
    child.kill('SIGINT');
    await says('interrupted: ');
    // The second is the first that is not taken for the same one.
    const again = setInterval(() => child.kill('SIGINT'), 50);
    const { code, stdout } = await ended;
    clearInterval(again);
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
  });

  test('that npm passes on, after the terminal has sent it to everybody, is not a second one', async () => {
    const { child, says, ended } = start([...LONG, '0.1', '--threads', '1,2,3,4,5,6,7,8', '--hold', '5,6,7,8,9us', '--against', 'none']);
    await says('\n 1 of 40: ');
    child.kill('SIGINT');
    child.kill('SIGINT');
    const { code, stdout } = await ended;
    expect(code).toBe(130);
    expect(stdout).toContain('interrupted: what is above');
  });

  test('is the second one if it comes more than half a second after the first', () => {
    const interruption = new Interruption();
    expect(interruption.signal.aborted).toBe(false);
    expect(interruption.press(1000)).toBe(false);
    expect(interruption.signal.aborted).toBe(true);
    expect([1001, 1500, 1501].map((now) => interruption.press(now))).toEqual([false, false, true]);
  });
});

describe('piscina', () => {
  test('that is not installed is left out, with a word on how to install it', async () => {
    const project = folder();
    const cenote = join(project, 'node_modules/cenote');
    mkdirSync(cenote, { recursive: true });
    for (const part of ['dist', 'package.json']) cpSync(join(root, part), join(cenote, part), { recursive: true });
    const args = ['bench', ...SHORT, '--threads', '2', '--slots', '1', '--hold', '5us', '--mode', 'async', '--json'];
    const { code, stdout, stderr } = await start(args, { cwd: project, cli: join(cenote, 'dist/cli/cli.js') }).ended;
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('npm install piscina');
    const report = JSON.parse(stdout) as Report;
    expect(report.piscina).toBe(null);
    expect(report.notes.join()).toContain('npm install piscina');
    expect(report.results.map(({ contestant }) => contestant)).toEqual(['cenote', 'mutex', 'messages']);
  });

  test('is left out of a synchronous run', async () => {
    const { code, stdout } = await run(
      'bench',
      ...SHORT,
      '--threads',
      '1',
      '--slots',
      '1',
      '--hold',
      '0',
      '--mode',
      'sync',
      '--against',
      'piscina',
      '--json',
    );
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as Report;
    expect(report.notes.join()).toContain('no synchronous way');
    expect(report.results.map(({ contestant }) => contestant)).toEqual(['cenote']);
  });
});

describe('the command', () => {
  test('alone, or asked for help, says what there is', async () => {
    for (const args of [[], ['--help'], ['help'], ['-h']]) {
      const { code, stdout, stderr } = await run(...args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/usage: cenote <command>\n/);
      expect(stdout).toContain('bench');
    }
  });

  test('bench --help is complete, and has an example', async () => {
    const { code, stdout, stderr } = await run('bench', '--threads', '2', '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const name of ['threads', 'slots', 'hold', 'distribution', 'mode', 'seconds', 'rounds', 'against', 'json', 'html', 'help'])
      expect(stdout).toContain(`--${name}`);
    expect(stdout).toMatch(/\nexample: cenote bench --/);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  test('says its version', async () => {
    expect(await run('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each([
    [['dance'], 'there is no command "dance"; there are bench and top'],
    [['bench', '--threads', 'many'], '--threads has "many"; allowed are whole numbers from 1 to 128'],
  ])('%j: exit code 2, one line of error, nothing else', async (args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr.split('\n')).toHaveLength(2);
  });
});
