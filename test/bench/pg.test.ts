import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FULL, type Measure, type Row } from '../../bench/pg/measure.ts';
import { BEGIN, END, HEADINGS } from '../../bench/pg/tables.ts';
import { CONNECTIONS } from '../../bench/pg/ways.ts';
import { LARGE_RESULTS, WORKS } from '../../bench/pg/works.ts';
import { page } from '../docs/markdown.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

function start(...args: string[]) {
  const env: NodeJS.ProcessEnv = { ...process.env, NODE_OPTIONS: '' };
  delete env.DATABASE_URL;
  const run = spawn(process.execPath, ['--import', './scripts/typescript.js', 'bench/pg/run.ts', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
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

/** Which way is asked what. */
const WAYS: Readonly<Record<Measure, readonly string[]>> = {
  rate: ['cenote', 'a pool in each', 'comlink'],
  p99: ['cenote', 'a pool in each', 'comlink'],
  'longest block': ['cenote', 'comlink', 'on main'],
  'owner per query': ['cenote', 'comlink'],
  connections: ['cenote', 'a pool in each', 'comlink'],
  memory: ['cenote', 'a pool in each', 'comlink'],
};

describe('npm run bench:pg', () => {
  test('gives a figure for every way and all work, and leaves no server behind', async () => {
    const { code, stdout, stderr } = await start('--quick', '--json').ended;
    expect(stderr).toMatch(/^Starting PostgreSQL .*\n {2}runs in .*\n(?:.*, 1 thread \.\.\.\n){4}$/);
    expect(code).toBe(0);
    expect(existsSync(folderIn(stderr))).toBe(false);
    const { rows } = JSON.parse(stdout) as { rows: Row[] };
    const asked = rows.map(({ measure, work }) => (work === undefined ? measure : `${measure}: ${work}`));
    const perWork = Object.keys(WORKS).flatMap((work) =>
      ['rate', 'p99', 'owner per query', ...(work === LARGE_RESULTS ? ['longest block'] : [])].map((measure) => `${measure}: ${work}`),
    );
    expect(asked).toEqual([...perWork, 'connections', 'memory']);
    for (const { measure, work, threads, figures, ratios } of rows) {
      const where = `${measure}: ${work}`;
      expect(threads).toBe(1);
      const ways = [...WAYS[measure], ...(measure === 'owner per query' && work === LARGE_RESULTS ? ['on main'] : [])];
      expect(Object.keys(figures), where).toEqual(ways);
      expect(Object.keys(ratios), where).toEqual(ways.slice(1));
      if ((measure === 'memory' || measure === 'owner per query') && process.platform !== 'linux') continue;
      for (const figure of [...Object.values(figures), ...Object.values(ratios)]) {
        expect(figure, where).toBeGreaterThan(0);
        expect(figure, where).toBeLessThan(Number.POSITIVE_INFINITY);
      }
      if (measure === 'connections') for (const figure of Object.values(figures)) expect(figure).toBe(CONNECTIONS);
    }
  });

  test('prints the block that the page has, its table for each measure', async () => {
    const { code, stdout } = await start('--quick', '--threads', '2', '--lanes', '1', '--markdown').ended;
    expect(code).toBe(0);
    expect(stdout.startsWith(`${BEGIN}\n`)).toBe(true);
    expect(stdout.endsWith(`${END}\n`)).toBe(true);
    expect(stdout).not.toContain(root);
    const [printed, inPage] = [stdout, blockOfPage()].map(tablesOf);
    expect(printed.map(({ heading, columns }) => [heading, columns])).toEqual(inPage.map(({ heading, columns }) => [heading, columns]));
    expect(printed.find(({ heading }) => heading === HEADINGS.connections)?.rows.map((row) => row.slice(0, 4))).toEqual([
      ['2', '4', '8', '4'],
    ]);
    expect(stdout).toContain('1 under way on each thread');
  });

  test('has every row in docs/performance-pg.md', () => {
    const works = Object.keys(WORKS).flatMap((work) => FULL.threads.map((threads) => [work, String(threads)]));
    const tables = Object.fromEntries(tablesOf(blockOfPage()).map(({ heading, rows }) => [heading, rows]));
    expect(Object.keys(tables)).toEqual(Object.values(HEADINGS));
    expect(tables[HEADINGS.rate].map((row) => row.slice(0, 2))).toEqual(works);
    expect(tables[HEADINGS.p99].map((row) => row.slice(0, 2))).toEqual(works);
    expect(tables[HEADINGS['owner per query']].map((row) => row.slice(0, 2))).toEqual(works);
    expect(tables[HEADINGS['longest block']].map((row) => row.slice(0, 2))).toEqual(works.filter(([work]) => work === LARGE_RESULTS));
    const counts = FULL.threads.map((threads) => [
      String(threads),
      String(CONNECTIONS),
      String(threads * CONNECTIONS),
      String(CONNECTIONS),
    ]);
    expect(tables[HEADINGS.connections].map((row) => row.slice(0, 4))).toEqual(counts);
    expect(tables[HEADINGS.memory].map((row) => row[0])).toEqual(FULL.threads.map(String));
    for (const cell of Object.values(tables).flat(2)) expect(cell).toMatch(/^(?:[\d.,]+|-|n\/a|[a-z\d][a-z\d, ]+)$/);
  });

  test('ends on SIGINT in the middle of it, and takes the server away', async () => {
    const { run, ended, hasSaid } = start();
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
    expect(stderr).toMatch(/^Starting PostgreSQL .*\n$/);
  });

  test.each([
    ['--nonsense', '--nonsense'],
    ['--threads', 'many'],
    ['--threads', '1,0'],
    ['--rounds', '1.5'],
    ['--slice', ''],
    ['--lanes', '1000'],
  ])('refuses %s %s', async (...args) => {
    expect(await start(...args).ended).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(args[0]) });
  });

  test('refuses --json with --markdown', async () => {
    expect(await start('--json', '--markdown').ended).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('not both') });
  });
});

function blockOfPage(): string {
  const { text } = page('docs/performance-pg.md');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  expect(from, BEGIN).toBeGreaterThan(0);
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
