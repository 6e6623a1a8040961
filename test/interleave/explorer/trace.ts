// What happened, for people to read. Written only while a schedule is replayed.
import { C, type Control } from './control.ts';

export interface TraceRecord {
  /** Place in the trace, over all threads. */
  readonly order: number;
  /** Number of the operation, or 0 for what is none. */
  readonly step: number;
  readonly thread: string;
  readonly operation: string;
  readonly word: string;
  readonly change: string;
  /** Function and line of the code under test. */
  readonly from: string;
}

export class Tracer {
  readonly records: TraceRecord[] = [];
  readonly #control: Control;
  constructor(control: Control) {
    this.#control = control;
  }

  operation(thread: string, operation: string, word: string, change: string): void {
    const { words } = this.#control;
    this.records.push({ order: words[C.records]++, step: words[C.step], thread, operation, word, change, from: caller() });
  }

  note(thread: string, text: string): void {
    this.records.push({
      order: this.#control.words[C.records]++,
      step: 0,
      thread,
      operation: `-- ${text}`,
      word: '',
      change: '',
      from: '',
    });
  }
}

/** The nearest frame that is neither the explorer's nor Node's. */
function caller(): string {
  for (const line of new Error().stack?.split('\n').slice(1) ?? []) {
    if (line.includes('/interleave/explorer/') && !line.includes('.test.ts')) continue;
    if (line.includes('node:')) continue;
    const [, name = '', file, at] =
      /at (?:async )?(?:new )?(?:(\S+) (?:\[as \S+\] )?\()?(?:file:\/\/)?\S*?([^/\s]+?)(?:\?\S*?)?:(\d+):\d+\)?$/.exec(line) ?? [];
    if (file !== undefined) return `${name} ${file}:${at}`.trim();
  }
  return '';
}

/** One line for each step, in columns. */
export function renderTrace(records: readonly TraceRecord[]): string {
  const sorted = [...records].sort((a, b) => a.order - b.order);
  const operations = sorted.filter(({ step }) => step > 0);
  const width = (of: (record: TraceRecord) => string): number => Math.max(4, ...operations.map((record) => of(record).length));
  const thread = width((record) => record.thread);
  const operation = width((record) => record.operation);
  const word = width((record) => record.word);
  const change = Math.min(
    70,
    width((record) => record.change),
  );
  return sorted
    .map((record) => {
      const start = `${record.step === 0 ? '    ' : String(record.step).padStart(4)}  ${record.thread.padEnd(thread)}  `;
      if (record.step === 0) return start + record.operation;
      return `${start}${record.operation.padEnd(operation)}  ${record.word.padEnd(word)}  ${record.change.padEnd(change)}  ${record.from}`.trimEnd();
    })
    .join('\n');
}
