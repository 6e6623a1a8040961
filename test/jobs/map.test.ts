import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, test } from 'vitest';
import { outcome, rejection, staysPending, until } from '../support/wait.ts';
import { isRunning, job, open, run } from './support.ts';

async function all<V>(results: AsyncIterable<V>): Promise<V[]> {
  const list: V[] = [];
  for await (const value of results) list.push(value);
  return list;
}

const paced = (n: number) => job(async (_, value) => pause((value * 7) % 5).then(() => value), n);
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

describe('map', () => {
  test('gives results in order, or as they come, of any iterable', async () => {
    const runner = open();
    expect(await all(runner.map(numbers(20).map(paced)))).toEqual(numbers(20));
    expect((await all(runner.map(numbers(20).map(paced), { ordered: false, concurrency: 4 }))).sort((a: any, b: any) => a - b)).toEqual(
      numbers(20),
    );
    expect(await all(runner.map([]))).toEqual([]);
    expect(await all(runner.map([Promise.resolve(paced(1)), paced(2)] as any[]))).toEqual([1, 2]);
    async function* source() {
      yield paced(1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield paced(2);
    }
    expect(await all(runner.map(source()))).toEqual([1, 2]);
  });

  test('takes payloads only as fast as its consumer takes results, at most so many at once, in the caller’s async context', async () => {
    const runner = open();
    const storage = new AsyncLocalStorage<string>();
    let taken = 0;
    const contexts = new Set<unknown>();
    function* source() {
      for (;;) {
        contexts.add(storage.getStore());
        yield paced(taken++);
      }
    }
    const results = storage.run('caller', () => runner.map(source(), { concurrency: 3 }));
    await staysPending(new Promise((resolve) => taken > 0 && resolve(1)));
    expect(await results.next()).toEqual({ done: false, value: 0 });
    await until(() => runner.stats().running + runner.stats().waiting === 0);
    expect(taken).toBeLessThanOrEqual(4);
    const before = taken;
    for (let n = 1; n <= 5; n++) expect(await results.next()).toEqual({ done: false, value: n });
    expect(taken).toBeGreaterThan(before);
    await results.return!();
    expect([...contexts]).toEqual(['caller']);
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  test('stops at the first error: the rest is cancelled and awaited, the source closed', async () => {
    const runner = open();
    let closed = 0;
    function* source() {
      try {
        yield job(() => 'fine');
        yield job(() => pause(60_000));
        yield job(() => Promise.reject(new RangeError('third')));
        for (;;) yield job(() => pause(60_000));
      } finally {
        closed++;
      }
    }
    const results = runner.map(source(), { concurrency: 3 });
    expect(await results.next()).toMatchObject({ value: 'fine' });
    expect(await rejection(results.next())).toMatchObject({ message: 'third' });
    expect(closed).toBe(1);
    expect(runner.stats()).toMatchObject({ running: 0, waiting: 0, failed: 1 });
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  test('with settle goes on, and says of each what became of it', async () => {
    const runner = open();
    const results = await all(
      runner.map([paced(1), job(() => Promise.reject(new RangeError('no'))), () => {}, paced(2)] as any[], { settle: true }),
    );
    expect(results).toMatchObject([
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: { message: 'no' } },
      { status: 'rejected', reason: { name: 'DataCloneError' } },
      { status: 'fulfilled', value: 2 },
    ]);
    // Also in a scope, which does not fail by it.
    expect(await runner.scope((scope) => all(scope.map([job(() => Promise.reject(new Error('no')))], { settle: true })))).toHaveLength(1);
    expect(await rejection(runner.scope((scope) => all(scope.map([job(() => Promise.reject(new Error('no')))]))))).toMatchObject({
      message: 'no',
    });
  });

  test('cancels what is in flight when its consumer leaves, and ends by its signal, or with its source’s error', async () => {
    const runner = open();
    let closed = 0;
    async function* source() {
      try {
        yield job(() => 1);
        for (;;) yield job(() => pause(60_000));
      } finally {
        closed++;
      }
    }
    for await (const value of runner.map(source())) {
      expect(value).toBe(1);
      await until(isRunning(runner, 2));
      break;
    }
    expect(closed).toBe(1);
    expect(runner.stats()).toMatchObject({ running: 0, waiting: 0 });

    const abort = new AbortController();
    const ended = all(runner.map(source(), { signal: abort.signal }));
    await until(isRunning(runner, 2));
    abort.abort(new Error('by signal'));
    expect(await rejection(ended)).toMatchObject({ message: 'by signal' });
    expect(closed).toBe(2);
    expect(await rejection(all(runner.map([1], { signal: abort.signal })))).toMatchObject({ message: 'by signal' });

    function* breaks() {
      yield job(() => 1);
      throw new Error('of the source');
    }
    expect(await rejection(all(runner.map(breaks())))).toMatchObject({ message: 'of the source' });
    expect(await run(runner, () => 'fine')).toBe('fine');
  });

  test('waits for room where run would be refused', async () => {
    const runner = open({ maxThreads: 1, maxQueue: 1 });
    expect(await all(runner.map(numbers(10).map(paced), { concurrency: 5 }))).toEqual(numbers(10));
    expect((await outcome(runner.map(numbers(3).map(paced)).next())).value).toMatchObject({ value: 0 });
  });
});
