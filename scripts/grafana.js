// `npm run grafana [-- file]`: writes docs/grafana.json, a board for Grafana, from the metrics of cenote/observe. A test compares, and writes nothing.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { METRICS } from '../dist/observe/metrics.js';

const PREFIX = 'cenote_';
const known = new Map(METRICS.map((metric) => [metric.name, metric]));

/** The full name of a metric that there is; of a histogram with its ending. */
function named(name, ending = '') {
  if (!known.has(name)) throw new Error(`there is no metric ${name}`);
  return PREFIX + name + ending;
}

const OF = '{pool=~"$pool"}';
const rate = (name) => `sum by (pool) (rate(${named(name)}${OF}[$__rate_interval]))`;
const quantile = (name, share) =>
  `histogram_quantile(${share}, sum by (pool, le) (rate(${named(name, '_bucket')}${OF}[$__rate_interval])))`;

const PANELS = [
  {
    title: 'Share of resources in use',
    unit: 'percentunit',
    max: 1,
    queries: [[`sum by (pool) (${named('pool_resources')}{pool=~"$pool",state="used"}) / ${named('pool_resources_max')}${OF}`, '{{pool}}']],
  },
  { title: 'Waiting', unit: 'short', queries: [[`${named('pool_waiting')}${OF}`, '{{pool}}']] },
  {
    title: 'Breaker open, or suspended',
    unit: 'short',
    queries: [
      [`${named('pool_breaker_state')}{pool=~"$pool",state!="active"}`, '{{pool}} {{state}}'],
      [`${named('pool_suspended')}${OF}`, '{{pool}} suspended'],
    ],
  },
  {
    title: 'Wait, p50 and p99',
    unit: 's',
    queries: [
      [quantile('pool_wait_seconds', 0.5), '{{pool}} p50'],
      [quantile('pool_wait_seconds', 0.99), '{{pool}} p99'],
    ],
  },
  {
    title: 'Hold (sampled), p50 and p99',
    unit: 's',
    queries: [
      [quantile('pool_hold_seconds', 0.5), '{{pool}} p50'],
      [quantile('pool_hold_seconds', 0.99), '{{pool}} p99'],
    ],
  },
  { title: 'Creation, p99', unit: 's', queries: [[quantile('pool_create_seconds', 0.99), '{{pool}}']] },
  { title: 'Hand-outs in a second', unit: 'ops', queries: [[rate('pool_acquired_total'), '{{pool}}']] },
  {
    title: 'Acquires in vain, in a second',
    unit: 'ops',
    queries: [
      [rate('pool_timeouts_total'), '{{pool}} timeouts'],
      [rate('pool_rejected_total'), '{{pool}} refusals'],
    ],
  },
  { title: 'Factory failures in a second', unit: 'ops', queries: [[rate('pool_factory_failures_total'), '{{pool}}']] },
  { title: 'Resources by state', unit: 'short', stack: true, queries: [[`sum by (state) (${named('pool_resources')}${OF})`, '{{state}}']] },
  {
    title: 'Made and destroyed in a second',
    unit: 'ops',
    queries: [
      [rate('pool_created_total'), '{{pool}} made'],
      [`sum by (pool, reason) (rate(${named('pool_destroyed_total')}${OF}[$__rate_interval]))`, '{{pool}} {{reason}}'],
    ],
  },
  {
    title: 'Taken back',
    unit: 'short',
    queries: [
      [`increase(${named('pool_reclaimed_total')}${OF}[$__rate_interval])`, '{{pool}} from dead threads'],
      [`increase(${named('pool_revoked_total')}${OF}[$__rate_interval])`, '{{pool}} revoked'],
    ],
  },
  { title: 'Held by thread', unit: 'short', stack: true, queries: [[`${named('pool_thread_held')}${OF}`, '{{pool}} thread {{thread}}']] },
  {
    title: 'Out: hand-outs less returns',
    unit: 'short',
    queries: [[`${named('pool_acquired_total')}${OF} - ${named('pool_released_total')}${OF}`, '{{pool}}']],
  },
  {
    title: 'Threads, and limits',
    unit: 'short',
    queries: [
      [`${named('pool_threads')}${OF}`, '{{pool}} threads'],
      [`${named('pool_resources_min')}${OF}`, '{{pool}} min'],
      [`${named('pool_resources_max')}${OF}`, '{{pool}} max'],
    ],
  },
];

// biome-ignore lint/suspicious/noTemplateCurlyInString: it is Grafana's variable.
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const [WIDTH, HEIGHT, COLUMNS] = [8, 8, 3];

function panelOf({ title, unit, max, stack = false, queries }, index) {
  const custom = {
    lineWidth: 1,
    fillOpacity: stack ? 40 : 8,
    showPoints: 'never',
    stacking: { mode: stack ? 'normal' : 'none', group: 'A' },
  };
  return {
    id: index + 1,
    type: 'timeseries',
    title,
    datasource: DATASOURCE,
    gridPos: { x: (index % COLUMNS) * WIDTH, y: Math.floor(index / COLUMNS) * HEIGHT, w: WIDTH, h: HEIGHT },
    fieldConfig: { defaults: { unit, min: 0, ...(max === undefined ? {} : { max }), custom }, overrides: [] },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    targets: queries.map(([expr, legendFormat], at) => ({
      refId: String.fromCharCode(65 + at),
      datasource: DATASOURCE,
      expr,
      legendFormat,
    })),
  };
}

/** The board, as Grafana imports it. */
export function board() {
  return {
    uid: 'cenote-pools',
    title: 'cenote: pools',
    description: 'Made by npm run grafana from the metrics of cenote/observe.',
    tags: ['cenote'],
    schemaVersion: 39,
    editable: true,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' },
        {
          name: 'pool',
          type: 'query',
          label: 'Pool',
          datasource: DATASOURCE,
          query: { query: `label_values(${named('pool_resources_max')}, pool)`, refId: 'pools' },
          definition: `label_values(${named('pool_resources_max')}, pool)`,
          multi: true,
          includeAll: true,
          current: { text: ['All'], value: ['$__all'] },
          refresh: 2,
        },
      ],
    },
    panels: PANELS.map(panelOf),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = process.argv[2] ?? fileURLToPath(new URL('../docs/grafana.json', import.meta.url));
  writeFileSync(file, `${JSON.stringify(board(), undefined, 2)}\n`);
}
