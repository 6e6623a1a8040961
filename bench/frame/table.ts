/** The one table that a run prints. */
import { availableParallelism, cpus, loadavg } from 'node:os';
import type { Row } from './question.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly v8: string;
  readonly platform: string;
  /** Processes that wanted a core, on average over the minute before the run. */
  readonly load: number;
}

export const machine = (): Machine => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  node: process.version,
  v8: process.versions.v8,
  platform: `${process.platform} ${process.arch}`,
  load: Math.round(loadavg()[0] * 10) / 10,
});

const HEAD = ['question', 'cenote', 'rival', 'rival figure', 'ratio', 'quartiles', 'goal', 'met'];
/** Columns that are numbers. */
const RIGHT = new Set([1, 3, 4, 5]);

export function table(rows: readonly Row[]): string {
  const lines = [
    HEAD,
    ...rows.map(({ question, unit, cenote, rival, figure, ratio, quartiles, goal, met }, index) => [
      question === rows[index - 1]?.question ? '' : question,
      `${short(cenote)} ${unit}`,
      rival,
      `${short(figure)} ${unit}`,
      ratio === null ? '-' : short(ratio),
      quartiles?.map(short).join(' .. ') ?? '-',
      goal ?? '',
      met === null ? '' : met ? 'yes' : 'NO',
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

export function footer({ cpu, cores, node, v8, platform, load }: Machine): string {
  return [
    'ratio: cenote / rival within a round, the median of all rounds, then its quartiles. In /s more is better, in everything else less.',
    'goal: what the ratio, or the figure of cenote itself, was to come to.',
    `machine: ${cores} cores of ${cpu}, node ${node} (V8 ${v8}), ${platform}; load before the run ${load}`,
  ].join('\n');
}

/** Three digits that count. */
export function short(value: number): string {
  if (value === 0) return '0';
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 4);
}
