/**
 * `npm run mutate [-- --list] [--only NAME]... [--from N] [--to N] [--stages N] [--tests PATH]... [--log FILE]`: makes each mutant in a copy of the tree, builds it, and runs the test file
 * that is to notice. Those that it does not notice go through all tests afterwards, in stages, cheapest first (the first N of them; 0: none), until one fails. Who notices, and after how
 * long; or SURVIVED. `--tests` runs these instead.
 *
 * `--planted` asks the soak for a minute about each fault of planted.ts, and then all tests of the owner and of workers (`--stages 0`: the soak alone).
 *
 * What fails with nothing changed would fail with any mutant, and is no catch: the tests that are to notice run on the copy as it is before anything else, and one that notices in a
 * stage runs on it afterwards.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { changes, type Mutant } from './mutant.ts';
import { type Listed, mutants } from './mutants.ts';
import { planted } from './planted.ts';

interface Stage {
  readonly name: string;
  readonly paths: readonly string[];
  /** In ms. Beyond it something hangs, and that is a catch. */
  readonly limit: number;
}

// test/interleave/explorer explores scenarios of its own; interleavings whose title says "caught" quote the very text that is changed here.
const STAGES: readonly Stage[] = [
  { name: 'docs and shared', paths: ['test/docs/state-machines', 'test/shared'], limit: 60_000 },
  { name: 'model', paths: ['test/model'], limit: 90_000 },
  { name: 'main', paths: ['test/main'], limit: 150_000 },
  { name: 'bad input', paths: ['test/fuzz/damage', 'test/fuzz/handle', 'test/fuzz/port'], limit: 90_000 },
  { name: 'interleave', paths: ['test/interleave', '--exclude', 'test/interleave/explorer/**'], limit: 300_000 },
  { name: 'linear', paths: ['test/linear'], limit: 120_000 },
  { name: 'worker', paths: ['test/worker'], limit: 300_000 },
];
const NOT_CAUGHT_ONES = '^(?!.*caught)';
/** A mutant that an interleaving with a variant of the source does not fit has not been noticed by anybody. */
const MISFIT = 'does not fit any more';

const root = fileURLToPath(new URL('../..', import.meta.url));
const COPIED = [
  'src',
  'test',
  'scripts',
  'docs',
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'vitest.config.ts',
];

const { values } = parseArgs({
  options: {
    list: { type: 'boolean', default: false },
    planted: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    from: { type: 'string', default: '1' },
    to: { type: 'string', default: String(mutants.length) },
    stages: { type: 'string', default: '99' },
    tests: { type: 'string', multiple: true },
    log: { type: 'string' },
  },
});

function chosen(): readonly Listed[] {
  if (values.only === undefined) return mutants.slice(Number(values.from) - 1, Number(values.to));
  return values.only.map((name) => {
    const found = mutants.find((mutant) => mutant.name === name);
    if (found === undefined) throw new RangeError(`--only ${JSON.stringify(name)}: no such mutant, see --list`);
    return found;
  });
}

function say(line: string): void {
  console.log(line);
  if (values.log !== undefined) appendFileSync(values.log, `${line}\n`);
}

/** A copy in which things may be broken. */
function copy(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cenote-mutate-'));
  for (const path of COPIED)
    if (existsSync(join(root, path)))
      cpSync(join(root, path), join(folder, path), { recursive: true, filter: (from) => basename(from) !== 'node_modules' });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  // Built here, without a look at the types: a mutant may leave an import unused.
  writeFileSync(join(folder, 'test/support/build.ts'), 'export default function build(): void {}\n');
  process.on('SIGINT', () => {
    if (running !== undefined) kill(running);
    rmSync(folder, { recursive: true, force: true });
    process.exit(130);
  });
  return folder;
}

/** What runs now, with all that it has started. */
let running: number | undefined;

/** It may just have ended. */
function kill(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {}
}

/** The end of a process, or undefined if it had to be killed, with all that it had started. */
function run(folder: string, args: readonly string[], limit: number): Promise<{ code: number | null; output: string } | undefined> {
  const env = { ...process.env, CENOTE_WHOLE: '1' };
  const child = spawn(process.execPath, args, { cwd: folder, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  running = child.pid;
  let output = '';
  const hear = (chunk: Buffer): void => {
    output = (output + chunk).slice(-20_000);
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      kill(child.pid!);
      resolve(undefined);
    }, limit);
    child.on('error', reject);
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

/** What is wrong, or nothing. */
async function build(folder: string): Promise<string> {
  rmSync(join(folder, 'dist'), { recursive: true, force: true });
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const built = await run(folder, [tsc, '-p', 'tsconfig.build.json', '--outDir', 'dist', '--noCheck'], 120_000);
  return built?.code === 0 ? '' : `does not build: ${built?.output ?? 'the compiler hangs'}`;
}

interface Report {
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { title: string; status: string; failureMessages: string[] }[];
  }[];
}

interface Notice {
  readonly who: string;
  /** Where to look whether it would fail anyway. */
  readonly paths: readonly string[];
}

/** Who notices, or undefined. */
async function noticed(folder: string, stage: Stage): Promise<Notice | undefined> {
  const notice = (who: string, paths = stage.paths): Notice => ({ who, paths });
  const file = join(folder, 'report.json');
  rmSync(file, { force: true });
  const args = [
    '--bail',
    '1',
    '-t',
    NOT_CAUGHT_ONES,
    '--testTimeout',
    stage.paths.some((path) => path.startsWith('test/interleave')) ? '90000' : '20000',
    '--reporter=json',
    `--outputFile=${file}`,
  ];
  const ended = await run(folder, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...stage.paths, ...args], stage.limit);
  if (ended === undefined) return notice(`${stage.name}: hangs for ${stage.limit / 1000} s`);
  if (ended.code === 0) return;
  if (!existsSync(file)) return notice(`${stage.name}: exit code ${ended.code} ${ended.output.slice(-300)}`);
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  for (const { name, status, message, assertionResults } of report.testResults) {
    const where = relative(folder, name).replaceAll('\\', '/');
    for (const { title, status, failureMessages } of assertionResults) {
      if (status !== 'failed') continue;
      if (failureMessages.some((failure) => failure.includes(MISFIT))) return notice(`MISFIT ${where}: ${title}`);
      // Said apart: on a machine that is busy with other things that may be no catch.
      const timedOut = failureMessages.some((failure) => failure.includes('Test timed out')) ? 'timed out, ' : '';
      return notice(`${timedOut}${where}: ${title}`, [where]);
    }
    if (status === 'failed' && message !== '') return notice(`${where}: ${message.split('\n')[0]}`, [where]);
  }
  return notice(`${stage.name}: exit code ${ended.code}, an error outside of any test`);
}

/** The first notice of the copy as it stands. */
async function judged(folder: string, stages: readonly Stage[]): Promise<Notice | undefined> {
  const problem = await build(folder);
  if (problem !== '') return { who: problem, paths: [] };
  for (const stage of stages) {
    const notice = await noticed(folder, stage);
    if (notice !== undefined) return notice;
  }
}

/** With the edits made, and undone afterwards. */
async function withEdits<V>(folder: string, mutant: Mutant, body: () => Promise<V>): Promise<V> {
  const changed = [...changes(mutant, join(folder, 'src/'))].map(([file, text]) => [join(folder, 'src', file), text] as const);
  const before = changed.map(([path]) => [path, readFileSync(path, 'utf8')] as const);
  try {
    for (const [path, text] of changed) writeFileSync(path, text);
    return await body();
  } finally {
    for (const [path, text] of before) writeFileSync(path, text);
  }
}

const seconds = (since: number): string => `${Math.round((performance.now() - since) / 1000)} s`;

const asked = ({ first }: Listed): Stage => {
  const paths = values.tests ?? first.map((name) => `test/${name}`);
  return { name: paths.join(' '), paths, limit: values.tests === undefined ? 120_000 : 300_000 };
};

async function mutate(): Promise<void> {
  const folder = copy();
  const list = chosen();
  const unnoticed: Listed[] = [];
  const wrong: string[] = [];
  const by = new Map<string, number>();

  const tell = (mutant: Listed, verdict: string, started: number): void =>
    say(`${mutants.indexOf(mutant) + 1}. ${mutant.edits[0].inside}, ${mutant.name}: ${verdict} (${seconds(started)})`);
  const caught = (mutant: Listed, { who }: Notice, started: number): void => {
    tell(mutant, who, started);
    if (mutant.survives !== undefined) wrong.push(`it says that it survives, and does not: ${mutant.name}`);
    if (who.startsWith('MISFIT') || who.startsWith('does not build')) wrong.push(`not judged: ${mutant.name}`);
    else by.set(kindOf(who), (by.get(kindOf(who)) ?? 0) + 1);
  };
  const left = (mutant: Listed, started: number): void => {
    tell(mutant, mutant.survives === undefined ? 'SURVIVED' : `survived, as it says: ${mutant.survives}`, started);
    if (mutant.survives === undefined) wrong.push(`nobody noticed: ${mutant.name}`);
  };

  try {
    let started = performance.now();
    const all = { name: 'those that are to notice', paths: [...new Set(list.flatMap((mutant) => asked(mutant).paths))], limit: 900_000 };
    const already = await judged(folder, [all]);
    if (already !== undefined) throw new Error(`with nothing changed, there is a failure already: ${already.who}`);
    say(`with nothing changed: nothing fails in ${all.paths.length} places, ${seconds(started)}`);

    for (const mutant of list) {
      started = performance.now();
      const notice = await withEdits(folder, mutant, () => judged(folder, [asked(mutant)]));
      if (notice !== undefined) caught(mutant, notice, started);
      else {
        unnoticed.push(mutant);
        tell(mutant, `not noticed by ${asked(mutant).name}`, started);
      }
    }

    const stages = values.tests === undefined ? STAGES.slice(0, Number(values.stages)) : [];
    for (const mutant of unnoticed) {
      started = performance.now();
      const notice = await withEdits(folder, mutant, () => judged(folder, stages));
      if (notice === undefined) left(mutant, started);
      else if (
        notice.paths.length > 0 &&
        (await judged(folder, [{ name: 'unchanged', paths: notice.paths, limit: 300_000 }])) !== undefined
      )
        wrong.push(`not judged, as it fails with nothing changed, too: ${mutant.name}, ${notice.who}`);
      else caught(mutant, notice, started);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const sum = [...by.values()].reduce((all, some) => all + some, 0);
  const whom = [...by].map(([kind, times]) => `${times} by ${kind}`).join(', ');
  const explained = unnoticed.filter(({ survives }) => survives !== undefined).length;
  say(`${sum} of ${list.length} caught (${Math.round((sum / list.length) * 100)} %): ${whom}; ${explained} survive for a reason`);
  for (const line of wrong) say(line);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

/** The folder of tests that noticed. */
const kindOf = (who: string): string => /test\/\w+(?=\/)/.exec(who)?.[0] ?? 'no test of its own';

/** What the soak makes of it, in how many rounds. */
async function soaked(folder: string): Promise<string> {
  const soak = [
    '--no-warnings',
    '--import',
    './scripts/typescript.js',
    'test/soak/soak.ts',
    '--minutes',
    '1',
    '--duration',
    '1000',
    '--seed',
    '7',
  ];
  const ended = await run(folder, soak, 180_000);
  if (ended === undefined) return 'hangs';
  const rounds = [...ended.output.matchAll(/^round (\d+)/gm)].at(-1)?.[1] ?? '0';
  if (ended.code === 0) return `nothing in ${rounds} rounds`;
  const first = /^FAILED\n(.*)/m.exec(ended.output)?.[1] ?? ended.output.slice(-200);
  return `round ${rounds}: ${first}`;
}

async function plant(): Promise<void> {
  const folder = copy();
  try {
    for (const fault of planted.slice(Number(values.from) - 1, values.to === String(mutants.length) ? undefined : Number(values.to)))
      await withEdits(folder, fault, async () => {
        const problem = await build(folder);
        if (problem !== '') return say(`${fault.name}: ${problem}`);
        let started = performance.now();
        const bySoak = `${await soaked(folder)} (${seconds(started)})`;
        started = performance.now();
        let byTests: string | undefined;
        if (values.stages === '0') return say(`${fault.edits[0].inside}, ${fault.name}\n  soak: ${bySoak}`);
        for (const stage of STAGES.filter(({ name }) => ['main', 'bad input', 'worker'].includes(name)))
          byTests ??= (await noticed(folder, stage))?.who;
        say(`${fault.edits[0].inside}, ${fault.name}\n  soak: ${bySoak}\n  tests: ${byTests ?? 'SURVIVED'} (${seconds(started)})`);
      });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.planted) await plant();
else if (values.list)
  for (const [index, { name, edits, survives }] of mutants.entries())
    console.log(`${index + 1}. ${edits[0].inside}, ${name}${survives === undefined ? '' : ` (survives: ${survives})`}`);
else await mutate();
