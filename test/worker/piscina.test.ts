import { Piscina } from 'piscina';
import { describe, expect, onTestFinished, test } from 'vitest';
import { expectWhole, open, record } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { outcome, settled, until } from '../support/wait.ts';

/** A Piscina whose workers know the pool. */
const piscina = (handle: unknown, options: object = {}) => {
  const jobs = new Piscina({
    filename: new URL('../support/piscina-task.js', import.meta.url).href,
    workerData: { handle },
    minThreads: 2,
    maxThreads: 2,
    execArgv: [],
    ...options,
  });
  // Node 20 may crash when a thread is terminated while it requires an ES module, as Piscina's threads do when they start.
  let loaded = 0;
  jobs.on('message', () => loaded++);
  const destroy = async (): Promise<void> => {
    await until(() => loaded >= jobs.threads.length);
    await settled(jobs.destroy());
  };
  onTestFinished(destroy);
  return {
    run: (task: object) => jobs.run(task) as Promise<unknown>,
    destroy,
    onError: (listener: () => void) => jobs.on('error', listener),
  };
};

describe.each(['sync', 'async', 'disabled'] as const)('in Piscina with atomics: %s', (atomics) => {
  test('many tasks on few resources', async () => {
    const pool = await open<Service>({ factory: service(), max: 1 });
    const log = record(pool);
    const jobs = piscina(pool.handle, { atomics });
    const results = await settled(
      Promise.all(Array.from({ length: 40 }, (_, n) => jobs.run({ kind: n % 3 ? 'use' : 'useSync', n }))) as Promise<
        { threadId: number; value: number }[]
      >,
    );
    expect(results.map(({ value }) => value)).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
    expect(log.attached.length).toBe(new Set(log.attached).size);
    expect(pool.stats()).toMatchObject({ count: 1, active: 0, waiting: 0, acquired: 40 });
  });

  test('what a task forgot comes back when Piscina is destroyed', async () => {
    const pool = await open<Service>({ factory: service(), max: 2 });
    const jobs = piscina(pool.handle, { atomics });
    await settled(jobs.run({ kind: 'hold' }));
    expect(pool.activeCount()).toBe(1);
    await jobs.destroy();
    await until(() => pool.activeCount() === 0);
    await expectWhole(pool);
  });
});

test('a worker that dies in a task gives back what it held, and its successor can attach', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const jobs = piscina(pool.handle, { minThreads: 1, maxThreads: 1 });
  jobs.onError(() => {});
  expect((await outcome(jobs.run({ kind: 'die' }))).error).toBeDefined();
  await until(() => pool.activeCount() === 0);
  expect(await settled(jobs.run({ kind: 'use', n: 41 }))).toMatchObject({ value: 42 });
});
