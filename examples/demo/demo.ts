// npm run demo [folder]: indexes a folder of source files into PostgreSQL on eight threads which share four connections,
// answers a few searches, and does the same the usual way for comparison.
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Connection } from './connection.ts';
import { type Database, openDatabase } from './database.ts';
import { findFiles } from './files.ts';
import { Monitor } from './monitor.ts';
import { showAnswers, showTable, tellResult, tellSkipped } from './report.ts';
import { count, counted, megabytes, say } from './say.ts';
import { search } from './table.ts';
import { watched } from './watched.ts';
import { CONNECTIONS, JOBS, type Outcome, onePool, poolInEveryThread, THREADS, type Work } from './ways.ts';

const DEFAULT_FILES = 2_000;
const ANSWERS = 3;
/** PostgreSQL's code. */
const TOO_MANY_CONNECTIONS = '53300';
const SEARCHES = ['connection pool', 'worker thread', 'parse unicode string'];

const USAGE = `Usage: npm run demo -- [folder] [--files N] [--search "words"]...

Indexes the source and text files below a folder (this project's node_modules unless you name one) into PostgreSQL:
${THREADS} threads read, tokenise, hash and compress them and store them through one pool of ${CONNECTIONS} connections.
Then come a few searches, and the same job again with a pool of ${CONNECTIONS} in every thread.

  --files N          at most so many files, spread over the whole folder (default ${DEFAULT_FILES})
  --jobs N           at most so many files in the works at once (default ${JOBS})
  --search "words"   what to search for; may be given more than once
  --dashboard PORT   serves a page that shows the one pool and its threads at work, on this machine only (0: any port that
                     is free). The files are indexed through the one pool again and again, until Ctrl-C, and that is all
  --help             this text

The server is a throw-away PostgreSQL which the demo starts itself, or the one that DATABASE_URL names.
Ctrl-C leaves nothing behind.`;

interface Options {
  folder: string;
  limit: number;
  jobs: number;
  searches: string[];
  dashboard: number | undefined;
}

async function demo({ folder, limit, jobs, searches, dashboard }: Options, signal: AbortSignal): Promise<void> {
  say(`Looking for source files in ${folder} ...`);
  const { files, found, bytes, skipped } = await findFiles(folder, limit, signal);
  if (files.length === 0) throw new Error(`There are no source or text files to index in ${folder}`);
  const part =
    found > limit
      ? `${count(files.length)} of ${count(found)} files (--files ${limit}), spread over the folder`
      : `${counted(files.length, 'file')}`;
  say(`  ${part}, ${megabytes(bytes)}`);
  tellSkipped(skipped);

  const database = await openDatabase(say, signal);
  try {
    const work = { database, files, jobs, signal };
    if (dashboard === undefined) await bothWays(work, searches);
    else await watched(work, dashboard);
  } catch (error) {
    if (!signal.aborted) await reachable(database);
    throw error;
  } finally {
    await database.close();
  }
}

/** Work that broke off because the server went says "read ECONNRESET", or worse: then this says what has happened. */
async function reachable({ url, schema }: Database): Promise<void> {
  try {
    await (await Connection.open(url, `${schema} check`)).end();
  } catch (error) {
    throw new Error(`The PostgreSQL server takes no connections any more: ${oneLine(error as Error)}`);
  }
}

async function bothWays(work: Work, searches: string[]): Promise<void> {
  const { database, signal } = work;
  const monitor = await Monitor.open(database.url, `${database.schema} monitor`);
  const setting = { ...work, monitor };
  try {
    say(`\nOne pool: ${THREADS} threads share ${CONNECTIONS} connections ...`);
    const one = await onePool(setting, async (pool, table, outcome) => {
      tellResult(outcome);
      say('\nSearching, through the same pool ...');
      for (const words of searches) {
        showAnswers(words, await pool.use((connection) => search((...query) => connection.query(...query), table, words, ANSWERS)));
      }
    });

    signal.throwIfAborted();
    say(`\nThe usual way: ${THREADS} threads with a pool of ${CONNECTIONS} connections each ...`);
    const each = await unlessRefused(poolInEveryThread(setting));
    if (each) tellResult(each);

    say(`\nBoth ways, side by side`);
    showTable(one, each);
  } finally {
    await monitor.close();
  }
}

/** A server that will not have so many connections refuses the usual way only: that is a result, not an accident. */
async function unlessRefused(outcome: Promise<Outcome>): Promise<Outcome | undefined> {
  try {
    return await outcome;
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    if (code !== TOO_MANY_CONNECTIONS) throw error;
    say(`  the server refuses: ${message}`);
    return undefined;
  }
}

function readOptions(): Options | 'help' {
  const { values, positionals } = parseArgs({
    options: {
      files: { type: 'string', default: `${DEFAULT_FILES}` },
      jobs: { type: 'string', default: `${JOBS}` },
      search: { type: 'string', multiple: true, default: SEARCHES },
      dashboard: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
    allowPositionals: true,
  });
  if (values.help) return 'help';
  if (positionals.length > 1) throw new Error(`One folder, please, not ${positionals.length}: ${positionals.join(', ')}`);
  const atLeastOne = (option: 'files' | 'jobs'): number => {
    const number = Number(values[option]);
    if (!Number.isInteger(number) || number < 1) throw new RangeError(`--${option} wants a number of at least 1, not ${values[option]}`);
    return number;
  };
  // npm changes to the project's folder; what its user typed is meant from where they are.
  const here = (process.env.npm_lifecycle_event === 'demo' && process.env.INIT_CWD) || process.cwd();
  const folder =
    positionals[0] === undefined ? fileURLToPath(new URL('../../node_modules', import.meta.url)) : resolve(here, positionals[0]);
  return { folder, limit: atLeastOne('files'), jobs: atLeastOne('jobs'), searches: values.search, dashboard: portOf(values.dashboard) };
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = text === '' ? Number.NaN : Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new RangeError(`--dashboard wants a port from 0 to 65535 (0: any that is free), not ${text}`);
  return port;
}

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    process.exitCode = 128 + constants.signals[signal];
    // Whoever asks twice does not wait: the keepers clean up without us.
    if (interrupt.signal.aborted) process.exit();
    process.stderr.write(`\n${signal}: cleaning up ...\n`);
    interrupt.abort(new Error(signal));
  });
}
// `npm run demo | head`, or a terminal that was closed.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => interrupt.abort(new Error('nobody listens')));

try {
  const options = readOptions();
  if (options === 'help') say(USAGE);
  else await demo(options, interrupt.signal);
} catch (error) {
  if (!interrupt.signal.aborted) process.stderr.write(`${oneLine(error as Error)}\n`);
  process.exitCode ??= 1;
}

function oneLine(error: Error & { code?: string; errors?: Error[] }): string {
  const [first] = error.errors ?? [];
  return (error.message || first?.message || error.code || String(error)).split('\n')[0];
}
