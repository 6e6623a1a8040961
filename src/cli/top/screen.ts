/** A snapshot as text, for a terminal. */
import type { PoolFigures, PoolInspection, Snapshot } from '../../observe/index.ts';

/** How much room there is. */
export interface Room {
  readonly columns: number;
  /** Lines; undefined: as many as there are. */
  readonly rows: number | undefined;
  readonly colours: boolean;
}

const BAR = 20;
/** Holders and waiters shown of each pool, and jobs. */
const MOST = 5;

export function screen({ at, title, pools, inspection, jobs }: Snapshot, room: Room): string {
  const paint = (code: number, text: string): string => (room.colours ? `\x1b[${code}m${text}\x1b[0m` : text);
  const cut = (line: string): string => (line.length > room.columns ? `${line.slice(0, room.columns - 1)}…` : line);
  const lines = [
    paint(
      1,
      cut(`${printable(title)}  ${new Date(at).toLocaleTimeString('en-GB')}  ${pools.length} ${pools.length === 1 ? 'pool' : 'pools'}`),
    ),
  ];
  for (const { certainty, text } of inspection.knots) lines.push(paint(31, cut(`DEADLOCK, ${certainty}: ${printable(text)}`)));
  const width = Math.min(24, Math.max(4, ...pools.map(({ name }) => name.length)));
  lines.push(
    cut(`${'POOL'.padEnd(width)}  ${'STATE'.padEnd(10)} ${''.padEnd(BAR)}     USED  WAIT  THREADS   ACQUIRED  TIMEOUTS  WAIT P99`),
  );
  // Those with waiters first.
  for (const figures of [...pools].sort((a, b) => b.waiting - a.waiting)) {
    const row = cut(rowOf(figures, width));
    lines.push(figures.waiting > 0 ? paint(33, row) : row, ...detailsOf(figures.name, inspection).map((line) => paint(2, cut(line))));
  }
  if (jobs !== undefined) lines.push(...jobsOf(jobs).map(cut));
  return `${(room.rows === undefined ? lines : lines.slice(0, Math.max(1, room.rows - 1))).join('\n')}\n`;
}

function rowOf(figures: PoolFigures, width: number): string {
  const { state, closed, used, making, idle, max, waiting, threads, acquired, timedOut, waitTime } = figures;
  const part = (count: number, sign: string): string => sign.repeat(Math.round((BAR * count) / Math.max(max, used + making + idle, 1)));
  const bar = `${part(used, '█')}${part(making, '▒')}${part(idle, '░')}`.slice(0, BAR).padEnd(BAR);
  const cells = [`${used}/${max}`.padStart(9), String(waiting).padStart(5), String(threads).padStart(8), String(acquired).padStart(10)];
  const name = printable(figures.name).slice(0, width).padEnd(width);
  return `${name}  ${(closed ? 'closed' : figures.suspended ? 'suspended' : state).padEnd(10)} ${bar}${cells.join(' ')} ${String(timedOut).padStart(9)}  ${waitTime.p99.toFixed(1)} ms`;
}

function detailsOf(pool: string, { slots, line }: PoolInspection): string[] {
  const held = slots
    .filter((slot) => slot.pool === pool && slot.threadId !== undefined)
    .sort((a, b) => (b.heldFor ?? 0) - (a.heldFor ?? 0));
  const waiters = line.filter((waiter) => waiter.pool === pool);
  const details: string[] = [];
  if (held.length > 0)
    details.push(`  held: ${listed(held.map(({ slot, threadId, heldFor }) => `[${slot}] thread ${threadId} ${heldFor ?? 0} ms`))}`);
  if (waiters.length > 0)
    details.push(
      `  line: ${listed(waiters.map(({ threadId, waitedFor, sync }) => `thread ${threadId} ${waitedFor} ms${sync ? ' asleep' : ''}`))}`,
    );
  return details;
}

/** A runner's figures that are not 0, and the jobs that say how far they are. */
function jobsOf({ stats, progress }: NonNullable<Snapshot['jobs']>): string[] {
  const figures = Object.entries(stats).filter(([, value]) => value !== 0);
  return [
    `JOBS  ${figures.map(([name, value]) => `${printable(name)} ${rounded(value)}`).join('  ')}`,
    ...progress.slice(0, MOST).map(({ job, name, done, total, message }) => {
      const of = total === undefined ? '' : `/${total}`;
      return printable(`  ${name ?? `job ${job}`}: ${done}${of}${message === undefined ? '' : ` ${message}`}`);
    }),
    ...(progress.length > MOST ? [`  and ${progress.length - MOST} more`] : []),
  ];
}

function listed(items: readonly string[]): string {
  return items.length > MOST ? `${items.slice(0, MOST).join(', ')} and ${items.length - MOST} more` : items.join(', ');
}

/** Whole numbers as they are, shares to the hundredth. */
const rounded = (value: number): number => Math.round(value * 100) / 100;

/** Names are a program's, and a terminal obeys control characters. */
function printable(text: string): string {
  return [...text].map((character) => (/\p{Cc}/u.test(character) ? '?' : character)).join('');
}
