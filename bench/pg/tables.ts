/** The rows as Markdown: one table for each measure. */
import { type Machine, short } from '../frame/table.ts';
import type { Effort, Measure, Row } from './measure.ts';
import { ON_MAIN, WAYS, type Way } from './ways.ts';

export const BEGIN = '<!-- figures: what npm run bench:pg -- --markdown prints -->';
export const END = '<!-- end of figures -->';

export const HEADINGS: Readonly<Record<Measure, string>> = {
  rate: 'Queries a second',
  p99: '99 of 100 queries took less than, in ms',
  'longest block': 'Longest time that the event loop of the main thread was blocked, in ms',
  'owner per query': 'CPU time of the main thread for each query, in us',
  connections: 'Connections that the server has',
  memory: 'Memory of the server for these connections, in MiB',
};

const isMissing = (figure: number | null | undefined): figure is null | undefined => figure === null || figure === undefined;

/** A figure of a way that was not asked is a dash; one that nobody knows is n/a. */
export function tables(rows: readonly Row[]): string {
  const measures = (Object.keys(HEADINGS) as Measure[]).filter((measure) => rows.some((row) => row.measure === measure));
  return measures.map((measure) => tableOf(measure, rows)).join('\n\n');
}

function tableOf(measure: Measure, all: readonly Row[]): string {
  const rows = all.filter((row) => row.measure === measure);
  const ways = ([...WAYS, ON_MAIN] as Way[]).filter((way) => rows.some(({ figures }) => way in figures));
  const rivals = ways.slice(1);
  const works = [...new Set(rows.map(({ work }) => work))];
  const sorted = works.flatMap((work) => rows.filter((row) => row.work === work));
  const lines = [
    [...(works[0] === undefined ? [] : ['work']), 'threads', ...ways, ...rivals.map((way) => `cenote / ${way}`)],
    ...sorted.map(({ work, threads, figures, ratios }) => [
      ...(work === undefined ? [] : [work]),
      String(threads),
      ...ways.map((way) => cell(way in figures, figures[way])),
      ...rivals.map((way) => cell(way in ratios, ratios[way])),
    ]),
  ];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const isText = (column: number): boolean => lines[0][column] === 'work';
  const text = lines.map((line) =>
    row(line.map((each, column) => (isText(column) ? each.padEnd(widths[column]) : each.padStart(widths[column])))),
  );
  text.splice(1, 0, row(widths.map((width, column) => (isText(column) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))));
  return `**${HEADINGS[measure]}**\n\n${text.join('\n')}`;
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const cell = (isAsked: boolean, figure: number | null | undefined): string =>
  !isAsked ? '-' : isMissing(figure) ? 'n/a' : Number.isInteger(figure) ? String(figure) : short(figure);

export function footer({ cpu, cores, node, platform, load }: Machine, postgres: string, { rounds, slice, lanes }: Effort): string {
  return [
    `Medians of ${rounds} rounds of ${slice} ms for each way, ${lanes} under way on each thread.`,
    `${cores} cores of ${cpu}, node ${node}, ${platform}, PostgreSQL ${postgres}. Load before the run: ${load}.`,
  ].join('\n');
}
