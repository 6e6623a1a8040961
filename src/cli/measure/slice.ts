/** One contestant for a moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Arena } from '../contestants/contestant.ts';
import type { Entries } from './scoreboard.ts';

export interface Slice extends Entries {
  readonly seconds: number;
  /** CPU time of the whole process meanwhile, in seconds: waiting by spinning, and whoever serves, count too. */
  readonly cpu: number;
}

/** Measuring begins when everybody has had a turn; or after so long, where there is no line and somebody starves. Milliseconds. */
const FIRST_TURNS = 100;

/**
 * Lets everybody work for so many milliseconds, or until the signal, and says what they did: undefined when it was cut short.
 * Rejects if somebody is not served within `patience` milliseconds after the end.
 */
export async function runSlice(arena: Arena, ms: number, patience: number, signal: AbortSignal): Promise<Slice | undefined> {
  const { ledger } = arena;
  ledger.reset();
  const timers = new AbortController();
  const stopped = arena.work();
  // Whoever fails does so for the rest as well: nobody else is to be waited for.
  const failed = stopped.then(
    () => new Promise<never>(() => {}),
    (error) => Promise.reject(error),
  );
  try {
    const start = performance.now() + FIRST_TURNS;
    while (ledger.ready() < ledger.handle.threads && performance.now() < start && !signal.aborted) await Promise.race([sleep(1), failed]);
    const cpu = process.cpuUsage();
    const started = performance.now();
    ledger.go();
    await Promise.race([sleep(ms, undefined, { signal: AbortSignal.any([signal, timers.signal]) }).catch(() => {}), failed]);
    ledger.stop();
    const seconds = (performance.now() - started) / 1000;
    const used = process.cpuUsage(cpu);
    const late = sleep(patience, undefined, { signal: timers.signal }).then(
      () => Promise.reject(new Error(`${arena.contestant} hangs: a thread was not served within ${Math.round(patience / 1000)} s`)),
      () => {},
    );
    await Promise.race([stopped, late]);
    return signal.aborted ? undefined : { ...ledger.read(), seconds, cpu: (used.user + used.system) / 1e6 };
  } finally {
    ledger.stop();
    timers.abort();
  }
}
