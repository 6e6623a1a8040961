/**
 * Tiers of the tests, by what a file needs: `npm run test:unit` and so on run one, `npm test` all.
 *
 * - unit: neither threads nor processes, and no waiting
 * - threads: threads and processes of their own
 * - pg: a PostgreSQL server
 * - proof: explores, shoots at, or runs for long what the others look at once
 *
 * Found out, not written down: a file that comes to need more moves by itself.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const TIERS = ['unit', 'threads', 'pg', 'proof'] as const;
export type Tier = (typeof TIERS)[number];

const PROOF = /^test\/(fuzz|interleave|linear|long|model|soak)\//;
const PG = /^test\/(pg|demo)\/|^test\/bench\/pg\./;
/** They do not share a process with other files, as what they leave running would be heard of there (a budget whose engine goes out of reach says so aloud), or as they count timers. */
const ALONE = /^test\/(?:budget\/|pg\/timers-and-listeners\.)/;
/** Starts a server. */
const SERVER = 'examples/demo/postgres.ts';
/** Starts a thread or a process. Only where it is imported: tests also hold whole programs as text. */
const STARTS = /^import\b[^;]*(\bWorker\b[^;]*from 'node:worker_threads'|from '(node:child_process|piscina|cenote\/jobs)')/m;

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Paths from the root. */
export const testFiles = (): string[] =>
  readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' })
    .map((path) => `test/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.test.ts'))
    .sort();

export function tierOf(file: string): Tier {
  if (PROOF.test(file)) return 'proof';
  const reached = reachedFrom(file);
  if (PG.test(file) || reached.has(SERVER)) return 'pg';
  return [...reached.values()].some((text) => STARTS.test(text)) ? 'threads' : 'unit';
}

/** Whether it needs a process of its own. */
export const isAlone = (file: string): boolean => ALONE.test(file);

/** By tier, each file once. */
export function tiers(): Record<Tier, string[]> {
  const found: Record<Tier, string[]> = { unit: [], threads: [], pg: [], proof: [] };
  for (const file of testFiles()) found[tierOf(file)].push(file);
  return found;
}

const texts = new Map<string, string | undefined>();
function textOf(file: string): string | undefined {
  if (!texts.has(file)) texts.set(file, existsSync(root + file) ? readFileSync(root + file, 'utf8') : undefined);
  return texts.get(file);
}

/** The files that it loads, with their text: by an import, or by a URL. Nothing of the product, which starts no thread. */
function reachedFrom(file: string, reached = new Map<string, string>()): Map<string, string> {
  const text = /^(test|bench|examples)\//.test(file) && !reached.has(file) ? textOf(file) : undefined;
  if (text === undefined) return reached;
  reached.set(file, text);
  for (const [, path] of text.matchAll(/(?:\bfrom |\bimport\(?|new URL\()'(\.{1,2}\/[^']+\.[jt]s)'/g))
    reachedFrom(posix.join(posix.dirname(file), path!), reached);
  return reached;
}
