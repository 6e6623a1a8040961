import { restore } from './index-file.ts';
import { count, counted, megabytes, milliseconds, printable, say } from './say.ts';
import type { Answer } from './table.ts';
import { CONNECTIONS, type JobResult, type Outcome, THREADS } from './ways.ts';

export function showAnswers(words: string, answers: Answer[]): void {
  say(`  "${words}": ${answers.length === 0 ? 'no file' : counted(answers[0].total, 'file')}`);
  for (const { rank, path, body } of answers) {
    say(`    ${rank.toFixed(3)}  ${printable(path)}`);
    const line = lineWith(words, restore(body));
    if (line) say(`           ${printable(line)}`);
  }
}

/** The first line with most of the words: read back out of what was stored. */
function lineWith(words: string, source: string): string | undefined {
  const wanted = words.toLowerCase().split(/\W+/).filter(Boolean);
  let best: { line: string; hits: number } | undefined;
  for (const line of source.split('\n')) {
    const low = line.toLowerCase();
    const hits = wanted.filter((word) => low.includes(word)).length;
    if (hits > (best?.hits ?? 0)) best = { line, hits };
  }
  return best?.line;
}

export function tellResult({ files, bytes, seconds, skipped }: JobResult): void {
  say(`  ${counted(files, 'file')}, ${megabytes(bytes)} in ${seconds.toFixed(2)} s`);
  tellSkipped(skipped);
}

export function tellSkipped(skipped: number): void {
  if (skipped > 0) say(`  ${count(skipped)} skipped: vanished, or not to be read`);
}

/** Both ways, side by side. `each` is undefined when the server would not have that many connections. */
export function showTable(one: Outcome, each: Outcome | undefined): void {
  const perSecond = ({ files, seconds }: Outcome) => count(files / seconds);
  const rows: [string, (outcome: Outcome) => string][] = [
    ['time', ({ seconds }) => `${seconds.toFixed(2)} s`],
    ['files per second', perSecond],
    ['MB per second', ({ bytes, seconds }) => (bytes / 1e6 / seconds).toFixed(1)],
    ['most connections the server saw', ({ mostConnections }) => count(mostConnections)],
    ['waits in the line', ({ waits }) => (waits ? count(waits.count) : 'not kept')],
    ['  p50', ({ waits }) => (waits ? milliseconds(waits.p50) : '')],
    ['  p99', ({ waits }) => (waits ? milliseconds(waits.p99) : '')],
  ];
  line('', 'one pool', 'a pool in every thread');
  line('connections allowed', `${CONNECTIONS}`, `${THREADS} x ${CONNECTIONS} = ${THREADS * CONNECTIONS}`);
  for (const [label, cell] of rows) line(label, cell(one), each ? cell(each) : 'refused by the server');
  say(`\n  share per thread, one pool       ${shares(one)}`);
  if (each) say(`  share per thread, pool in each   ${shares(each)}`);
}

function line(label: string, one: string, each: string): void {
  say(`  ${label.padEnd(32)}${one.padStart(16)}${each.padStart(26)}`);
}

/** What each thread did, in per cent of the files. */
function shares({ shares, files }: Outcome): string {
  const each = [...shares, ...new Array<number>(THREADS - shares.length).fill(0)];
  return `${each.map((part) => ((100 * part) / Math.max(1, files)).toFixed(1)).join('  ')} %`;
}
