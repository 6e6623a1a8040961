/** A look at pools as text, like a thread dump. */
import { inspectWatched, type PoolInspection, snapshotOf } from './inspect.ts';
import { type AnyPool, watch } from './pools.ts';

/** Waiters beyond these are only counted. */
const MOST_WAITERS = 50;

/**
 * What `inspect` gives, as text: the deadlocks first, then pool by pool its figures, threads, slots that are out, and the line. Throws
 * TypeError for what is no pool.
 */
export function report(pools: AnyPool | readonly AnyPool[]): string {
  const watched = watch(pools);
  const { pools: figures } = snapshotOf(watched, '');
  const seen = inspectWatched(watched);
  const lines = [`cenote: ${figures.length} ${figures.length === 1 ? 'pool' : 'pools'}`];
  for (const { certainty, text } of seen.knots) lines.push('', `DEADLOCK, ${certainty}: ${text}`);
  for (const { name, state, closed, used, idle, making, max, waiting, threads, acquired, timedOut, rejected } of figures) {
    lines.push(
      '',
      `pool ${JSON.stringify(name)}: ${closed ? 'closed' : state}, ${used} of ${max} used, ${idle} idle, ${making} being made, ${waiting} waiting`,
    );
    lines.push(
      `  ${acquired} hand-outs, ${timedOut} timeouts, ${rejected} refusals, ${threads} ${threads === 1 ? 'thread' : 'threads'} attached`,
    );
    lines.push(...threadsOf(seen, name), ...slotsOf(seen, name), ...lineOf(seen, name));
  }
  return `${lines.join('\n')}\n`;
}

function threadsOf({ threads }: PoolInspection, pool: string): string[] {
  return threads
    .filter((thread) => thread.pool === pool && (thread.holds.length > 0 || thread.waits > 0 || !thread.alive))
    .map(({ threadId, holds, waits, alive, owner }) => {
      const held = holds.length === 0 ? 'holds nothing' : `holds ${holds.map((slot) => `${pool}[${slot}]`).join(', ')}`;
      const waiting = waits === 0 ? '' : waits === 1 ? ', waits' : `, waits ${waits} times`;
      return `  thread ${threadId}${owner ? ' (owner)' : ''}${alive ? '' : ', gone'}: ${held}${waiting}`;
    });
}

function slotsOf({ slots }: PoolInspection, pool: string): string[] {
  return slots
    .filter((slot) => slot.pool === pool && slot.state !== 'idle' && slot.state !== 'empty')
    .map(({ slot, state, threadId, heldFor, uses }) => {
      const by = threadId === undefined ? '' : ` thread ${threadId}`;
      return `  ${pool}[${slot}] ${state}${by}${heldFor === undefined ? '' : ` for ${heldFor} ms`}, ${uses} uses`;
    });
}

function lineOf({ line }: PoolInspection, pool: string): string[] {
  const waiters = line.filter((waiter) => waiter.pool === pool);
  const shown = waiters.slice(0, MOST_WAITERS).map(({ threadId, waitedFor, sync }, index) => {
    return `  line ${index + 1}: thread ${threadId} since ${waitedFor} ms${sync ? ', asleep' : ''}`;
  });
  return waiters.length > MOST_WAITERS ? [...shown, `  and ${waiters.length - MOST_WAITERS} more`] : shown;
}
