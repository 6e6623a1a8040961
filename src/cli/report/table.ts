/** The table that a run prints. */

import type { Result } from '../measure/summary.ts';
import { sayMachine } from './machine.ts';
import type { Report } from './report.ts';
import { counted, duration, exactDuration, percent, short, times } from './units.ts';

export interface Column {
  readonly head: string;
  readonly cell: (result: Result) => string;
  /** The column describes the setting, and so is not repeated within one. */
  readonly ofSetting?: boolean;
  readonly left?: boolean;
}

export const COLUMNS: readonly Column[] = [
  { head: 'mode', cell: ({ mode }) => mode, ofSetting: true, left: true },
  { head: 'threads', cell: ({ threads }) => String(threads), ofSetting: true },
  { head: 'slots', cell: ({ slots }) => String(slots), ofSetting: true },
  { head: 'hold', cell: ({ hold, distribution }) => `${distribution === 'exponential' ? '~' : ''}${exactDuration(hold)}`, ofSetting: true },
  { head: 'contestant', cell: ({ contestant }) => contestant, left: true },
  { head: 'ops/s', cell: ({ operationsPerSecond }) => short(operationsPerSecond) },
  { head: 'to cenote', cell: ({ timesCenote }) => times(timesCenote) },
  { head: 'wait p50', cell: ({ wait }) => duration(wait.p50) },
  { head: 'p99', cell: ({ wait }) => duration(wait.p99) },
  { head: 'max', cell: ({ wait }) => duration(wait.max) },
  { head: 'most/least', cell: ({ mostOverLeast }) => times(mostOverLeast, 'starved') },
  { head: 'CPU/op', cell: ({ cpuPerOperation }) => (cpuPerOperation === null ? '-' : duration(cpuPerOperation)) },
  { head: 'overtaken', cell: ({ overtaken }) => percent(overtaken.share) },
];

const EXPLANATIONS: readonly string[] = [
  'ops/s: median of the rounds. to cenote: over that of cenote in the same round, median. wait: from asking to having.',
  'most/least: operations of the thread that had most over that with fewest. CPU/op: CPU time of the whole process for',
  'one operation, its hold and the main thread included. overtaken: operations that later ones got ahead of, by tickets that',
  'the threads draw before they ask; one that the system put aside between its ticket and the line counts, too.',
];

export function table(report: Report): string {
  const lines = [COLUMNS.map(({ head }) => head)];
  let last = '';
  for (const result of report.results) {
    const setting = COLUMNS.filter(({ ofSetting }) => ofSetting)
      .map(({ cell }) => cell(result))
      .join();
    if (setting !== last && last !== '') lines.push([]);
    lines.push(COLUMNS.map(({ ofSetting, cell }) => (ofSetting && setting === last ? '' : cell(result))));
    last = setting;
  }
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const text = lines.map((line) =>
    line
      .map((cell, column) => (COLUMNS[column].left ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join('  ')
      .trimEnd(),
  );
  text.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  return [...text, '', ...EXPLANATIONS, ...footer(report)].join('\n');
}

function footer({ cenote, piscina, machine, notes, interrupted, options }: Report): string[] {
  return [
    `cenote ${cenote}${piscina === null ? '' : `, piscina ${piscina}`}. ${sayMachine(machine)}`,
    `${options.seconds} s for each contestant in each setting, in ${counted(options.rounds, 'round')}`,
    ...notes.map((note) => `note: ${note}`),
    ...(interrupted ? ['interrupted: what is above is what there was by then'] : []),
  ];
}
