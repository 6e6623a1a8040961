import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { JobLostError, JobTimeoutError, RunnerClosedError } from 'cenote/jobs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { folderOfThisRun } from '../support/threads/compile.ts';
import { ownTime } from '../support/time.ts';
import { outcome, rejection, settled, until } from '../support/wait.ts';
import { isRunning, newFlag, open, run, whole } from './support.ts';

/** A file that this test may change. Not in dist/, which another test may be packing. */
function fileOf(text: string): { path: string; write(text: string): void } {
  const folder = folderOfThisRun();
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'job.mjs');
  const write = (to: string): void => writeFileSync(path, to);
  write(text);
  return { path, write };
}

const DEFINE = `import { defineJob } from 'cenote/jobs/worker';`;
const threadOf = () => (async () => (await load('node:worker_threads')).threadId)() as unknown;

function ends(runner: ReturnType<typeof open>): { reasons: (string | undefined)[]; starts: () => number } {
  const reasons: (string | undefined)[] = [];
  let starts = 0;
  runner.on('thread', ({ event, reason }) => {
    if (event === 'end') reasons.push(reason);
    else starts++;
  });
  return { reasons, starts: () => starts };
}

describe('a file that does not load', () => {
  test.each([
    ['throws', `throw new RangeError('at the top')`, { name: 'RangeError', message: 'at the top' }],
    ['is no JavaScript', 'const = 1', { name: 'SyntaxError' }],
    ['has no job', 'export default 1', { name: 'TypeError', message: expect.stringContaining('is no job: export default defineJob(...)') }],
    ['imports what is not there', `import './nowhere.mjs'`, { code: 'ERR_MODULE_NOT_FOUND' }],
    ['exits', 'process.exit(7)', { code: 'ERR_JOB_LOST', because: 'died', exitCode: 7 }],
  ])('since it %s: every run rejects with that, and there is no storm of threads', async (_, text, error) => {
    const { path } = fileOf(text);
    const runner = open({ filename: path, maxThreads: 3, minThreads: 1 });
    runner.on('error', () => {});
    const { reasons } = ends(runner);
    const began = performance.now();
    for (let n = 0; n < 5; n++) {
      const results = await Promise.all(Array.from({ length: 5 }, () => outcome(runner.run(n))));
      for (const result of results) expect(result.error).toMatchObject(error);
    }
    expect(reasons.length).toBeLessThanOrEqual(7);
    // Three threads may have failed at once, each for jobs of its own. Then 400 ms have passed before the next attempt, and 800 after it.
    expect(performance.now() - began).toBeGreaterThan(1000);
    expect(runner.stats()).toMatchObject({ submitted: 25, failed: 25 });
  });

  test('is tried again: when it has been mended, jobs run', async () => {
    const { path, write } = fileOf('throw new Error("broken")');
    const runner = open({ filename: path, maxThreads: 1 });
    expect(await rejection(runner.run(1))).toMatchObject({ message: 'broken' });
    write(`${DEFINE} export default defineJob((n) => n + 1);`);
    expect(await settled(runner.run(1))).toBe(2);
  });
});

test('workerData is what the job’s file sees, and a job may be a CommonJS file', async () => {
  const { path } = fileOf(`${DEFINE} import { workerData } from 'node:worker_threads'; export default defineJob(() => workerData);`);
  expect(await open({ filename: path, workerData: { own: [1] } }).run(0)).toEqual({ own: [1] });
  const common = path.replace('job.mjs', 'job.cjs');
  writeFileSync(common, `exports.default = require('cenote/jobs/worker').defineJob((n) => n * 2); exports.__esModule = true;`);
  expect(await open({ filename: new URL(`file://${common}`) }).run(4)).toBe(8);
});

describe('reload', () => {
  test('puts new threads in place of the old, one for one, and loses no job', async () => {
    const text = `${DEFINE} export default defineJob(async (buffer) => {
      while (Atomics.load(new Int32Array(buffer), 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      return 'old';
    });`;
    const { path, write } = fileOf(text);
    const [closed, open_] = [newFlag(), newFlag()];
    Atomics.store(open_, 0, 1);
    const runner = open({ filename: path, maxThreads: 2, minThreads: 2 });
    const { reasons } = ends(runner);
    await until(() => runner.stats().threads === 2);
    const under = [runner.run(closed.buffer), runner.run(closed.buffer)];
    await until(isRunning(runner, 2));
    write(`${DEFINE} export default defineJob(() => 'new');`);
    const [first, second, third] = [runner.reload(), runner.reload(), runner.reload()];
    const stream = Promise.all(Array.from({ length: 30 }, () => runner.run(open_.buffer)));
    Atomics.store(closed, 0, 1);
    expect(await Promise.all(under)).toEqual(['old', 'old']);
    await settled(Promise.all([first, second, third]));
    expect(await Promise.all([runner.run(1), runner.run(1)])).toEqual(['new', 'new']);
    for (const value of (await stream) as string[]) expect(['old', 'new']).toContain(value);
    expect(runner.stats()).toMatchObject({ lost: 0, failed: 0, cancelled: 0, completed: 34 });
    await until(() => reasons.filter((reason) => reason === 'reloaded').length >= 2);
  });

  test('rejects with the error of a thread that will not start, and keeps the old ones', async () => {
    const { path, write } = fileOf(`${DEFINE} export default defineJob(() => 'old');`);
    const runner = open({ filename: path, maxThreads: 1 });
    runner.on('error', () => {});
    expect(await runner.run(0)).toBe('old');
    write('throw new RangeError("new and broken")');
    expect(await rejection(runner.reload())).toMatchObject({ message: 'new and broken' });
    expect(await settled(runner.run(0))).toBe('old');
  });

  test('takes no longer than its timeout to say so', async () => {
    const runner = open({ maxThreads: 1 });
    const abort = new AbortController();
    const holds = run(runner, () => pause(60_000), [], { signal: abort.signal });
    await until(isRunning(runner));
    expect(await rejection(runner.reload({ timeout: 30 }))).toBeInstanceOf(JobTimeoutError);
    abort.abort();
    await rejection(holds);
  });
});

describe('recycleAfter', () => {
  test('jobs: no thread does more than so many, and none is lost', async () => {
    const runner = open({ maxThreads: 2, recycleAfter: { jobs: 3 } });
    const { reasons } = ends(runner);
    const done = new Map<number, number>();
    for (const thread of await Promise.all(Array.from({ length: 20 }, () => run(runner, threadOf as never))))
      done.set(thread, (done.get(thread) ?? 0) + 1);
    for (const jobs of done.values()) expect(jobs).toBeLessThanOrEqual(3);
    await until(() => reasons.filter((reason) => reason === 'recycled').length >= 4);
    expect(runner.stats()).toMatchObject({ completed: 20, lost: 0 });
    expect(runner.stats().recycledThreads).toBeGreaterThanOrEqual(4);
  });

  test('heapMB: a thread that keeps more is replaced', async () => {
    const runner = open({ maxThreads: 1, recycleAfter: { heapMB: 60 } });
    const first = await run(runner, threadOf as never);
    await run(runner, () => {
      (globalThis as any).kept = Array.from({ length: 200 }, () => new Array(50_000).fill(Math.random()));
    });
    await until(() => runner.stats().recycledThreads === 1);
    await until(async () => (await run(runner, threadOf as never)) !== first);
  });
});

test('threads that are idle are ended, but for minThreads', async () => {
  const runner = open({ maxThreads: 3, minThreads: 1, idleTimeout: 30 });
  const { reasons } = ends(runner);
  await Promise.all(Array.from({ length: 9 }, () => run(runner, () => pause(20))));
  await until(() => runner.stats().threads === 1);
  for (const reason of reasons) expect(reason).toBe('idle');
  expect(await run(runner, () => 'fine')).toBe('fine');
});

/** A job that ends when its flag is set, so that it can be seen running, however busy the machine is. */
const waitsFor = async (_: unknown, flag: Int32Array): Promise<string> => {
  while (Atomics.load(flag, 0) === 0) await pause(1);
  return 'finished';
};

describe('close', () => {
  test('lets running jobs finish, and rejects those that wait; the same promise for each call', async () => {
    const runner = open({ maxThreads: 1 });
    const { reasons } = ends(runner);
    const flag = newFlag();
    const running = run(runner, waitsFor, [flag]);
    await until(isRunning(runner));
    const waiting = run(runner, () => 'never');
    const closing = runner.close();
    expect(runner.close()).toBe(closing);
    expect(await rejection(waiting)).toBeInstanceOf(RunnerClosedError);
    Atomics.store(flag, 0, 1);
    expect(await running).toBe('finished');
    await closing;
    expect(reasons).toEqual(['closed']);
    expect(runner.stats()).toMatchObject({ completed: 1, cancelled: 1, threads: 0 });
    expect(await rejection(run(runner, () => 1))).toBeInstanceOf(RunnerClosedError);
    expect(runner.stats().submitted).toBe(2);
  });

  test('can finish what waits, and cancels at its timeout', async () => {
    // However long the thread takes to start, the timeout is over when the three jobs are through.
    const time = ownTime();
    const runner = open({ maxThreads: 1, grace: 20 });
    const jobs = [1, 2, 3].map((n) => run(runner, (_, value) => value, [n]));
    const late = outcome(run(runner, () => pause(60_000)));
    const never = outcome(run(runner, () => pause(60_000)));
    const closing = runner.close({ queued: 'finish', timeout: 1500 });
    expect(await settled(Promise.all(jobs))).toEqual([1, 2, 3]);
    await time.pass(1500);
    await settled(closing);
    for (const { error } of await Promise.all([late, never])) expect(error).toBeInstanceOf(RunnerClosedError);
    whole(runner);
    expect(runner.stats()).toMatchObject({ completed: 3, cancelled: 2 });
  });

  test('while threads die, and while they start', async () => {
    const runner = open({ maxThreads: 3, minThreads: 3 });
    const flag = newFlag();
    const dies = async (_: unknown, ends: Int32Array): Promise<never> => {
      while (Atomics.load(ends, 0) === 0) await pause(1);
      return process.exit(1);
    };
    const dying = Array.from({ length: 3 }, () => outcome(run(runner, dies, [flag])));
    await until(() => runner.stats().running > 0);
    const closing = runner.close();
    Atomics.store(flag, 0, 1);
    await settled(closing);
    const errors = (await Promise.all(dying)).map(({ error }) => error);
    for (const error of errors) expect(error instanceof JobLostError || error instanceof RunnerClosedError).toBe(true);
    await settled(open({ maxThreads: 3, minThreads: 3 }).close());
  });
});

test('an idle runner does not keep the process alive, and one with jobs does', () => {
  const text = `
    import { JobRunner } from 'cenote/jobs';
    const runner = new JobRunner({ filename: ${JSON.stringify(fileURLToPath(new URL('./any-job.js', import.meta.url)))}, maxThreads: 1 });
    const job = { code: '() => new Promise((resolve) => setTimeout(resolve, 100, "done"))', args: [] };
    console.log(await Promise.all([runner.run(job), runner.run(job)]).then(String));
  `;
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect([stdout, status]).toEqual(['done,done\n', 0]);
});
