/** The rows as Markdown: one table for each measure, and one for the ratios. */
import { short } from '../frame/table.ts';
import { EXPERIMENTS } from './bare/index.ts';
import { TURNS } from './bare/turns.ts';
import { type Measure, type Row, ratioIn, type Spread, spreadOf } from './rows.ts';
import { CENOTE, ON_MAIN, SEQUELIZE_WAYS, UNSHARED, WAYS } from './ways/index.ts';

export const HEADINGS: Readonly<Record<Measure, string>> = {
  rate: 'Queries a second',
  p99: '99 of 100 queries took less than, in ms',
  'owner per query': 'CPU time of the main thread for each query, in us',
  'longest block': 'Longest time that the event loop of the main thread was blocked, in ms',
  connections: 'Connections that the server has',
  memory: 'Memory of the server for these connections, in MiB',
  sequelize: 'Queries a second of Sequelize',
  'sequelize failures': 'Queries of Sequelize that failed, in each round',
  bare: 'What limits them: operations a second with nothing else done',
};
export const RATIOS = 'Queries a second: cenote over the others';

/** In this order, if they are there. */
const COLUMNS: readonly string[] = [
  ...WAYS.map(({ name }) => name),
  UNSHARED,
  TURNS,
  ON_MAIN.name,
  ...SEQUELIZE_WAYS.map(({ name }) => name),
  ...EXPERIMENTS,
];

export function tables(rows: readonly Row[]): string {
  const blocks = (Object.keys(HEADINGS) as Measure[]).flatMap((measure) => {
    const own = rows.filter((row) => row.measure === measure);
    if (own.length === 0) return [];
    const figures = tableOf(HEADINGS[measure], own, columnsOf(own), (row, way) =>
      cell(way in row.rounds, spreadOf(row.rounds[way])?.median),
    );
    const others = columnsOf(own).filter((way) => way !== CENOTE);
    if (measure !== 'rate' || others.length === 0 || others.length === columnsOf(own).length) return [figures];
    return [figures, tableOf(RATIOS, own, others, (row, way) => spread(ratioIn(row, CENOTE, way)))];
  });
  return blocks.join('\n\n');
}

const columnsOf = (rows: readonly Row[]): string[] => COLUMNS.filter((way) => rows.some(({ rounds }) => way in rounds));

function tableOf(heading: string, rows: readonly Row[], ways: readonly string[], cellOf: (row: Row, way: string) => string): string {
  const hasWork = rows[0].work !== undefined;
  const works = [...new Set(rows.map(({ work }) => work))];
  const sorted = works.flatMap((work) => rows.filter((row) => row.work === work));
  const lines = [
    [...(hasWork ? ['work'] : []), 'threads', ...ways],
    ...sorted.map((row) => [...(hasWork ? [row.work!] : []), String(row.threads), ...ways.map((way) => cellOf(row, way))]),
  ];
  return `**${heading}**\n\n${markdown(lines, new Set(['work']))}`;
}

/** The first line is the head. Columns whose head is in `texts` stand to the left, the others to the right. */
export function markdown(lines: readonly (readonly string[])[], texts: ReadonlySet<string>): string {
  const [head] = lines;
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const isText = (column: number): boolean => texts.has(head[column]);
  const padded = lines.map((line) =>
    row(line.map((each, column) => (isText(column) ? each.padEnd(widths[column]) : each.padStart(widths[column])))),
  );
  const ruler = row(widths.map((width, column) => (isText(column) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)));
  return [padded[0], ruler, ...padded.slice(1)].join('\n');
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** A way that was not asked is a dash; what the system does not tell is n/a. */
const cell = (isAsked: boolean, figure: number | undefined): string => (!isAsked ? '-' : figure === undefined ? 'n/a' : number(figure));
export const number = (figure: number): string => (Number.isInteger(figure) && figure < 1000 ? String(figure) : short(figure));

/** With its quartiles. */
export const spread = (of: Spread | undefined): string =>
  of === undefined ? '-' : `${ratio(of.median)} (${of.quartiles.map(ratio).join(' to ')})`;
export const ratio = (value: number): string => value.toFixed(2);
