/** `cenote top`, as one runs it where there is no terminal. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { serveDashboard } from 'cenote/observe';
import { expect, onTestFinished, test } from 'vitest';
import { screen } from '../../src/cli/top/screen.ts';
import { open } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';

const cli = fileURLToPath(new URL('../../dist/cli/cli.js', import.meta.url));

function top(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, 'top', ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function served(token?: string) {
  const pool = await open<Service>({ factory: service(), name: 'orders', min: 1, max: 2 });
  const dashboard = await serveDashboard([pool], { title: 'Shop', ...(token === undefined ? {} : { token }) });
  onTestFinished(() => dashboard.close());
  return { pool, url: dashboard.url };
}

test('prints once: a table, or JSON', async () => {
  const { pool, url } = await served();
  const held = await pool.acquire();
  const waiting = [pool.acquire(), pool.acquire()];
  // The second resource is made: so only one waits.
  await waiting[0];
  const table = await top(url);
  expect(table).toMatchObject({ code: 0, stderr: '' });
  expect(table.stdout).toMatch(/^Shop {2}\d\d:\d\d:\d\d {2}1 pool\n/);
  expect(table.stdout).toMatch(/orders +active +█+ +2\/2 +1 +0/);
  expect(table.stdout).toContain('line: thread 0');
  const json = await top(url, '--once', '--json');
  expect(json.code).toBe(0);
  expect(JSON.parse(json.stdout)).toMatchObject({ title: 'Shop', pools: [{ name: 'orders', used: 2, waiting: 1 }] });
  pool.release(held);
  for (const each of waiting) pool.release(await each);
});

test('shows the jobs of a runner, those under way first', async () => {
  const pool = await open<Service>({ factory: service(), name: 'orders', min: 1, max: 2 });
  const jobs = [
    ...Array.from({ length: 7 }, (_, n) => ({ job: n + 10, done: 1, total: 1 })),
    { job: 9, name: 'import\u001b[2J', done: 3, total: 4, message: 'prices' },
    { job: 8, done: 12 },
  ];
  const runner = {
    stats: () => ({ running: 2, failed: 0, completed: 7, utilization: 0.5198 }),
    on: (_: string, listener: (progress: (typeof jobs)[number]) => void) => jobs.forEach((job) => void listener(job)),
  };
  const dashboard = await serveDashboard([pool], { runner });
  onTestFinished(() => dashboard.close());
  const { stdout } = await top(dashboard.url);
  expect(stdout.slice(stdout.indexOf('JOBS'))).toBe(
    'JOBS  running 2  completed 7  utilization 0.52\n  job 8: 12\n  import?[2J: 3/4 prices\n  job 16: 1/1\n  job 15: 1/1\n  job 14: 1/1\n  and 4 more\n',
  );
});

test('with a token it is let in, without one it says what is missing: exit code 1', async () => {
  const { url } = await served('sesame');
  expect(await top(url)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('give its --token') });
  expect(await top(url, '--token', 'wrong')).toMatchObject({ code: 1, stderr: expect.stringContaining('the token is wrong') });
  expect((await top(url, '--token', 'sesame')).code).toBe(0);
  expect((await top(`${url}/?token=sesame`)).code).toBe(0);
});

test('exit code 1 where nothing answers, 2 for what cannot be meant', async () => {
  const { url } = await served();
  const gone = new URL(url);
  gone.port = '9';
  expect(await top(gone.href)).toMatchObject({ code: 1, stderr: expect.stringMatching(/cannot be reached: (?!fetch failed)/) });
  expect(await top(`${url}/nowhere`)).toMatchObject({ code: 1, stderr: expect.stringContaining('/nowhere/snapshot answers 404') });
  const { port } = new URL(url);
  for (const short of [port, `:${port}`]) expect(await top(short, '--once')).toMatchObject({ code: 0 });
  for (const [args, message] of [
    [[], 'which dashboard?'],
    [[url, url], 'one address is enough'],
    [['ftp://here'], 'begins with http'],
    [[url, '--often'], '--often'],
    [[url, '--token', ''], '--token is empty'],
  ] as const)
    expect(await top(...args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) });
  expect(await top('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('usage: cenote top <url>') });
});

test('a name cannot steer the terminal', async () => {
  const { url } = await served();
  const snapshot = JSON.parse((await top(url, '--json')).stdout);
  snapshot.pools[0].name = 'evil\u001b[2J\n';
  const text = screen(snapshot, { columns: 100, rows: 20, colours: false });
  expect(text).toContain('evil?[2J?');
  expect(text).not.toContain('\u001b');
});
