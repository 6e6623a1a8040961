/**
 * The sweep: for each setting, rounds in which every contestant is measured once, so that what disturbs the machine for a while disturbs
 * them all.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Arena } from '../contestants/contestant.ts';
import { openPiscina, type PiscinaClass } from '../contestants/piscina.ts';
import type { Contestant, Effort, Mode, Rival, Setting } from './setting.ts';
import { runSlice, type Slice } from './slice.ts';
import { type Result, summarize } from './summary.ts';
import { WorkerGroup } from './worker-group.ts';

/** The length of the first round, in ms. It warms up, and does not count. */
const WARM_UP = 40;

/**
 * Within this time, in ms, after the end of a slice every waiting thread is served, or something is badly wrong. Long holds one after the
 * other take their time.
 */
const patience = ({ threads, hold }: Setting): number => 30_000 + (10 * threads * hold) / 1000;

export interface Sweep extends Effort {
  readonly settings: readonly Setting[];
  readonly against: readonly Rival[];
  /** The Piscina that was found. */
  readonly Piscina?: PiscinaClass | undefined;
}

/** The contestants that take part, cenote first. Tasks are sent to Piscina by promises: it has no synchronous way. */
export function contestantsOf(against: readonly Rival[], mode: Mode): Contestant[] {
  return ['cenote', ...against.filter((rival) => rival !== 'piscina' || mode === 'async')];
}

/** Measures one setting after the other, and yields the results. Ends early, with those that there are, at the signal. */
export async function* sweep(plan: Sweep, signal: AbortSignal): AsyncGenerator<readonly Result[]> {
  let group: WorkerGroup | undefined;
  let threads = 0;
  try {
    for (const setting of plan.settings) {
      if (setting.threads !== threads) {
        await group?.end();
        group = new WorkerGroup((threads = setting.threads));
      }
      yield await measure(plan, setting, group!, signal);
      if (signal.aborted) return;
    }
  } finally {
    await group?.end();
  }
}

async function measure(plan: Sweep, setting: Setting, group: WorkerGroup, signal: AbortSignal): Promise<readonly Result[]> {
  const arenas: Arena[] = [];
  for (const contestant of contestantsOf(plan.against, setting.mode))
    arenas.push(contestant === 'piscina' ? await openPiscina(plan.Piscina!, setting) : await group.open(contestant, setting));
  const slices = new Map<Contestant, Slice[]>(arenas.map(({ contestant }) => [contestant, []]));
  const slice = (plan.seconds * 1000) / plan.rounds;
  for (let round = -1; round < plan.rounds && !signal.aborted; round++) {
    const finished: [Contestant, Slice][] = [];
    for (let turn = 0; turn < arenas.length && !signal.aborted; turn++) {
      const arena = arenas[(turn + round + 1) % arenas.length];
      const outcome = await runSlice(arena, round < 0 ? Math.min(WARM_UP, slice) : slice, patience(setting), signal);
      if (outcome !== undefined) finished.push([arena.contestant, outcome]);
      await breathe();
    }
    // A round that was cut short would give some contestants more than others.
    if (round >= 0 && finished.length === arenas.length)
      for (const [contestant, outcome] of finished) slices.get(contestant)!.push(outcome);
  }
  // After an error this is left out: a thread that hangs cannot leave. The caller that gets the error ends the process.
  for (const arena of arenas) await arena.close();
  return summarize(setting, slices);
}
