/** Metrics for Prometheus and OpenTelemetry: what they say is what stats() says, they only grow, and they go with their pool. */
import { AggregationTemporality, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { inspect, openTelemetry, openTelemetryProducer, prometheus } from 'cenote/observe';
import { Counter, Registry } from 'prom-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Growing, powers } from '../../src/observe/buckets.ts';
import { Meters } from '../../src/observe/meter.ts';
import { METRICS } from '../../src/observe/metrics.ts';
import { OBSERVED } from '../../src/shared/observing/observed.ts';
import { open } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { thread } from '../support/thread.ts';
import { settled, until } from '../support/wait.ts';

/** Series by name with labels. */
async function scrape(registry: Registry): Promise<Map<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

const of = (name: string, labels = ''): string => `cenote_${name}{pool="p"${labels}}`;

test('a reading tells resources destroyed for a reason from a counter of the same name', () => {
  const none = { acquired: 0, fromLine: 0 };
  const observed = {
    key: 'of this test',
    name: 'p',
    totals: () => ({ ...none, destroyed: { revoked: 1, closed: 2 } }),
    buckets: () => [],
    counts: () => ({ idle: 0, used: 0, making: 0 }),
    held: () => new Map(),
  };
  const pool = { [OBSERVED]: observed, isClosed: () => false, stats: () => ({ revoked: 5, closed: 7 }) };
  const [reading] = new Meters([pool as never]).read();
  expect([...reading!.destroyed]).toEqual([
    ['revoked', 1],
    ['closed', 2],
  ]);
  expect(reading!.counters.revoked).toBe(5);
});

describe('prometheus', () => {
  test('says what stats() says', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 3 });
    const registry = prometheus([pool, pool], { registry: new Registry() });
    const one = await thread(pool);
    await one.hold(2);
    const mine = await pool.acquire();
    await expect(pool.acquire({ timeout: 1 })).rejects.toThrow();
    const waiting = pool.acquire();
    const seen = await scrape(registry);
    expect(Object.fromEntries(seen)).toMatchObject({
      [of('pool_resources', ',state="idle"')]: 0,
      [of('pool_resources', ',state="used"')]: 3,
      [of('pool_resources', ',state="making"')]: 0,
      [of('pool_resources_max')]: 3,
      [of('pool_resources_min')]: 1,
      [of('pool_waiting')]: 1,
      [of('pool_threads')]: 1,
      [of('pool_thread_held', ',thread="0"')]: 1,
      [of('pool_thread_held', ',thread="1"')]: 2,
      [of('pool_breaker_state', ',state="active"')]: 1,
      [of('pool_breaker_state', ',state="inactive"')]: 0,
      [of('pool_breaker_state', ',state="recovering"')]: 0,
      [of('pool_suspended')]: 0,
      [of('pool_acquired_total')]: 3,
      [of('pool_released_total')]: 0,
      [of('pool_created_total')]: 3,
      [of('pool_timeouts_total')]: 1,
      [of('pool_rejected_total')]: 0,
      // Three hand-outs, and one wait in vain; the one that still waits does not count yet.
      [of('pool_wait_seconds_count')]: 4,
      [of('pool_create_seconds_count')]: 3,
    });
    pool.release(mine);
    pool.destroy(await waiting);
    await until(() => pool.stats().destroyed === 1);
    expect((await scrape(registry)).get(of('pool_destroyed_total', ',reason="destroyed"'))).toBe(1);
    await one.giveBack();
    await one.giveBack();
  });

  test('a histogram is one: its buckets are cumulative, its last is its count', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1 });
    const registry = prometheus([pool], { registry: new Registry() });
    for (let i = 0; i < 5; i++) pool.release(await pool.acquire());
    const held = await pool.acquire();
    const waiting = pool.acquire();
    const since = performance.now();
    await until(() => performance.now() - since > 5);
    pool.release(held);
    pool.release(await waiting);
    const seen = await scrape(registry);
    const buckets = [...seen].filter(([name]) => name.startsWith('cenote_pool_wait_seconds_bucket')).map(([, value]) => value);
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
    expect(buckets.at(-1)).toBe(7);
    expect(buckets[0]).toBe(6);
    expect(seen.get(of('pool_wait_seconds_count'))).toBe(7);
    expect(seen.get(of('pool_wait_seconds_sum'))).toBeGreaterThan(0.004);
  });

  test('survives resetMetrics, and writes what OpenMetrics wants', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1 });
    const registry = new Registry();
    prometheus([pool], { registry });
    pool.release(await pool.acquire());
    registry.resetMetrics();
    expect((await scrape(registry)).get(of('pool_acquired_total'))).toBe(1);
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
    for (let i = 0; i < 2; i++) {
      const text = await registry.metrics();
      expect(text).toContain('# TYPE cenote_pool_acquired counter\ncenote_pool_acquired_total{pool="p"} 1\n');
      expect(text).toMatch(/# EOF\n$/);
    }
    registry.setContentType(Registry.PROMETHEUS_CONTENT_TYPE as never);
    expect(await registry.metrics()).toContain('# TYPE cenote_pool_acquired_total counter\ncenote_pool_acquired_total{pool="p"} 1\n');
    expect((await registry.getMetricsAsJSON()).map(({ name }) => name)).toContain('cenote_pool_wait_seconds');
  });

  test('series are gone when their pool closes; the second of a name keeps its number', async () => {
    const twins = [
      await open<Service>({ factory: service(), name: 'p', min: 1 }),
      await open<Service>({ factory: service(), name: 'p', min: 1 }),
    ];
    const registry = prometheus(twins, { registry: new Registry() });
    expect([...(await scrape(registry)).keys()]).toContain('cenote_pool_waiting{pool="p#2"}');
    await twins[0]!.close();
    const names = [...(await scrape(registry)).keys()];
    expect(names).toContain('cenote_pool_waiting{pool="p#2"}');
    expect(names).not.toContain(of('pool_waiting'));
  });

  test('throws for a metric that the registry has already, and registers none then', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p' });
    const registry = new Registry();
    new Counter({ name: 'cenote_pool_released_total', help: 'h', registers: [registry] });
    expect(() => prometheus([pool], { registry })).toThrow('cenote_pool_released_total');
    expect(registry.getMetricsAsArray()).toHaveLength(1);
    prometheus([pool], { registry, prefix: 'mine_' });
    expect(registry.getSingleMetric('mine_pool_waiting')).toBeDefined();
  });

  test.each([
    [{ prefix: '3 wrong' }, TypeError],
    [{ prefix: 3 }, TypeError],
    [{ registry: {} }, TypeError],
    [{ registri: 1 }, TypeError],
  ])('refuses %j', (options, type) => expect(() => prometheus([], options as never)).toThrow(type));

  test('from a worker, while the owner is busy, with numbers that move', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1 });
    const [watcher, borrower] = [await thread(pool), await thread(pool)];
    const scrapes = watcher.run(async ({ pool, load, flags, sleep }) => {
      const { prometheus: metrics } = (await load('cenote/observe')) as typeof import('cenote/observe');
      const { Registry: Own } = (await load('prom-client')) as typeof import('prom-client');
      const registry = metrics([pool], { registry: new Own() });
      await registry.metrics();
      Atomics.store(flags, 1, 1);
      while (Atomics.load(flags, 0) === 0) await sleep(1);
      const counts: number[] = [];
      while (counts.length < 3) {
        const count = Number(/cenote_pool_acquired_total\{pool="p"\} (\d+)/.exec(await registry.metrics())![1]);
        if (count !== counts.at(-1)) counts.push(count);
        await sleep(30);
      }
      Atomics.store(flags, 2, 1);
      return counts;
    });
    await until(() => Atomics.load(watcher.flags, 1) === 1);
    const borrowing = borrower.run(({ pool }, flags) => {
      while (Atomics.load(flags, 2) === 0) pool.release(pool.acquireSync());
    }, watcher.flags);
    await until(() => pool.stats().acquired > 10);
    watcher.raise(0);
    const end = performance.now() + 30_000;
    while (Atomics.load(watcher.flags, 2) === 0 && performance.now() < end);
    expect(Atomics.load(watcher.flags, 2), 'three numbers while the owner was busy').toBe(1);
    const counts = await settled(scrapes);
    expect(counts).toEqual([...counts].sort((one, other) => one - other));
    await settled(borrowing);
  });
});

test('counters and buckets only grow, whatever the words behind them do', () => {
  const growing = new Growing();
  const buckets = new Uint32Array(320);
  buckets[5] = 2 ** 32 - 1;
  growing.grow(buckets);
  const next = new Uint32Array(buckets);
  next[5] = 2;
  growing.grow(next);
  expect(growing.counts[5]).toBe(2 ** 32 + 2);
});

test('buckets lie where they say', () => {
  const growing = new Growing();
  const buckets = new Uint32Array(320);
  // 10 us: two powers of two above 8, in eighths.
  for (const bucket of [3, 10, 60]) buckets[bucket] = 1;
  growing.grow(buckets);
  const { counts, count, sum } = growing.read(powers(3, 12, 3), 4);
  // Bounds 8, 64, 512 and 4096 us: 4 zeros and 3 us, 10 us, none, 12 * 2^6 = 768 us.
  expect(counts).toEqual([5, 1, 0, 1, 0]);
  expect(count).toBe(7);
  expect(sum).toBeCloseTo((3 + 10 + 768 + 31.5) / 1e6, 8);
});

class Reader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

async function collected(reader: Reader): Promise<Map<string, unknown[]>> {
  const { resourceMetrics, errors } = await reader.collect();
  expect(errors).toEqual([]);
  const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  return new Map(
    metrics.map(({ descriptor, dataPoints }) => [
      descriptor.name,
      (dataPoints as { attributes: object; value: unknown }[]).map(({ attributes, value }) => [attributes, value]),
    ]),
  );
}

describe('openTelemetry', () => {
  test('has all nine metrics of the semantic conventions, by the pool’s name', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 3 });
    // A cumulative reader goes on with the last value that was observed.
    const reader = new Reader({
      metricProducers: [openTelemetryProducer([pool])],
      aggregationTemporalitySelector: () => AggregationTemporality.DELTA,
    });
    const provider = new MeterProvider({ readers: [reader] });
    onTestFinished(() => provider.shutdown());
    const observing = openTelemetry([pool], provider.getMeter('test'));
    const held = await pool.acquire();
    await expect(Promise.all([1, 2, 3].map(() => pool.acquire({ timeout: 1 })))).rejects.toThrow();
    const name = { 'db.client.connection.pool.name': 'p' };
    await until(() => pool.waitingCount() === 0);
    // What was begun for them is made, so that the numbers stand still.
    await until(() => inspect(pool).slots.every(({ state }) => state === 'leased' || state === 'idle' || state === 'empty'));
    const seen = await collected(reader);
    const counts = inspect(pool).slots.map(({ state }) => state);
    expect(Object.fromEntries(seen)).toMatchObject({
      'db.client.connection.count': [
        [{ ...name, 'db.client.connection.state': 'idle' }, counts.filter((state) => state === 'idle').length],
        [{ ...name, 'db.client.connection.state': 'used' }, counts.filter((state) => state !== 'idle' && state !== 'empty').length],
      ],
      'db.client.connection.idle.max': [[name, 3]],
      'db.client.connection.idle.min': [[name, 1]],
      'db.client.connection.max': [[name, 3]],
      'db.client.connection.pending_requests': [[name, 0]],
      'db.client.connection.timeouts': [[name, pool.stats().timedOut]],
      'db.client.connection.create_time': [[name, { count: pool.stats().created }]],
    });
    expect([...seen.keys()].sort()).toEqual(
      ['count', 'create_time', 'idle.max', 'idle.min', 'max', 'pending_requests', 'timeouts', 'use_time', 'wait_time'].map(
        (each) => `db.client.connection.${each}`,
      ),
    );
    observing[Symbol.dispose]();
    expect([...(await collected(reader)).values()].flat()).toHaveLength(3);
    pool.release(held);
    await pool.close();
    expect([...(await collected(reader)).values()].flat()).toEqual([]);
  });

  test('refuses what is no meter', () => expect(() => openTelemetry([], {} as never)).toThrow('Meter'));
});

test('every metric has a help text, a name that says its unit, and a counter says that it is one', () => {
  for (const { name, help, type } of METRICS) {
    expect(help.length).toBeGreaterThan(8);
    expect(name.endsWith('_total')).toBe(type === 'counter');
    expect(name.endsWith('_seconds')).toBe(type === 'histogram');
  }
});
