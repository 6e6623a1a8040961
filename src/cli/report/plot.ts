/**
 * Plots as SVG. They can be read without colours, without sight and without JavaScript: every series has a mark and a label of its own,
 * every point a tooltip.
 */
import type { Contestant } from '../measure/setting.ts';
import type { Scale } from './scale.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
  /** The text of the tooltip. */
  readonly says: string;
}

export interface Series {
  readonly contestant: Contestant;
  /** Stands at the end of the line. */
  readonly label: string;
  readonly dashed?: boolean;
  readonly points: readonly Point[];
}

export interface Axis {
  readonly label: string;
  readonly tick: (value: number) => string;
}

export interface Strip {
  readonly contestant: Contestant;
  /** Stands beside the strip. */
  readonly says: string;
  readonly points: readonly Point[];
}

const WIDTH = 520;
const LEFT = 76;
const RIGHT = 124;
const TOP = 12;
const BOTTOM = 46;
export const PLOT = { left: LEFT, right: WIDTH - RIGHT, top: TOP, bottom: 256 } as const;
const HEIGHT = PLOT.bottom + BOTTOM;
/** The least distance, in pixels, between labels that would cover one another. */
const LINE = 15;

export const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
const n = (value: number): string => String(Math.round(value * 10) / 10);

/** The mark of each contestant, about a point. */
export function mark(contestant: Contestant, x: number, y: number, says = ''): string {
  const title = says === '' ? '' : `<title>${escaped(says)}</title>`;
  switch (contestant) {
    case 'cenote':
      return `<circle cx="${n(x)}" cy="${n(y)}" r="4.5">${title}</circle>`;
    case 'mutex':
      return `<rect x="${n(x - 4)}" y="${n(y - 4)}" width="8" height="8">${title}</rect>`;
    case 'messages':
      return `<path d="M${n(x)} ${n(y - 5)}l5 9h-10z">${title}</path>`;
    case 'piscina':
      return `<path d="M${n(x)} ${n(y - 5.5)}l5.5 5.5-5.5 5.5-5.5-5.5z">${title}</path>`;
  }
}

function svg(height: number, label: string, body: string): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(label)}">${body}</svg>`;
}

function axisBelow(x: Scale, { label, tick }: Axis, bottom: number): string {
  const ticks = x.ticks.map(
    (value) => `<text class="tick" x="${n(x(value))}" y="${bottom + 18}" text-anchor="middle">${escaped(tick(value))}</text>`,
  );
  const base = `<line class="base" x1="${PLOT.left}" x2="${PLOT.right}" y1="${bottom}" y2="${bottom}"/>`;
  return `${base}${ticks.join('')}<text class="axis" x="${n((PLOT.left + PLOT.right) / 2)}" y="${bottom + 38}" text-anchor="middle">${escaped(label)}</text>`;
}

export function linePlot(title: string, series: readonly Series[], x: Scale, y: Scale, xAxis: Axis, yAxis: Axis): string {
  const grid = y.ticks.map(
    (value) =>
      `<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${n(y(value))}" y2="${n(y(value))}"/><text class="tick" x="${PLOT.left - 8}" y="${n(y(value) + 4)}" text-anchor="end">${escaped(yAxis.tick(value))}</text>`,
  );
  const lines = series.map(({ contestant, dashed, points }) => {
    const path = points.map((point) => `${n(x(point.x))},${n(y(point.y))}`).join(' ');
    const marks = points.map((point) => mark(contestant, x(point.x), y(point.y), point.says)).join('');
    return `<g class="series ${contestant}${dashed ? ' dashed' : ''}"><polyline points="${path}"/>${marks}</g>`;
  });
  const ends = series.filter(({ points }) => points.length > 0);
  const places = spread(
    ends.map(({ points }) => y(points.at(-1)!.y)),
    PLOT.top,
    PLOT.bottom,
  );
  const labels = ends.map(({ contestant, label, points }, index) => {
    const end = points.at(-1)!;
    const from = `${n(x(end.x) + 7)} ${n(y(end.y))}`;
    return `<path class="leader ${contestant}" d="M${from}L${PLOT.right + 9} ${n(places[index])}"/><text class="label ${contestant}" x="${PLOT.right + 12}" y="${n(places[index] + 4)}">${escaped(label)}</text>`;
  });
  const up = `<text class="axis" transform="translate(13 ${n((PLOT.top + PLOT.bottom) / 2)}) rotate(-90)" text-anchor="middle">${escaped(yAxis.label)}</text>`;
  const describe = `${title}. ${ends.map(({ label, points }) => `${label}: ${points.map(({ says }) => says).join('; ')}`).join('. ')}`;
  return svg(HEIGHT, describe, grid.join('') + axisBelow(x, xAxis, PLOT.bottom) + up + lines.join('') + labels.join(''));
}

/** A row for each contestant, with a mark for each thread. All marks would be at `reference` if every thread got the same. */
export function stripPlot(title: string, strips: readonly Strip[], x: Scale, xAxis: Axis, reference: number): string {
  const row = 38;
  const bottom = TOP + strips.length * row;
  const grid = x.ticks.map((value) => `<line class="grid" x1="${n(x(value))}" x2="${n(x(value))}" y1="${TOP}" y2="${bottom}"/>`);
  grid.push(`<line class="reference" x1="${n(x(reference))}" x2="${n(x(reference))}" y1="${TOP}" y2="${bottom}"/>`);
  const rows = strips.map(({ contestant, says, points }, index) => {
    const middle = TOP + (index + 0.5) * row;
    const marks = points.map((point) => mark(contestant, x(point.x), middle, point.says)).join('');
    return `<text class="label ${contestant}" x="${PLOT.left - 6}" y="${n(middle + 4)}" text-anchor="end">${contestant}</text>
<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${n(middle)}" y2="${n(middle)}"/><g class="series strip ${contestant}">${marks}</g>
<text class="label ${contestant}" x="${PLOT.right + 12}" y="${n(middle + 4)}">${escaped(says)}</text>`;
  });
  const describe = `${title}. ${strips.map(({ contestant, says }) => `${contestant}: ${says}`).join('. ')}`;
  return svg(bottom + BOTTOM, describe, grid.join('') + axisBelow(x, xAxis, bottom) + rows.join(''));
}

/** The heights of labels: as near to the wanted ones as may be, in their order, without one label covering another. */
function spread(wanted: readonly number[], top: number, bottom: number): number[] {
  const order = wanted.map((_, index) => index).sort((a, b) => wanted[a] - wanted[b]);
  const places = [...wanted];
  let free = top;
  for (const index of order) {
    places[index] = Math.max(wanted[index], free);
    free = places[index] + LINE;
  }
  let end = bottom;
  for (const index of order.toReversed()) {
    places[index] = Math.min(places[index], end);
    end = places[index] - LINE;
  }
  return places;
}
