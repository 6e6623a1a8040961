/** Measures cenote against its rivals and prints one table. `npm run bench -- --help` says how. */
import { parseArgs } from 'node:util';
import type { Effort, Question, Row } from './frame/question.ts';
import { footer, machine, table } from './frame/table.ts';
import { handOffs } from './questions/hand-offs.ts';
import { owner } from './questions/owner.ts';
import { remoteCalls } from './questions/remote-calls.ts';
import { workerAsync } from './questions/worker-async.ts';
import { workerSync } from './questions/worker-sync.ts';

/** A new question is a file in questions/ and a name here. */
const QUESTIONS: readonly Question[] = [workerSync, workerAsync, owner, handOffs, remoteCalls];

const FULL: Effort = { rounds: 15, slice: 60 };
/** Shows that everything runs; its figures mean little. */
const QUICK: Effort = { rounds: 3, slice: 10 };

const USAGE = `usage: npm run bench -- [--only name]... [--quick] [--json]

${QUESTIONS.map(({ name, asks }) => `  ${name.padEnd(14)}${asks}`).join('\n')}
`;

function options() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = values.only?.find((name) => QUESTIONS.every((question) => question.name !== name));
  if (unknown !== undefined) throw new Error(`no question is called ${unknown}\n\n${USAGE}`);
  return values;
}

async function run({ only, quick, json }: ReturnType<typeof options>): Promise<void> {
  const rows: Row[] = [];
  const print = (): void => {
    if (json) console.log(JSON.stringify({ machine: machine(), quick, rows }, undefined, 2));
    else if (rows.length > 0) console.log(`${table(rows)}\n\n${footer(machine())}`);
  };
  // Threads may be asleep in Atomics.wait, so nobody is asked: what is known is printed, and the process ends with all of them.
  process.once('SIGINT', () => {
    if (!json) print();
    process.exit(130);
  });
  for (const question of QUESTIONS) {
    if (only !== undefined && !only.includes(question.name)) continue;
    if (!json) process.stderr.write(`${question.name} ...\n`);
    rows.push(...(await question.run(quick ? QUICK : FULL)));
  }
  print();
}

/** The options, or undefined when there is nothing to run. */
function chosen(): ReturnType<typeof options> | undefined {
  try {
    const values = options();
    if (!values.help) return values;
    console.log(USAGE);
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
  return undefined;
}

const values = chosen();
if (values !== undefined) await run(values);
