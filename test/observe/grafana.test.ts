/** The board for Grafana is what its script makes of the metrics, and every query in it, and in the guide, names metrics that there are. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { METRICS } from '../../src/observe/metrics.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const file = readFileSync(`${root}docs/grafana.json`, 'utf8');
const guide = readFileSync(`${root}docs/guide-watching.md`, 'utf8');

/** Every name of a series that an exporter gives. */
const series = new Set(
  METRICS.flatMap(({ name, type }) =>
    (type === 'histogram' ? ['', '_bucket', '_sum', '_count'] : ['']).map((end) => `cenote_${name}${end}`),
  ),
);
const namesIn = (text: string): string[] => [...new Set(text.match(/\bcenote_\w+/g) ?? [])];

test('the board is up to date (if not: npm run build && npm run grafana)', async () => {
  const { board } = (await import('../../scripts/grafana.js')) as { board(): object };
  expect(JSON.parse(file)).toEqual(board());
});

test('every query names metrics that there are, and labels that they have', () => {
  const { panels } = JSON.parse(file) as { panels: { title: string; targets: { expr: string; legendFormat: string }[] }[] };
  expect(panels.length).toBeGreaterThan(10);
  const labels = new Set(['pool', 'le', ...METRICS.flatMap((metric) => metric.labels)]);
  for (const { title, targets } of panels) {
    expect(targets.length, title).toBeGreaterThan(0);
    for (const { expr, legendFormat } of targets) {
      expect(namesIn(expr).length, expr).toBeGreaterThan(0);
      expect(namesIn(expr).filter((name) => !series.has(name))).toEqual([]);
      for (const [, label] of expr.matchAll(/[{,](\w+)(?:=~?|!=|!~)"/g)) expect(labels).toContain(label);
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(labels).toContain(label);
    }
  }
  // Nothing is left out of the board.
  const shown = new Set(namesIn(file).map((name) => name.replace(/_bucket$/, '')));
  expect(METRICS.map(({ name }) => `cenote_${name}`).filter((name) => !shown.has(name))).toEqual([]);
});

test('the guide names all of them, and no other', () => {
  expect(namesIn(guide).filter((name) => !series.has(name))).toEqual([]);
  expect(METRICS.map(({ name }) => `cenote_${name}`).filter((name) => !guide.includes(name))).toEqual([]);
});
