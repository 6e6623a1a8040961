import pg from 'pg';
import { startKeeper } from './keeper.ts';
import { findPostgres, startPostgres } from './postgres.ts';

export interface Database {
  /** Holds the password: not to be printed. */
  readonly url: string;
  /** Where our tables go; also what the names of our connections begin with. */
  readonly schema: string;
  /** Takes the server, or on a server of somebody else's the schema, away. */
  close(): Promise<void>;
}

/** The server that DATABASE_URL names, or else one of our own. Either way nothing of ours is left when this process has ended, however it did. */
export async function openDatabase(say: (line: string) => void, signal: AbortSignal): Promise<Database> {
  const url = process.env.DATABASE_URL;
  return url ? borrow(url, say, signal) : start(say, signal);
}

async function start(say: (line: string) => void, signal: AbortSignal): Promise<Database> {
  say(`Starting PostgreSQL ${findPostgres().version} (embedded, no installation) ...`);
  const before = performance.now();
  const server = await startPostgres({ signal });
  say(`  runs in ${server.folder}, ready after ${((performance.now() - before) / 1000).toFixed(1)} s`);
  return { url: server.url, schema: 'public', close: server.stop };
}

async function borrow(url: string, say: (line: string) => void, signal: AbortSignal): Promise<Database> {
  const where = describe(url);
  say(`Using the PostgreSQL server at ${where} (DATABASE_URL) ...`);
  const { value: schema, stop } = await startKeeper<string>(new URL('./schema-keeper.js', import.meta.url), { signal }).catch((error) => {
    throw signal.aborted ? error : new Error(`No way to work on the PostgreSQL server at ${where} (DATABASE_URL): ${error.message}`);
  });
  say(`  in a schema of our own, ${schema}, which is dropped at the end`);
  return { url, schema, close: stop };
}

/** Host, port and database, but neither user nor password. */
function describe(url: string): string {
  try {
    if (!/^(postgres|postgresql|socket):/.test(url)) throw new TypeError('another protocol');
    const { host, port, database } = new pg.Client(url);
    return host.startsWith('/') ? `${host}/${database}` : `${host}:${port}/${database}`;
  } catch {
    throw new Error('DATABASE_URL is no PostgreSQL address. It should look like postgres://user:password@host:5432/database');
  }
}
