/** One thread takes over from another: how many there may be at once, and what holds where it cannot be. */
import { rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { JobRunner } from 'cenote/jobs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { folderOfThisRun } from '../support/threads/compile.ts';
import { failureOf, gate, outcome, rejection, settled, until } from '../support/wait.ts';
import { ANY_JOB, type Body, isRunning, newFlag, open, run, whole } from './support.ts';

/** As Piscina sees it, which makes the threads. */
const threads = createRequire(import.meta.url)('node:worker_threads') as {
  Worker: new (...args: never[]) => { once(event: 'exit', then: () => void): void; terminate(): Promise<number> };
};

interface Workers {
  made: number;
  alive: number;
  most: number;
  /** With it none is made. */
  refusal: Error | undefined;
  /** None that is terminated ends before that. */
  mayEnd: Promise<void>;
}

/** Counts the workers that are made from here on. */
function watchWorkers(): Workers {
  const { Worker } = threads;
  const seen: Workers = { made: 0, alive: 0, most: 0, refusal: undefined, mayEnd: Promise.resolve() };
  threads.Worker = class extends Worker {
    constructor(...args: never[]) {
      if (seen.refusal !== undefined) throw seen.refusal;
      super(...args);
      seen.made++;
      seen.most = Math.max(seen.most, ++seen.alive);
      this.once('exit', () => void seen.alive--);
    }

    override async terminate(): Promise<number> {
      await seen.mayEnd;
      return super.terminate();
    }
  };
  onTestFinished(() => {
    threads.Worker = Worker;
  });
  return seen;
}

const refused = (): Error => Object.assign(new Error('no more threads'), { code: 'ERR_WORKER_INIT_FAILED' });

/** Ends when its flag is set. */
const held: Body = async (_, ends: Int32Array) => {
  while (Atomics.load(ends, 0) === 0) await pause(1);
  return 'held';
};
const threadOf: Body = async () => (await load('node:worker_threads')).threadId;

const THREAD = `import { defineJob } from 'cenote/jobs/worker'; import { threadId } from 'node:worker_threads';`;
const KEEPS = `export default defineJob((mb) => {
  (globalThis.kept ??= []).push(Array.from({ length: mb }, () => new Array(131072).fill(Math.random())));
  return threadId;
});`;
const HOLDS = `export default defineJob(async (ends) => {
  while (ends !== undefined && Atomics.load(ends, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  return threadId;
});`;

/** A job's file that this test may change. */
function fileOf(text: string): { filename: string; write(text: string): void } {
  const folder = folderOfThisRun();
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const filename = join(folder, 'job.mjs');
  const write = (to: string): void => writeFileSync(filename, to);
  write(text);
  return { filename, write };
}

describe('where as many threads are there as may be', () => {
  const settings = { maxThreads: 1, concurrentTasksPerWorker: 4, recycleAfter: { jobs: 1 } };

  test('the successor of one that is used up waits for the end of another, and so do the jobs', async () => {
    const workers = watchWorkers();
    const runner = open(settings);
    const ends = Array.from({ length: 3 }, newFlag);
    const jobs = ends.map((flag) => run(runner, held, [flag]));
    await until(isRunning(runner, 3));
    const fourth = run(runner, threadOf);
    const fifth = run(runner, threadOf);
    Atomics.store(ends[0]!, 0, 1);
    expect(await settled(jobs[0]!)).toBe('held');
    // Each on a thread of its own.
    expect(await settled(fourth)).not.toBe(await settled(fifth));
    for (const flag of ends) Atomics.store(flag, 0, 1);
    expect(await settled(Promise.all(jobs))).toEqual(['held', 'held', 'held']);
    expect(workers.most).toBeLessThanOrEqual(3);
    await settled(runner.close());
    expect(workers.alive).toBe(0);
  });

  test('one that is used up and has nothing to do goes, and its successor comes in its place', async () => {
    const runner = open(settings);
    const ends = newFlag();
    const jobs = [run(runner, held, [ends]), run(runner, held, [ends])];
    await until(isRunning(runner, 2));
    // The third of three threads, and then it stands in the way of the fourth.
    for (let n = 0; n < 3; n++) expect(await settled(run(runner, () => 'short'))).toBe('short');
    Atomics.store(ends, 0, 1);
    expect(await settled(Promise.all(jobs))).toEqual(['held', 'held']);
  });

  test('close ends them all', async () => {
    const runner = open(settings);
    const ends = newFlag();
    const jobs = [1, 2, 3].map(() => run(runner, held, [ends]));
    await until(isRunning(runner, 3));
    const waits = outcome(run(runner, threadOf));
    const closing = runner.close({ queued: 'finish' });
    Atomics.store(ends, 0, 1);
    await settled(Promise.all([...jobs, waits, closing]));
    expect(runner.stats()).toMatchObject({ completed: 4, threads: 0 });
  });

  test('reload waits for a place', async () => {
    const workers = watchWorkers();
    const runner = open(settings);
    const ends = newFlag();
    const jobs = [1, 2, 3].map(() => run(runner, held, [ends]));
    await until(isRunning(runner, 3));
    const reloaded = runner.reload();
    Atomics.store(ends, 0, 1);
    await settled(Promise.all([...jobs, reloaded]));
    expect(await settled(run(runner, () => 'fine'))).toBe('fine');
    expect(workers.most).toBeLessThanOrEqual(3);
  });

  test('every thread that there is belongs to the runner, however many take over, and however long others take to end', async () => {
    const workers = watchWorkers();
    const runner = open({ maxThreads: 2, minThreads: 2, recycleAfter: { jobs: 1 } });
    let starts = 0;
    runner.on('thread', ({ event }) => void (event === 'start' && starts++));
    const ends = gate();
    workers.mayEnd = ends.promise;
    const jobs = Promise.all(Array.from({ length: 12 }, () => run(runner, threadOf)));
    // Then each thread that there may be has done its job.
    await until(() => runner.stats().completed === 5);
    ends.open();
    const seen = await settled(jobs);
    expect(new Set(seen).size).toBe(12);
    expect(workers.most).toBeLessThanOrEqual(5);
    await until(() => starts === workers.made && runner.stats().threads === workers.alive);
    await settled(runner.close());
    expect(workers.alive).toBe(0);
  });
});

describe('a thread whose successor cannot load the file', () => {
  const BROKEN = 'throw new RangeError("broken")';

  test('because of its heap: goes on with jobs, until one has taken over', async () => {
    const { filename, write } = fileOf(THREAD + KEEPS);
    const runner = open({ filename, maxThreads: 1, recycleAfter: { heapMB: 60 } });
    const errors: Error[] = [];
    runner.on('error', (error) => errors.push(error));
    const first = await runner.run(0);
    write(BROKEN);
    expect(await runner.run(80)).toBe(first);
    await until(() => errors.length > 0);
    expect(errors[0]).toMatchObject({ message: 'broken' });
    expect(await settled(runner.run(0))).toBe(first);
    expect(runner.stats()).toMatchObject({ recycledThreads: 0 });
    write(THREAD + KEEPS);
    await until(() => runner.stats().recycledThreads === 1);
    expect(await settled(runner.run(0))).not.toBe(first);
    expect(runner.stats()).toMatchObject({ failed: 0, lost: 0 });
  });

  test('because of its jobs: does no more of them, and those that wait hear why, until one has taken over', async () => {
    const { filename, write } = fileOf(THREAD + HOLDS);
    const runner = open({ filename, maxThreads: 1, recycleAfter: { jobs: 2 } });
    runner.on('error', () => {});
    const ends: (string | undefined)[] = [];
    runner.on('thread', ({ event, threadId, reason }) => void (event === 'end' && threadId === first && ends.push(reason)));
    const first = await runner.run(undefined);
    write(BROKEN);
    const flag = newFlag();
    const second = runner.run(flag);
    for (let n = 0; n < 3; n++) expect(await rejection(runner.run(undefined))).toMatchObject({ message: 'broken' });
    Atomics.store(flag, 0, 1);
    expect(await settled(second)).toBe(first);
    expect(await rejection(runner.run(undefined))).toMatchObject({ message: 'broken' });
    expect(runner.stats()).toMatchObject({ completed: 2, failed: 4, recycledThreads: 0 });
    expect(ends).toEqual([]);
    write(THREAD + HOLDS);
    await until(() => ends.length > 0);
    expect(ends).toEqual(['recycled']);
    expect(await settled(runner.run(undefined))).not.toBe(first);
  });
});

describe('a thread that cannot be made', () => {
  test('since there are no such options: run rejects with that, and nothing is left', async () => {
    const runner = new JobRunner({ filename: ANY_JOB, minThreads: 0, execArgv: ['--max-old-space-size=64'] });
    for (let n = 0; n < 2; n++) expect(await rejection(runner.run(1))).toMatchObject({ code: 'ERR_WORKER_INVALID_EXEC_ARGV' });
    whole(runner);
    expect(runner.stats()).toMatchObject({ submitted: 2, failed: 2, waiting: 0, threads: 0 });
    await settled(runner.close());
    expect(await failureOf(() => new JobRunner({ filename: ANY_JOB, execArgv: ['--max-old-space-size=64'] }))).toMatchObject({
      code: 'ERR_WORKER_INVALID_EXEC_ARGV',
    });
  });

  test('that dies before it is ready is one that does not load', async () => {
    const workers = watchWorkers();
    const runner = open({ maxThreads: 2, minThreads: 0, execArgv: ['--import', 'data:text/javascript,process.exit(3)'] });
    for (const made of [1, 2]) {
      expect(await rejection(run(runner, threadOf))).toMatchObject({ code: 'ERR_JOB_LOST', exitCode: 3 });
      // The job that is told waits for no other, so none is begun.
      await until(() => workers.alive === 0);
      expect(workers.made).toBe(made);
    }
    await settled(runner.close());
    expect(workers).toMatchObject({ made: 2, alive: 0 });
  });

  test('is tried again, and no event of the runner fails with it', async () => {
    const workers = watchWorkers();
    const runner = open({ maxThreads: 1, recycleAfter: { jobs: 2 } });
    const errors: unknown[] = [];
    runner.on('error', (error) => errors.push(error));
    const first = await run(runner, threadOf);
    workers.refusal = refused();
    // For a reload, for the successor of one that is used up, and for a job that waits behind one whose thread dies.
    expect(await rejection(runner.reload())).toBe(workers.refusal);
    const flag = newFlag();
    const second = run(runner, held, [flag]);
    expect(await rejection(run(runner, threadOf))).toBe(workers.refusal);
    Atomics.store(flag, 0, 1);
    expect(await settled(second)).toBe('held');
    workers.refusal = undefined;
    await until(() => runner.stats().recycledThreads === 1);
    expect(await settled(run(runner, threadOf))).not.toBe(first);
    workers.refusal = refused();
    const dies = run(runner, () => process.exit(1));
    const waits = outcome(run(runner, threadOf));
    expect(await rejection(dies)).toMatchObject({ code: 'ERR_JOB_LOST' });
    expect((await waits).error).toBe(workers.refusal);
    workers.refusal = undefined;
    expect(await settled(run(runner, () => 'fine'))).toBe('fine');
    expect(errors.length).toBeGreaterThan(0);
  });
});
