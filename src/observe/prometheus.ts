/** Metrics for Prometheus, by way of prom-client: it gets metric objects of our own, since its histograms cannot be set. */
import type { MetricObject, Registry } from 'prom-client';
import { checkFew } from '../shared/options/option-names.ts';
import { Meters, type Reading } from './meter.ts';
import { METRICS, type Metric, NO_LABELS } from './metrics.ts';
import { peer } from './packages.ts';
import type { AnyPool } from './pools.ts';

/** Options of `prometheus`. */
export interface PrometheusOptions {
  /** The registry to add to. Default: prom-client's global one. */
  registry?: Registry | undefined;
  /** What the names begin with. Default 'cenote_'. */
  prefix?: string | undefined;
}

/**
 * Registers the pools' metrics with a prom-client registry, and gives that registry. Values are read at scrape time, from shared memory.
 * Once a pool is closed its series are gone. Throws an Error that names the package if prom-client is not installed, or the metric if the
 * registry has it already; TypeError for what is no pool, and for a prefix that no metric can begin with.
 */
export function prometheus(pools: readonly AnyPool[], options: PrometheusOptions = {}): Registry {
  checkFew(options, { of: 'prometheus', options: ['registry', 'prefix'] });
  const { prefix = 'cenote_', registry = peer<{ register: Registry }>('prom-client', 'prometheus()').register } = options;
  if (typeof prefix !== 'string' || !/^([a-zA-Z_:][a-zA-Z0-9_:]*)?$/.test(prefix))
    throw new TypeError(`prefix must be the beginning of a metric's name, like "cenote_", not ${JSON.stringify(prefix)}`);
  if (typeof (registry as { registerMetric?: unknown } | null)?.registerMetric !== 'function')
    throw new TypeError('registry must be a Registry of prom-client');
  const meters = new Meters(pools);
  const exported = METRICS.map((metric) => new Exported(metric, prefix, registry, meters));
  // All or none.
  for (const { name } of exported)
    if (registry.getSingleMetric(name) !== undefined)
      throw new Error(`the registry has a metric ${name} already: give all pools to one prometheus() call, or another prefix or registry`);
  for (const metric of exported) registry.registerMetric(metric as never);
  return registry;
}

interface Value {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly sharedLabels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric as prom-client's registry wants it. */
class Exported {
  readonly help: string;
  readonly type: Metric['type'];
  readonly aggregator = 'sum';
  readonly #name: string;
  readonly #bucket: string;
  readonly #sharedLabels = new Map<string, { pool: string }>();
  readonly #metric: Metric;
  readonly #registry: Registry;
  readonly #meters: Meters;

  constructor(metric: Metric, prefix: string, registry: Registry, meters: Meters) {
    this.#name = prefix + metric.name;
    this.#bucket = `${this.#name}_bucket`;
    this.#metric = metric;
    this.#registry = registry;
    this.#meters = meters;
    this.help = metric.help;
    this.type = metric.type;
  }

  get name(): string {
    return this.#name;
  }

  /** A registry of OpenMetrics takes the ending off counters, for good; `get` does so itself while it is one. */
  set name(_: string) {}

  /** It adds the ending itself, too. */
  get #shownName(): string {
    const isOpen = this.#registry.contentType.startsWith('application/openmetrics-text');
    return isOpen && this.type === 'counter' ? this.#name.replace(/_total$/, '') : this.#name;
  }

  /** For text: what all lines of a pool have in common is written out once. */
  async getForPromString(): Promise<MetricObject & { name: string; values: Value[] }> {
    const name = this.#shownName;
    const values = this.#meters.read().flatMap((reading) => this.#valuesOf(reading));
    return { name, help: this.help, type: this.type, values, aggregator: this.aggregator } as never;
  }

  async get(): Promise<MetricObject & { name: string; values: Value[] }> {
    const metric = await this.getForPromString();
    const values = metric.values.map(({ sharedLabels, labels, ...value }) => ({ ...value, labels: { ...sharedLabels, ...labels } }));
    return { ...metric, values };
  }

  #valuesOf(reading: Reading): Value[] {
    const metric = this.#metric;
    const pool = reading.label;
    const sharedLabels = this.#shared(pool);
    if (metric.type !== 'histogram')
      return metric
        .read(reading)
        .map(({ labels, value }) => (labels === NO_LABELS ? { labels, sharedLabels, value } : { labels: { pool, ...labels }, value }));
    const { bounds, counts, sum, count } = metric.read(reading);
    let below = 0;
    const values: Value[] = bounds.map((le, index) => {
      below += counts[index];
      return { metricName: this.#bucket, labels: { le }, sharedLabels, value: below };
    });
    values.push(
      { metricName: this.#bucket, labels: { le: '+Inf' }, sharedLabels, value: count },
      { metricName: `${this.#name}_sum`, labels: NO_LABELS, sharedLabels, value: sum },
      { metricName: `${this.#name}_count`, labels: NO_LABELS, sharedLabels, value: count },
    );
    return values;
  }

  /** The same object each time: prom-client remembers what it has written for it. */
  #shared(pool: string): { pool: string } {
    let shared = this.#sharedLabels.get(pool);
    if (shared === undefined) {
      shared = { pool };
      this.#sharedLabels.set(pool, shared);
    }
    return shared;
  }

  /** Nothing is kept here that could be reset. */
  reset(): void {}
}
