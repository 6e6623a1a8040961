/**
 * Flips bits of a control block while real threads work on it: `npm run fuzz -- --minutes 1 --seed 7`. A round that fails prints its seed.
 *
 * The owner and the borrowers run in a process of their own (subject.ts), with a thread beside them that watches the owner's heart: a round fails if the
 * owner's event loop, or a borrower's, stands still, if one resource has two borrowers or close() does not end (where no damaged word excuses just that: docs/proof-bad-input.md),
 * if anything is thrown that is not an error of ours, or if the process has not ended in time.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export interface Report {
  rounds: number;
  flips: number;
  operations: number;
  /** Operations that ended with an error of ours. */
  refused: number;
  /** Acquires that only ended with the pool. */
  stranded: number;
  /** Times that somebody took a resource or gave it back, and a witness outside of the block was asked whether anybody else had it. */
  judged: number;
  /** Times that somebody else had it, and the word of its slot had been damaged. */
  excused: number;
  /** Rounds whose damage does not excuse a close() that does not end. */
  awaited: number;
  failures: string[];
}

/** A round takes a second or two; then the pool is closed, and the process must end. Some of this is for a machine that is busy. */
const LIMIT = 120_000;

/** So many rounds, and more until so many milliseconds have passed. */
export async function fuzz(seed: number, rounds: number, milliseconds: number, tell: (line: string) => void = () => {}): Promise<Report> {
  const report: Report = { rounds: 0, flips: 0, operations: 0, refused: 0, stranded: 0, judged: 0, excused: 0, awaited: 0, failures: [] };
  const end = performance.now() + milliseconds;
  for (let round = seed; round < seed + rounds || performance.now() < end; round++) {
    const { said, stderr, why } = await run(round);
    report.rounds++;
    const figures = said.find((line) => line.startsWith('figures '));
    const problems = said.filter((line) => line.startsWith('failure '));
    if (why !== '') problems.push(why);
    if (figures === undefined) problems.push(`no figures: ${stderr.slice(-2000)}`);
    else {
      const { flips, operations, refused, stranded, judged, excused, awaited } = JSON.parse(figures.slice(8));
      report.flips += flips;
      report.operations += operations;
      report.refused += refused;
      report.stranded += stranded;
      report.judged += judged;
      report.excused += excused;
      report.awaited += awaited;
    }
    for (const problem of problems) {
      report.failures.push(
        `seed ${round}: ${problem}\n${said.filter((line) => line.startsWith('flip ')).join('\n')}\n${stderr.slice(-2000)}`,
      );
      tell(report.failures.at(-1)!);
    }
  }
  return report;
}

function run(seed: number): Promise<{ said: string[]; stderr: string; why: string }> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const subject = fileURLToPath(new URL('./subject.js', import.meta.url));
  const child = spawn(process.execPath, ['--no-warnings', subject, String(seed)], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  let stdout = '';
  let stderr = '';
  let why = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      why = `failure the process had not ended after ${LIMIT} ms`;
      child.kill('SIGKILL');
    }, LIMIT);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      if (why === '' && code !== 0) why = `failure exit code ${code}`;
      resolve({ said: stdout.split('\n').filter(Boolean), stderr, why });
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } } });
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed);
  console.log(`seed ${seed}`);
  const { failures, ...figures } = await fuzz(seed, 1, Number(values.minutes) * 60_000, console.error);
  console.log(figures, failures.length === 0 ? 'nothing failed' : `${failures.length} failed`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}
