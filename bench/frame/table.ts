/** The one table that a run prints. */
import { availableParallelism } from 'node:os';
import type { Row } from './question.ts';

export interface Machine {
  readonly cores: number;
  readonly node: string;
  readonly v8: string;
  readonly platform: string;
}

export const machine = (): Machine => ({
  cores: availableParallelism(),
  node: process.version,
  v8: process.versions.v8,
  platform: `${process.platform} ${process.arch}`,
});

const HEAD = ['question', 'cenote', 'rival', 'rival figure', 'ratio', 'quartiles'];
/** Columns that are numbers. */
const RIGHT = new Set([1, 3, 4, 5]);

export function table(rows: readonly Row[]): string {
  const lines = [
    HEAD,
    ...rows.map(({ question, unit, cenote, rival, figure, ratio, quartiles }) => [
      question,
      `${short(cenote)} ${unit}`,
      rival,
      `${short(figure)} ${unit}`,
      short(ratio),
      quartiles.map(short).join(' .. '),
    ]),
  ];
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const text = lines.map((line) =>
    line
      .map((cell, column) => (RIGHT.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd(),
  );
  text.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  return text.join('\n');
}

export function footer({ cores, node, v8, platform }: Machine): string {
  return [
    'ratio: cenote / rival within a round, the median of all rounds, then its quartiles. In ns, us and max/min less is better, in /s more.',
    `machine: ${cores} cores, node ${node} (V8 ${v8}), ${platform}`,
  ].join('\n');
}

/** Three digits that count. */
function short(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 4);
}
