/** Measures cenote against its rivals and prints one table. `npm run bench -- --help` says how. */
import { parseArgs } from 'node:util';
import { chosen } from './frame/command.ts';
import { checkPage, putInto } from './frame/page.ts';
import type { Effort, Question, Row } from './frame/question.ts';
import { footer, machine, table } from './frame/table.ts';
import { attach } from './questions/attach.ts';
import { control } from './questions/control.ts';
import { demo } from './questions/demo.ts';
import { handOffs } from './questions/hand-offs.ts';
import { jobs } from './questions/jobs.ts';
import { longLine } from './questions/long-line.ts';
import { memory } from './questions/memory.ts';
import { order } from './questions/order.ts';
import { owner } from './questions/owner.ts';
import { remoteCalls } from './questions/remote-calls.ts';
import { waiting } from './questions/waiting.ts';
import { watching } from './questions/watching.ts';
import { workerAsync } from './questions/worker-async.ts';
import { workerSync } from './questions/worker-sync.ts';

/** A new question is a file in questions/ and a name here. */
const QUESTIONS: readonly Question[] = [
  workerSync,
  workerAsync,
  owner,
  handOffs,
  order,
  longLine,
  waiting,
  remoteCalls,
  attach,
  memory,
  demo,
];

/** Of what stands beside the core: answered only when they are asked by name, so that the pages of figures stay about the core. */
const ASIDE: readonly Question[] = [control, jobs, watching];

const ALL = [...QUESTIONS, ...ASIDE];

const FULL: Effort = { rounds: 15, slice: 60 };
/** Shows that everything runs; its figures mean little. */
const QUICK: Effort = { rounds: 1, slice: 10 };

const COMMAND = 'npm run bench';

const USAGE = `usage: npm run bench -- [--only name]... [--quick] [--json] [--into page.md]

  --only name     this question; may be given more than once
  --quick         shows that everything runs, in seconds; the figures mean little
  --json          for machines
  --into page.md  puts the table into this page too, between the two lines that mark its place

${QUESTIONS.map(({ name, asks, slow }) => `  ${name.padEnd(14)}${asks}${slow ? '; not part of --quick' : ''}`).join('\n')}

only when asked by name:
${ASIDE.map(({ name, asks }) => `  ${name.padEnd(14)}${asks}`).join('\n')}
`;

function options() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      into: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = values.only?.find((name) => ALL.every((question) => question.name !== name));
  if (unknown !== undefined) throw new Error(`no question is called ${unknown}\n\n${USAGE}`);
  // To be found out now, not in seven minutes.
  if (values.into !== undefined) checkPage(values.into, COMMAND);
  return values;
}

async function run({ only, quick, json, into }: ReturnType<typeof options>): Promise<void> {
  const where = machine();
  const rows: Row[] = [];
  const text = (): string => `${table(rows)}\n\n${footer(where)}`;
  const print = (): void => {
    if (json) console.log(JSON.stringify({ machine: where, quick, rows }, undefined, 2));
    else if (rows.length > 0) console.log(text());
  };
  // Threads may be asleep in Atomics.wait, so nobody is asked: what is known is printed, and the process ends with all of them.
  process.once('SIGINT', () => {
    if (!json) print();
    process.exit(130);
  });
  for (const question of only === undefined ? QUESTIONS : ALL) {
    if (only === undefined ? quick && question.slow : !only.includes(question.name)) continue;
    if (!json) process.stderr.write(`${question.name} ...\n`);
    rows.push(...(await question.run(quick ? QUICK : FULL)));
  }
  print();
  const command = [COMMAND, ...(only ?? []).map((name) => `--only ${name}`), ...(quick ? ['--quick'] : [])];
  const asked = command.length > 1 ? command.toSpliced(1, 0, '--').join(' ') : COMMAND;
  if (into !== undefined) putInto(into, `\`\`\`text\n$ ${asked}\n${text()}\n\`\`\``, COMMAND);
}

const values = chosen(options, USAGE);
if (values !== undefined) await run(values);
