/** Queries from many threads: cenote against a pool in each thread, and against one pool by comlink. `npm run bench:pg -- --help` says how. */
import { parseArgs } from 'node:util';
import { openDatabase } from '../../examples/demo/database.ts';
import { chosen } from '../frame/command.ts';
import { type Machine, machine } from '../frame/table.ts';
import { type Effort, FULL, measureAll, QUICK, type Row } from './measure.ts';
import { Observer } from './observer.ts';
import { BEGIN, END, footer, tables } from './tables.ts';

const USAGE = `usage: npm run bench:pg -- [--quick] [--threads 1,2,4,8] [--rounds 5] [--slice 500] [--lanes 4] [--json | --markdown]

  --threads       so many threads, one number after the other
  --rounds        so often, after a first time that does not count
  --slice         milliseconds for one way in one round
  --lanes         queries or transactions that each thread has under way
  --quick         shows that everything runs, in seconds, on one thread; the figures mean little
  --json          for machines
  --markdown      the figures of docs/performance-pg.md, with the two lines that mark their place

Starts a PostgreSQL of its own, or takes the one that DATABASE_URL names. Ctrl-C ends it and leaves nothing behind.
`;

function options() {
  const { values } = parseArgs({
    options: {
      threads: { type: 'string' },
      rounds: { type: 'string' },
      slice: { type: 'string' },
      lanes: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const { threads, rounds, slice, lanes, ...rest } = values;
  if (rest.json && rest.markdown) throw new Error(`--json or --markdown, not both\n\n${USAGE}`);
  const usual = rest.quick ? QUICK : FULL;
  const effort: Effort = {
    threads: threads?.split(',').map((text) => whole('threads', text, 16)) ?? usual.threads,
    rounds: rounds === undefined ? usual.rounds : whole('rounds', rounds, 100),
    slice: slice === undefined ? usual.slice : whole('slice', slice, 60_000),
    lanes: lanes === undefined ? usual.lanes : whole('lanes', lanes, 64),
  };
  return { ...rest, effort };
}

function whole(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`--${name} takes whole numbers from 1 to ${most}, not ${JSON.stringify(text)}\n\n${USAGE}`);
}

interface Result {
  readonly machine: Machine;
  readonly postgres: string;
  readonly effort: Effort;
  readonly rows: readonly Row[];
}

async function run({ effort, json, markdown }: ReturnType<typeof options>): Promise<void> {
  const where = machine();
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const stopping = new AbortController();
  // It says something at once: whoever hears that may interrupt.
  process.once('SIGINT', async () => {
    stopping.abort();
    await opening.then(
      (database) => database.close(),
      () => {},
    );
    // Threads, and whatever they have under way.
    process.exit(130);
  });
  const opening = openDatabase(say, stopping.signal);
  try {
    const { url, schema, close } = await opening;
    try {
      const observer = await Observer.open({ url, schema });
      const postgres = await observer.version();
      const isLocal = process.env.DATABASE_URL === undefined;
      const rows = await measureAll({ url, schema }, observer, isLocal, effort, say);
      await observer.end();
      const result: Result = { machine: where, postgres, effort, rows };
      if (json) console.log(JSON.stringify(result, undefined, 2));
      else console.log(markdown ? `${BEGIN}\n\n${text(result)}\n\n${END}` : text(result));
    } finally {
      await close();
    }
  } catch (error) {
    // Everything breaks when the server is taken away.
    if (!stopping.signal.aborted) throw error;
  }
}

const text = ({ machine, postgres, effort, rows }: Result): string => `${tables(rows)}\n\n${footer(machine, postgres, effort)}`;

const values = chosen(options, USAGE);
if (values !== undefined) await run(values);
