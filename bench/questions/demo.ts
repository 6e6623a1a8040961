/**
 * What does sharing cost a program that stores something? The demo's job, on eight threads: read, tokenise, hash and compress source files, and store them in PostgreSQL. Through one
 * pool of four connections, against the usual way: a pool of four in each thread.
 *
 * The server is the demo's: one of its own, or the one that DATABASE_URL names. It shares the cores with the threads. The files are those of one package, read before the clock starts.
 */
import { fileURLToPath } from 'node:url';
import { Connection } from '../../examples/demo/connection.ts';
import { type Database, openDatabase } from '../../examples/demo/database.ts';
import { findFiles } from '../../examples/demo/files.ts';
import { Monitor } from '../../examples/demo/monitor.ts';
import { JOBS, type Outcome, onePool, poolInEveryThread, type Setting, THREADS } from '../../examples/demo/ways.ts';
import { atLeast, atMost } from '../frame/goals.ts';
import { inProcess } from '../frame/process.ts';
import type { Effort, Question, Row } from '../frame/question.ts';
import { compare, type Figures, interleave } from '../frame/rounds.ts';

const FOLDER = fileURLToPath(new URL('../../node_modules/kysely/dist', import.meta.url));
/** Files for each millisecond of a slice. All connections are opened while the clock runs, four or thirty-two: a few files only would say little but that. */
const FILES_PER_MS = 16;

const EACH = 'a pool in each thread';

export const demo: Question = {
  name: 'demo',
  asks: "the demo's job with one pool of four, over a pool of four in each of eight threads (starts PostgreSQL)",
  slow: true,
  async run(effort): Promise<Row[]> {
    const { perSecond, connections } = await inProcess<Answer>(import.meta.url, 'bothWays', [effort]);
    const job = `demo: files stored, ${THREADS} threads`;
    return [
      ...compare(job, '/s', perSecond, { [EACH]: atLeast(0.95) }),
      ...compare('demo: connections that the server has', 'connections', connections, { [EACH]: atMost(1 / THREADS) }),
    ];
  },
};

interface Answer {
  readonly perSecond: Figures;
  readonly connections: Figures;
}

// ── in a process of its own: the demo says what it does on standard output

export async function bothWays({ rounds, slice }: Effort): Promise<Answer> {
  const fresh = () => new AbortController().signal;
  const { files } = await findFiles(FOLDER, slice * FILES_PER_MS, fresh());
  const database = await openDatabase(() => {}, fresh());
  try {
    const monitor = await Monitor.open(database.url, `${database.schema} monitor`);
    const connections: Record<string, number[]> = { cenote: [], [EACH]: [] };
    const perSecond = await interleave(['cenote', EACH], Math.ceil(rounds / 5), async (name) => {
      const setting: Setting = { database, monitor, files, jobs: JOBS, signal: fresh() };
      const outcome = name === 'cenote' ? await throughOnePool(setting) : await poolInEveryThread(setting);
      if (outcome.files !== files.length) throw new Error(`${name}: ${outcome.files} of ${files.length} files were stored`);
      await dropTables(database);
      connections[name].push(outcome.mostConnections);
      return outcome.files / outcome.seconds;
    });
    await monitor.close();
    // The first round is not counted in `perSecond` either.
    return { perSecond, connections: Object.fromEntries(Object.entries(connections).map(([name, values]) => [name, values.slice(1)])) };
  } finally {
    await database.close();
  }
}

async function throughOnePool(setting: Setting): Promise<Outcome> {
  return onePool(setting, async () => {});
}

/** Each round begins with an empty table. */
async function dropTables({ url, schema }: Database): Promise<void> {
  const connection = await Connection.open(url, `${schema} tables`);
  try {
    await connection.query(`drop table if exists ${schema}.one_pool, ${schema}.pool_each`);
  } finally {
    await connection.end();
  }
}
