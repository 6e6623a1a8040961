/**
 * The three histograms of the semantic conventions. There is no observable histogram, so a reader collects them from a producer of its
 * own.
 */
import type { HrTime } from '@opentelemetry/api';
import type { HistogramMetricData, MetricProducer } from '@opentelemetry/sdk-metrics';
import { type Distribution, powers } from './buckets.ts';
import { Meters, type Reading } from './meter.ts';
import { POOL_NAME } from './open-telemetry.ts';
import { peer } from './packages.ts';
import type { AnyPool } from './pools.ts';

/** In seconds: each power of two from 16 us to 16 s. */
const BOUNDS = powers(4, 24, 1);

interface Kind {
  readonly name: string;
  readonly description: string;
  read(reading: Reading): Distribution;
}

const KINDS: readonly Kind[] = [
  {
    name: 'db.client.connection.create_time',
    description: 'The time it took to create a new connection.',
    read: (reading) => reading.create(BOUNDS),
  },
  {
    name: 'db.client.connection.wait_time',
    description: 'The time it took to obtain an open connection from the pool.',
    read: (reading) => reading.wait(BOUNDS),
  },
  {
    name: 'db.client.connection.use_time',
    description: 'The time between borrowing a connection and returning it to the pool. A sample: about one in 256.',
    read: (reading) => reading.hold(BOUNDS),
  },
];

/**
 * A producer of what observable instruments cannot say: db.client.connection.create_time, wait_time and use_time, as cumulative
 * histograms in seconds. For a reader's `metricProducers`: `new PeriodicExportingMetricReader({ exporter, metricProducers:
 * [openTelemetryProducer([pool])] })`. Throws an Error that names the package if @opentelemetry/sdk-metrics is not installed, and
 * TypeError for what is no pool.
 */
export function openTelemetryProducer(pools: readonly AnyPool[]): MetricProducer {
  const { AggregationTemporality, DataPointType } = peer<typeof import('@opentelemetry/sdk-metrics')>(
    '@opentelemetry/sdk-metrics',
    'openTelemetryProducer()',
  );
  const { ValueType } = peer<typeof import('@opentelemetry/api')>('@opentelemetry/api', 'openTelemetryProducer()');
  const meters = new Meters(pools);
  const startTime = hrTime();
  const dataOf = ({ name, description, read }: Kind, readings: readonly Reading[], endTime: HrTime): HistogramMetricData => ({
    descriptor: { name, description, unit: 's', valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints: readings.map((reading) => {
      const { bounds, counts, sum, count } = read(reading);
      const value = { buckets: { boundaries: [...bounds], counts: [...counts] }, sum, count };
      return { startTime, endTime, attributes: { [POOL_NAME]: reading.label }, value };
    }),
  });
  return {
    async collect() {
      const readings = meters.read();
      const endTime = hrTime();
      const metrics = readings.length === 0 ? [] : KINDS.map((kind) => dataOf(kind, readings, endTime));
      const scopeMetrics = metrics.length === 0 ? [] : [{ scope: { name: 'cenote' }, metrics }];
      // The reader keeps its own resource.
      return { resourceMetrics: { resource: undefined as never, scopeMetrics }, errors: [] };
    },
  };
}

/** Seconds and nanoseconds since 1970. */
function hrTime(): HrTime {
  const at = performance.timeOrigin + performance.now();
  return [Math.floor(at / 1000), Math.round((at % 1000) * 1e6)];
}
