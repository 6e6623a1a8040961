/** Measures one contestant for a moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Arena } from '../contestants/contestant.ts';
import type { Entries } from './scoreboard.ts';

export interface Slice extends Entries {
  readonly seconds: number;
  /** CPU time of the whole process meanwhile, in seconds. The spinning of waiters and the work of a lending thread count, too. */
  readonly cpu: number;
}

/** Measuring begins when every thread has had a turn, or after this many ms: without a line, some thread may starve. */
const FIRST_TURNS = 100;

/**
 * Lets all threads work for so many milliseconds, or until the signal, and gives what they did; undefined if it was cut short.
 * Rejects if a thread is not served within `patience` milliseconds after the end.
 */
export async function runSlice(arena: Arena, ms: number, patience: number, signal: AbortSignal): Promise<Slice | undefined> {
  const { scoreboard } = arena;
  scoreboard.reset();
  const timers = new AbortController();
  const stopped = arena.work();
  // A thread that fails does so for the rest as well: the others are not waited for.
  const failed = stopped.then(
    () => new Promise<never>(() => {}),
    (error) => Promise.reject(error),
  );
  try {
    const start = performance.now() + FIRST_TURNS;
    while (scoreboard.ready() < scoreboard.handle.threads && performance.now() < start && !signal.aborted)
      await Promise.race([sleep(1), failed]);
    const cpu = process.cpuUsage();
    const started = performance.now();
    scoreboard.go();
    await Promise.race([sleep(ms, undefined, { signal: AbortSignal.any([signal, timers.signal]) }).catch(() => {}), failed]);
    scoreboard.stop();
    const seconds = (performance.now() - started) / 1000;
    const used = process.cpuUsage(cpu);
    const late = sleep(patience, undefined, { signal: timers.signal }).then(
      () => Promise.reject(new Error(`${arena.contestant} hangs: a thread was not served within ${Math.round(patience / 1000)} s`)),
      () => {},
    );
    await Promise.race([stopped, late]);
    return signal.aborted ? undefined : { ...scoreboard.read(), seconds, cpu: (used.user + used.system) / 1e6 };
  } finally {
    scoreboard.stop();
    timers.abort();
  }
}
