/** The command line of the benchmark. */
import { parseArgs } from 'node:util';
import { checkPage } from '../frame/page.ts';
import { type Choice, type Effort, FULL, namesOfWays, planOf, QUICK } from './plan.ts';
import { ALL_WORKS } from './works.ts';

export const COMMAND = 'npm run bench:pg';

export const USAGE = `usage: npm run bench:pg -- [--reach] [--quick] [--threads 1,2,4,8] [--rounds 7] [--ms 300]
                            [--warm 5000] [--lanes 4]
                            [--work name]... [--way name]... [--set file:NAME=number]... [--json] [--into page.md]

  --reach         only what the goals speak of, and only their table
  --quick         shows that everything runs, in seconds, on one thread; the figures mean little
  --threads       so many threads, one number after the other
  --rounds        so often, after a first time that does not count
  --ms            milliseconds for one way in one round
  --warm          milliseconds for one way before all rounds
  --lanes         queries or transactions that each thread has under way
  --work name     only this work; may be given more than once
  --way name      only this way; may be given more than once
  --set pg/driver/batch:PATIENCE=20
                  as if this constant in src had that value: for numbers that are guesses, and no options
  --json          for machines: the figures of every round
  --into page.md  puts all tables into this page too, between the two lines that mark their place
                  (npm run figures -- bench:pg does so with docs/performance-pg.md, and then writes its short table anew)

works: ${ALL_WORKS.join(' | ')}
ways: ${namesOfWays.join(' | ')}

Starts a PostgreSQL of its own, or takes the one that DATABASE_URL names. Ctrl-C ends it and leaves nothing behind.
`;

export interface Options {
  readonly effort: Effort;
  readonly choice: Choice;
  /** What set.js has changed, as it was given. */
  readonly set: readonly string[];
  readonly json: boolean;
  /** The page that gets the tables. */
  readonly into: string | undefined;
  readonly help: boolean;
}

/** Throws where the command line is wrong. */
export function optionsOf(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      threads: { type: 'string' },
      rounds: { type: 'string' },
      warm: { type: 'string' },
      ms: { type: 'string' },
      lanes: { type: 'string' },
      work: { type: 'string', multiple: true, default: [] },
      way: { type: 'string', multiple: true, default: [] },
      set: { type: 'string', multiple: true, default: [] },
      reach: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      into: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const { threads, rounds, ms, warm, lanes, work, way, set, reach, quick, json, into, help } = values;
  known('work', work, ALL_WORKS);
  known('way', way, namesOfWays);
  if (into !== undefined && (reach || [work, way, set].some((given) => given.length > 0)))
    throw new Error(`--into puts all tables into the page: not with --reach, --work, --way or --set\n\n${USAGE}`);
  if (set.length > 0 && process.env.CENOTE_BENCH_SET === undefined)
    throw new Error(`--set needs node --import ./bench/pg/set.js\n\n${USAGE}`);
  // To be found out now, not in minutes.
  if (into !== undefined) checkPage(into, COMMAND);
  const usual = quick ? QUICK : FULL;
  const effort: Effort = {
    threads: threads?.split(',').map((text) => whole('threads', text, 16)) ?? usual.threads,
    rounds: rounds === undefined ? usual.rounds : whole('rounds', rounds, 100),
    slice: ms === undefined ? usual.slice : whole('ms', ms, 60_000),
    warm: warm === undefined ? usual.warm : whole('warm', warm, 60_000),
    lanes: lanes === undefined ? usual.lanes : whole('lanes', lanes, 64),
  };
  const choice: Choice = { reach, works: work, ways: way };
  if (planOf(effort, choice).length === 0) throw new Error(`Nothing is left to ask: no goal speaks of these together\n\n${USAGE}`);
  return { effort, choice, set, json, into, help };
}

function whole(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`--${name} takes whole numbers from 1 to ${most}, not ${JSON.stringify(text)}\n\n${USAGE}`);
}

function known(name: string, given: readonly string[], names: readonly string[]): void {
  const unknown = given.find((each) => !names.includes(each));
  if (unknown !== undefined) throw new Error(`--${name} takes one of ${names.join(' | ')}, not ${JSON.stringify(unknown)}\n\n${USAGE}`);
}
