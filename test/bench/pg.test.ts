import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { beginOf, END } from '../../bench/frame/page.ts';
import { EXPERIMENTS } from '../../bench/pg/bare/index.ts';
import { TURNS, turns } from '../../bench/pg/bare/turns.ts';
import { GOALS, SEQUELIZE_THREADS } from '../../bench/pg/goals.ts';
import { COMMAND } from '../../bench/pg/options.ts';
import { FULL } from '../../bench/pg/plan.ts';
import { REACH } from '../../bench/pg/report.ts';
import type { Measure, Row } from '../../bench/pg/rows.ts';
import { HEADINGS, RATIOS } from '../../bench/pg/tables.ts';
import { CONNECTIONS } from '../../bench/pg/ways/connections.ts';
import { APART, ON_MAIN, SEQUELIZE_WAYS, UNSHARED, WAYS } from '../../bench/pg/ways/index.ts';
import { ALL_WORKS, LARGE_RESULTS, POINT_QUERY, TRANSACTION, type Work } from '../../bench/pg/works.ts';
import { page } from '../docs/markdown.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = 'docs/performance-pg.md';

function start(...args: string[]) {
  const env: NodeJS.ProcessEnv = { ...process.env, NODE_OPTIONS: '' };
  delete env.DATABASE_URL;
  const run = spawn(
    process.execPath,
    ['--import', './scripts/typescript.js', '--import', './bench/pg/set.js', 'bench/pg/run.ts', ...args],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
    },
  );
  onTestFinished(() => void run.kill('SIGKILL'));
  const said = { stdout: '', stderr: '' };
  run.stdout.setEncoding('utf8').on('data', (chunk) => {
    said.stdout += chunk;
  });
  run.stderr.setEncoding('utf8').on('data', (chunk) => {
    said.stderr += chunk;
  });
  const ended = new Promise<typeof said & { code: number | null }>((resolve) => run.on('close', (code) => resolve({ code, ...said })));
  /** When it has said so on standard error. */
  const hasSaid = (words: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (said.stderr.includes(words)) resolve();
      };
      run.stderr.on('data', look);
      look();
    });
  return { run, ended, hasSaid };
}

const folderIn = (stderr: string): string => /runs in (\S+),/.exec(stderr)![1];

const names = (ways: readonly { readonly name: string }[]): string[] => ways.map(({ name }) => name);
/** Which way is asked what. */
const ASKED: Readonly<Record<Measure, readonly string[]>> = {
  rate: names(WAYS),
  p99: names(WAYS),
  'owner per query': names(WAYS).filter((name) => !APART.includes(name)),
  'longest block': names(WAYS),
  connections: names(WAYS),
  memory: names(WAYS),
  sequelize: names(SEQUELIZE_WAYS),
  'sequelize failures': names(SEQUELIZE_WAYS),
  bare: EXPERIMENTS,
};
/** Which stand beside them in one work only. */
const guestsOf = (measure: Measure, work: Work | undefined): string[] => {
  const isRate = measure === 'rate' || measure === 'p99';
  const inTurns = turns() === undefined ? [] : [TURNS];
  if (work === POINT_QUERY && isRate) return [UNSHARED, ...inTurns];
  if (work === TRANSACTION && isRate) return inTurns;
  return work === LARGE_RESULTS && (measure === 'owner per query' || measure === 'longest block') ? [ON_MAIN.name] : [];
};
/** A loop that was never late, or a main thread that did no more than with a pool in each. */
const MAY_BE_NOTHING: readonly Measure[] = ['longest block', 'owner per query', 'sequelize failures'];
const isOfLinux = (measure: Measure): boolean => measure === 'memory' || measure === 'owner per query';

describe('npm run bench:pg', () => {
  test('gives a figure for every way and all work, puts the tables into a page, and leaves no server behind', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cenote-bench-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'page.md');
    writeFileSync(path, page(PAGE).text);
    const { code, stdout, stderr } = await start('--quick', '--threads', '2', '--lanes', '1', '--json', '--into', path).ended;
    expect(stderr).toMatch(/^Starting PostgreSQL .*\n {2}runs in .*\n(?:.*, [23] threads(?:, Sequelize)? \.\.\.\n){8}$/);
    expect(code).toBe(0);
    expect(existsSync(folderIn(stderr))).toBe(false);

    const { rows, lending } = JSON.parse(stdout) as { rows: Row[]; lending: Record<string, string[]> };
    const perWork = ALL_WORKS.flatMap((work) =>
      ['rate', 'p99', 'owner per query', ...(work === LARGE_RESULTS ? ['longest block'] : [])].map((measure) => [measure, work, 2]),
    );
    const sequelize = [POINT_QUERY, TRANSACTION].flatMap((work) =>
      ['sequelize', 'sequelize failures'].map((measure) => [measure, work, SEQUELIZE_THREADS]),
    );
    const others = ['connections', 'memory', 'bare'].map((measure) => [measure, undefined, 2]);
    expect(rows.map(({ measure, work, threads }) => [measure, work, threads])).toEqual([...perWork, ...others, ...sequelize]);
    for (const { measure, work, rounds } of rows) {
      const where = `${measure}: ${work}`;
      const ways = [...ASKED[measure], ...guestsOf(measure, work)];
      expect(Object.keys(rounds), where).toEqual(ways);
      if (isOfLinux(measure) && process.platform !== 'linux') continue;
      for (const [way, figures] of Object.entries(rounds)) {
        expect(figures, `${where}, ${way}`).toHaveLength(1);
        const least = MAY_BE_NOTHING.includes(measure) ? 0 : Number.MIN_VALUE;
        expect(figures[0], `${where}, ${way}`).toBeGreaterThanOrEqual(least);
      }
      if (measure === 'sequelize failures') expect(Object.values(rounds).flat()).toEqual([0, 0]);
    }
    expect(Object.keys(lending)).toEqual(names(WAYS).filter((name) => name.startsWith('cenote')));
    expect(lending['cenote, remote']).toEqual([expect.stringContaining("remote, the pool was created with lend: 'remote'")]);

    const [text, before] = [readFileSync(path, 'utf8'), page(PAGE).text];
    const [block, old] = [text, before].map(blockIn);
    expect(text.replace(block, old)).toBe(before);
    const heads = (of: string) => tablesOf(of).map(({ heading, columns }) => [heading, columns]);
    expect(heads(block)).toEqual(heads(old));
    const connections = tablesOf(block).find(({ heading }) => heading === HEADINGS.connections)!;
    const count = (name: string): number =>
      name === 'pool of 4 in each' ? 2 * CONNECTIONS : name === 'pool of 1 in each' ? 2 : CONNECTIONS;
    expect(connections.rows).toEqual([['2', ...names(WAYS).map((name) => String(count(name)))]]);
    expect(block).toContain('1 under way on each thread');
    expect(block).not.toContain(root);
  });

  test('has every row in the page', () => {
    const tables = Object.fromEntries(tablesOf(blockIn(page(PAGE).text)).map(({ heading, rows }) => [heading, rows]));
    expect(Object.keys(tables).sort()).toEqual([REACH, RATIOS, ...Object.values(HEADINGS)].sort());
    const works = ALL_WORKS.flatMap((work) => FULL.threads.map((threads) => [work, String(threads)]));
    for (const heading of [HEADINGS.rate, RATIOS, HEADINGS.p99, HEADINGS['owner per query']])
      expect(
        tables[heading].map((row) => row.slice(0, 2)),
        heading,
      ).toEqual(works);
    expect(tables[HEADINGS['longest block']].map((row) => row.slice(0, 2))).toEqual(works.filter(([work]) => work === LARGE_RESULTS));
    for (const heading of [HEADINGS.connections, HEADINGS.memory, HEADINGS.bare])
      expect(
        tables[heading].map(([threads]) => threads),
        heading,
      ).toEqual(FULL.threads.map(String));
    const goals = GOALS.reduce((sum, { threads, over }) => sum + (over === undefined ? 1 : threads.length), 0);
    expect(tables[REACH]).toHaveLength(goals);
  });

  test('ends on SIGINT in the middle of it, and takes the server away', async () => {
    const { run, ended, hasSaid } = start('--way', 'cenote');
    await hasSaid('point query, 1 thread');
    run.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).not.toMatch(/error/i);
    expect(existsSync(folderIn(stderr))).toBe(false);
  });

  test('ends on SIGINT while the server starts', async () => {
    const { run, ended, hasSaid } = start();
    await hasSaid('Starting PostgreSQL');
    run.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    // The server may have been quicker than the signal.
    expect(stderr).toMatch(/^Starting PostgreSQL .*\n(?: {2}runs in .*\n)?(?:.* \.\.\.\n)?$/);
    if (stderr.includes('runs in')) expect(existsSync(folderIn(stderr))).toBe(false);
  });

  test('runs the build with another number than the source has, in every thread', async () => {
    const program = `import { Worker, isMainThread } from 'node:worker_threads';
      const { habitOf } = await import(${JSON.stringify(new URL('../../dist/pg/sql/reads.js', import.meta.url).href)});
      const habit = habitOf('select 1');
      habit.note(40, 10);
      console.log(habit.isQuick);
      if (isMainThread) new Worker(new URL(process.env.PROGRAM));`;
    const seen = (...args: string[]): string => {
      const env = { ...process.env, NODE_OPTIONS: '', PROGRAM: `data:text/javascript,${encodeURIComponent(program)}` };
      return execFileSync(process.execPath, ['--import', './bench/pg/set.js', '--input-type=module', '-e', program, '--', ...args], {
        cwd: root,
        env,
        encoding: 'utf8',
      });
    };
    expect(seen()).toBe('false\nfalse\n');
    expect(seen('--set', 'pg/sql/reads:QUICK=50')).toBe('true\ntrue\n');
  });

  test.each([
    [['--nonsense'], '--nonsense'],
    [['--set', 'pg/sql/reads:NONSENSE=1'], 'this names no number that the build has in pg/sql/reads.js'],
  ])('refuses %j', async (args, said) => {
    const { code, stdout, stderr } = await start(...args).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(said);
  });
});

function blockIn(text: string): string {
  const [from, to] = [text.indexOf(beginOf(COMMAND)), text.indexOf(END)];
  expect(from, beginOf(COMMAND)).toBeGreaterThan(0);
  expect(to, END).toBeGreaterThan(from);
  return text.slice(from, to);
}

function tablesOf(block: string): { heading: string; columns: string[]; rows: string[][] }[] {
  return [...block.matchAll(/^\*\*(.*)\*\*\n\n((?:\|.*\|\n)+)/gm)].map(([, heading, table]) => {
    const lines = table
      .trim()
      .split('\n')
      .map((line) =>
        line
          .slice(1, -1)
          .split('|')
          .map((each) => each.trim()),
      );
    return { heading, columns: lines[0], rows: lines.slice(2) };
  });
}
