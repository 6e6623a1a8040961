/**
 * Snippets as programs. The first line of each says where it runs:
 *
 *   // main.mjs, // main.mts   a file, which begins a program of its own: it is what is run
 *   // worker.mjs ...          a further file of the same program
 *   // owner                   the body of a program that has made `pool`; closed at the end
 *   // worker                  the body of a thread that has attached to such a pool
 *   // pg-worker               a module on a thread, with the `pool` of a createPgPool: at most two connections to an empty database
 *
 * Each `// prints: text` in it is a line of output, no matter in which order; and there is no other.
 */
import { type Fence, fencesOf, type Page, page } from './markdown.ts';

export interface Program {
  readonly where: string;
  readonly files: Map<string, string>;
  readonly main: string;
  readonly prints: string[];
}

const isSnippet = ({ language }: Fence): boolean => language.startsWith('js') || language.startsWith('ts');

export function programsOf(source: Page): Program[] {
  const programs: Program[] = [];
  for (const fence of fencesOf(source).filter(isSnippet)) {
    const place = /^\/\/ (\S+)\n/.exec(fence.code)?.[1] ?? '';
    const prints = [...fence.code.matchAll(/\/\/ prints: (.*)$/gm)].map((match) => match[1]);
    if (place === 'owner') programs.push({ where: fence.where, files: onOwner(fence.code), main: 'main.mjs', prints });
    else if (place === 'worker') programs.push({ where: fence.where, files: onWorker(fence.code), main: 'main.mjs', prints });
    else if (place === 'pg-worker') programs.push({ where: fence.where, files: onPgWorker(fence.code), main: 'main.mjs', prints });
    else if (/^main\.(mjs|mts)$/.test(place))
      programs.push({ where: fence.where, files: new Map([[place, fence.code]]), main: place, prints });
    else if (/^[\w-]+\.(mjs|mts)$/.test(place) && programs.length > 0) {
      const program = programs[programs.length - 1];
      if (program.files.has(place)) throw new Error(`${fence.where}: its program has a ${place} already`);
      program.files.set(place, fence.code);
      program.prints.push(...prints);
    } else
      throw new Error(
        `${fence.where}: the first line must say where this runs, like "// owner" or "// main.mjs", not ${JSON.stringify(place)}`,
      );
  }
  return programs;
}

/** The first example, which the others refer to. */
export const firstExample = (): Program => programsOf(page('README.md'))[0];

/** `Connection`, `sleep`, and what cenote exports, as the first example has them. */
function preamble(): string {
  const readme = fencesOf(page('README.md')).find(({ code }) => code.startsWith('// main.mjs\n'))!.code;
  const connection = /^class Connection \{\n.*?^\}$/ms.exec(readme)?.[0];
  const sleep = /^import .* as sleep .*$/m.exec(readme)?.[0];
  if (connection === undefined || sleep === undefined) throw new Error('the first example defines no Connection and sleep');
  return `${sleep}\nimport * as cenote from 'cenote';
const { createPool, consecutiveFailures, failureRate, CircuitBreakerState } = cenote;\n${connection}
const pool = await createPool({ factory: () => new Connection(), destructor: (connection) => connection.close(), max: 10 });\n`;
}

function onOwner(code: string): Map<string, string> {
  return new Map([['main.mjs', `${preamble()}{\n${code}}\nawait pool.close();\n`]]);
}

function onWorker(code: string): Map<string, string> {
  return new Map([
    [
      'main.mjs',
      `import { once } from 'node:events';\nimport { Worker } from 'node:worker_threads';\n${preamble()}
const [exitCode] = await once(new Worker(new URL('./worker.mjs', import.meta.url), { workerData: pool.handle }), 'exit');
if (exitCode !== 0) process.exitCode = exitCode;
await pool.close();\n`,
    ],
    [
      'worker.mjs',
      `import { workerData } from 'node:worker_threads';\nimport { attachPool } from 'cenote/worker';
const pool = await attachPool(workerData);\n{\n${code}}\n`,
    ],
  ]);
}

/** Imports may stand anywhere at the top level: the snippet comes as it is. */
function onPgWorker(code: string): Map<string, string> {
  return new Map([
    [
      'main.mjs',
      `import { once } from 'node:events';\nimport { Worker } from 'node:worker_threads';\nimport { createPgPool } from 'cenote/pg';
const pool = await createPgPool({ connection: process.env.DATABASE_URL, max: 2 });
const [exitCode] = await once(new Worker(new URL('./worker.mjs', import.meta.url), { workerData: pool.handle }), 'exit');
if (exitCode !== 0) process.exitCode = exitCode;
await pool.end();\n`,
    ],
    [
      'worker.mjs',
      `import { workerData } from 'node:worker_threads';\nimport { attachPgPool } from 'cenote/pg/worker';
const pool = await attachPgPool(workerData);\n${code}`,
    ],
  ]);
}
