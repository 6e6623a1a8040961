/** Rounds, one after the other, and what they add up to. */
import { compileThreads } from '../support/threads/compile.ts';
import { drawConfiguration } from './configuration.ts';
import { ABORTS, BREAKER_MOVES, CALLS, DETACHED, FAULTS, HELD, MADE, OPERATIONS, REVOCATIONS, TAKEN_OVER, TIMEOUTS } from './ledger.ts';
import { Random } from './random.ts';
import { type Outcome, Round } from './round.ts';

export interface Options {
  readonly seed: number;
  /** Ends after so many rounds, or so many ms, whichever is first. */
  readonly rounds: number;
  readonly limit: number;
  /** How long one round is kept busy, in ms. */
  readonly duration: number;
  readonly interrupted?: () => boolean;
  readonly print?: (line: string) => void;
}

export interface Report {
  rounds: number;
  ownersKilled: number;
  readonly figures: Record<string, number>;
  readonly kills: Record<string, number>;
  slowestTold: number;
  /** Empty: nothing was lost. */
  failure: string;
}

const FIGURES = {
  operations: OPERATIONS,
  'hand-outs': HELD,
  calls: CALLS,
  'resources made': MADE,
  faults: FAULTS,
  timeouts: TIMEOUTS,
  aborts: ABORTS,
  detaches: DETACHED,
  'breaker moves': BREAKER_MOVES,
  revocations: REVOCATIONS,
  'taken over from the dead': TAKEN_OVER,
};

export async function soak(options: Options): Promise<Report> {
  const { seed, rounds, limit, duration, interrupted = () => false, print = () => {} } = options;
  const report: Report = { rounds: 0, ownersKilled: 0, figures: {}, kills: {}, slowestTold: 0, failure: '' };
  const compiled = compileThreads('test/soak/owner.ts', 'test/soak/borrower.ts');
  const started = performance.now();
  try {
    while (report.rounds < rounds && performance.now() - started < limit && !interrupted()) {
      // Each round has a seed of its own, so that one of them can be had again: --seed of that round, --rounds 1.
      const roundSeed = (seed + report.rounds * 0x9e3779b1) >>> 0;
      const configuration = drawConfiguration(new Random(roundSeed), roundSeed, duration);
      const outcome = await new Round(configuration, compiled, interrupted).run();
      report.rounds++;
      add(report, outcome);
      print(`round ${report.rounds}: ${describe(outcome, configuration.max, configuration.threads)}`);
      if (outcome.failures.length === 0) continue;
      report.failure = [
        ...outcome.failures.slice(0, 10),
        `seed ${roundSeed}: again with --seed ${roundSeed} --rounds 1 (what real threads do is not repeated exactly: try more than once)`,
        JSON.stringify(configuration),
        outcome.dump,
      ].join('\n');
      break;
    }
  } finally {
    compiled.remove();
  }
  return report;
}

function add(report: Report, { ledger, kills, toldWithin }: Outcome): void {
  for (const [name, word] of Object.entries(FIGURES)) report.figures[name] = (report.figures[name] ?? 0) + ledger.get(word);
  for (const [death, times] of Object.entries(kills)) report.kills[death] = (report.kills[death] ?? 0) + times;
  if (toldWithin === undefined) return;
  report.ownersKilled++;
  report.slowestTold = Math.max(report.slowestTold, toldWithin);
}

function describe({ ledger, kills, toldWithin, failures }: Outcome, max: number, threads: number): string {
  const dead = Object.values(kills).reduce((sum, times) => sum + times, 0);
  const owner = toldWithin === undefined ? '' : `, owner killed, all told within ${toldWithin} ms`;
  const verdict = failures.length === 0 ? 'nothing lost' : 'FAILED';
  return `max ${max}, ${threads} threads: ${ledger.get(OPERATIONS)} operations, ${dead} deaths, ${ledger.get(FAULTS)} faults${owner}; ${verdict}`;
}

export function summary(report: Report, ms: number): string {
  const list = (counts: Record<string, number>): string =>
    Object.entries(counts)
      .map(([name, count]) => `${count.toLocaleString('en')} ${name}`)
      .join(', ') || 'none';
  return [
    `${report.rounds} rounds in ${Math.round(ms / 1000)} s`,
    list(report.figures),
    `deaths: ${list(report.kills)}; of them ${report.ownersKilled} owners, the last borrower told after at most ${report.slowestTold} ms`,
    report.failure === '' ? 'lost: nothing' : `FAILED\n${report.failure}`,
  ].join('\n');
}
