/** What needs no control block: durations, clocks, errors on the wire, and what keeps a process alive. */
import { expect, test, vi } from 'vitest';
import { now, since, stamp } from '../../dist/shared/clock.js';
import { HISTOGRAM_BUCKETS } from '../../dist/shared/layout.js';
import { KeepAlive } from '../../dist/shared/waiting/keep-alive.js';
import { fromWire, toWire } from '../../dist/shared/wire/error-wire.js';
import { bucketOf, Histogram, middleOf } from '../../dist/shared/words/histogram.js';

test('the middle of a bucket is in it, and at most 6.25 % off', () => {
  for (let bucket = 0; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
    const middle = middleOf(bucket);
    expect(bucketOf(Math.floor(middle)), String(bucket)).toBe(bucket);
    expect(bucketOf(Math.floor(middle) + Math.ceil(middle * 0.13) + 1)).toBeGreaterThan(bucket);
  }
  expect(bucketOf(2 ** 60)).toBe(HISTOGRAM_BUCKETS - 1);
});

test('percentiles are of the sample that has so many below it', () => {
  const histogram = new Histogram(new Int32Array(new SharedArrayBuffer(HISTOGRAM_BUCKETS * 4)), 0);
  for (const milliseconds of [0.001, 0.002]) histogram.record(milliseconds);
  expect(histogram.read()).toEqual({ count: 2, p50: 0.001, p90: 0.002, p99: 0.002, max: 0.002 });
});

test('the clock is that of the process, and stamps wrap', () => {
  const ofTheProcess = (): number => Number(process.hrtime.bigint()) / 1e6;
  const before = ofTheProcess();
  const read = now();
  const after = ofTheProcess();
  expect(read).toBeGreaterThan(before - 1);
  expect(read).toBeLessThan(after + 1);
  // Stamped 100 ms before the stamps wrapped, seen 100 ms after.
  const wrapped = vi.spyOn(performance, 'now').mockReturnValue(2 ** 31 + 100 - (now() - performance.now()));
  try {
    expect(stamp()).toBeLessThan(0);
    expect(since(2 ** 31 - 100)).toBeGreaterThanOrEqual(199);
    expect(since(2 ** 31 - 100)).toBeLessThan(202);
  } finally {
    wrapped.mockRestore();
  }
});

test('errors cross with the class of the language, and not without end', () => {
  expect(fromWire(toWire(new RangeError('far')))).toBeInstanceOf(RangeError);
  // The same object over and over is small on the wire, and would be 2^30 errors.
  const wire = { ...(toWire(new Error('leaf')) as object), own: [] } as never as { own: unknown[] };
  let many: unknown = wire;
  for (let level = 0; level < 14; level++)
    many = {
      ...wire,
      own: [
        ['a', many, true, 'error'],
        ['b', many, true, 'error'],
      ],
    };
  const got = fromWire(many as never) as Error;
  expect(got.message).toContain('cannot be read');
});

test('errors that hold each other cross once, whatever holds them', () => {
  const parent = Object.assign(new Error('parent'), { errors: [] as Error[] });
  for (let n = 0; n < 200; n++) parent.errors.push(Object.assign(new Error(`child ${n}`), { parent, siblings: parent.errors }));
  type Family = Error & { errors: { message: string; parent?: Error; siblings: Error[] }[] };
  const got = fromWire(toWire(parent)) as Family;
  expect(got.message).toBe('parent');
  // The first of them holds all others, which hold what is not around them: after a thousand there is room for none.
  const first = got.errors[0];
  expect([first.message, first.parent, first.siblings[0]?.message]).toEqual(['child 0', undefined, 'child 1']);
  const plain = Object.assign(new Error('plain'), { errors: [] as Error[] });
  for (let n = 0; n < 200; n++) plain.errors.push(Object.assign(new Error(`child ${n}`), { parent: plain }));
  const all = fromWire(toWire(plain)) as Family;
  expect(all.errors.map(({ message, parent: held }) => [message, held])).toEqual(
    Array.from({ length: 200 }, (_, n) => [`child ${n}`, undefined]),
  );
  const own = new Error('own', { cause: undefined });
  own.cause = own;
  expect((fromWire(toWire(own)) as Error).cause).toBeUndefined();
  let deep = new Error('end');
  for (let n = 0; n < 20; n++) deep = new Error(`around ${n}`, { cause: deep });
  let count = 0;
  for (let each: unknown = fromWire(toWire(deep)); each instanceof Error; each = each.cause) count++;
  expect(count).toBe(9);
});

test('a timer is held while anything is pending, and not afterwards', () => {
  const keepAlive = new KeepAlive();
  const held = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = held();
  keepAlive.ref();
  keepAlive.ref();
  expect(held()).toBe(before + 1);
  keepAlive.unref();
  expect(held()).toBe(before + 1);
  keepAlive.unref();
  expect(held()).toBe(before);
  keepAlive.end();
});
