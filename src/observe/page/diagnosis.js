/** What is the matter with a pool, in a sentence, and how bad it is: 0 quiet, 1 worth a look, 2 trouble. */
import { duration, number } from './dom.js';

/** Ms: a line that moves is no trouble. */
const LONG_WAIT = 1000;

export function diagnose(figures, rows, history, minutes) {
  const { max, used, making, waiting, state, closed } = figures;
  if (closed) return { level: 0, text: `closed, after ${number(figures.acquired)} hand-outs and ${number(figures.timedOut)} timeouts` };
  if (rows.knots.length > 0) return { level: 2, text: 'deadlock: see above' };
  if (state === 'inactive') return { level: 2, text: 'the circuit breaker is open: every acquire is refused' };
  const oldest = rows.line.reduce((most, { waitedFor }) => Math.max(most, waitedFor), 0);
  const wait = `${number(waiting)} ${waiting === 1 ? 'waits' : 'wait'}, the oldest for ${duration(oldest)}`;
  if (figures.suspended === true)
    return { level: 1, text: `suspended by ${figures.suspendedBy.join(', ') || 'its owner'}${waiting > 0 ? `: ${wait}` : ''}` };
  if (waiting > 0 && used >= max) return { level: oldest >= LONG_WAIT ? 2 : 1, text: busy(figures, rows, wait) };
  if (state === 'recovering') return { level: 1, text: `the circuit breaker lets probes through${waiting > 0 ? `: ${wait}` : ''}` };
  if (waiting > 0 && making > 0) return { level: 1, text: `growing: ${number(making)} being made; ${wait}` };
  const timeouts = history.grown('timedOut', minutes);
  const failures = history.grown('factoryFailures', minutes);
  const refused = history.grown('rejected', minutes);
  const lately = [
    [timeouts, 'timeouts'],
    [failures, 'factory failures'],
    [refused, 'refusals'],
  ].filter(([count]) => count > 0);
  const window = minutes === 1 ? 'the last minute' : `the last ${minutes} minutes`;
  if (lately.length > 0) return { level: 1, text: `${lately.map(([count, what]) => `${number(count)} ${what}`).join(', ')} in ${window}` };
  const p99 = history.percentile('wait', 0.99, minutes);
  return {
    level: 0,
    text: `${number(history.rate('acquired'))} hand-outs/s${p99 === null ? ', nobody waits' : `, p99 of waits ${duration(p99)} in ${window}`}`,
  };
}

/** All are out: is there much to do, or does every holder wait itself? */
function busy({ max, used }, rows, wait) {
  const leased = rows.slots.filter(({ threadId }) => threadId !== undefined);
  if (leased.length > 0 && leased.every(({ threadId }) => rows.asleep.has(threadId)))
    return `blocked: every thread that holds one sleeps in a line itself; ${wait}`;
  const most = rows.threads.toSorted((a, b) => b.holds.length - a.holds.length)[0];
  const holder = most !== undefined && most.holds.length > 0 ? `; thread ${most.threadId} holds ${most.holds.length} of ${max}` : '';
  return `saturated: ${wait}; ${used} of ${max} used${holder}`;
}
