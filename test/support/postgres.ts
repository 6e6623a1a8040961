/**
 * A real PostgreSQL for the tests of a file: started when the first asks for it, with an empty database for each file. The server goes with the
 * process, which other files may share; its keeper sees to that, however the process ends.
 */
import { createPgPool, type PgOwnerPool, type PgPoolOptions } from 'cenote/pg';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { type PostgresServer, startPostgres } from '../../examples/demo/postgres.ts';
import { onFileFinished } from './file-finished.ts';
import { type Scope, thread as start, type Thread } from './thread.ts';
import { until } from './wait.ts';

/** Of this process. */
let started: Promise<PostgresServer> | undefined;
/** The same one, whose address names the database of this file. */
let server: Promise<PostgresServer> | undefined;
let observer: Promise<pg.Client> | undefined;
let databases = 0;

export const postgres = (): Promise<PostgresServer> => (server ??= withDatabase());

async function withDatabase(): Promise<PostgresServer> {
  onFileFinished(() => {
    server = undefined;
  });
  const shared = await (started ??= startPostgres());
  const database = `file_${++databases}`;
  const client = new pg.Client(shared.url);
  await client.connect();
  await client.query(`create database ${database}`);
  await client.end();
  onFileFinished(async () => {
    await (await observer?.catch(() => undefined))?.end().catch(() => {});
    observer = undefined;
  });
  const url = new URL(shared.url);
  url.pathname = database;
  return { ...shared, url: url.href };
}

/** What the server says, over a connection that no pool knows. */
export async function ask(text: string, values: unknown[] = []): Promise<any[]> {
  observer ??= postgres().then(async ({ url }) => {
    const client = new pg.Client({ connectionString: url, application_name: 'observer' });
    client.on('error', () => {});
    // The server may be shut down meanwhile.
    client.on('end', () => {
      observer = undefined;
    });
    await client.connect();
    return client;
  });
  return (await (await observer).query(text, values)).rows;
}

/** Connections under this name, as the server sees them. */
export const connections = async (name: string): Promise<number> =>
  (await ask('select count(*)::int as n from pg_stat_activity where application_name = $1', [name]))[0].n;

/** Ends all of them, and resolves when they are gone: one that is about to go would still take a query. */
export async function killAll(name: string): Promise<void> {
  await ask('select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = $1', [name]);
}

/** How workers speak to connections, for a whole run: `npm run test:pg:ways` makes one for each way. */
const LEND = process.env.LEND as PgPoolOptions['lend'];

let names = 0;
export const newName = (): string => `test-${process.pid}-${++names}`;

/** A pool under a name of its own, ended with the test. */
export async function open(options: Partial<PgPoolOptions> & { settings?: pg.ClientConfig } = {}): Promise<PgOwnerPool> {
  const { settings, ...rest } = options;
  const name = rest.name ?? newName();
  const { url } = await postgres();
  const pool = await createPgPool({
    connection: { connectionString: url, application_name: name, ...settings },
    max: 2,
    acquireTimeout: 60_000,
    ...(LEND === undefined ? {} : { lend: LEND }),
    ...rest,
    name,
  });
  onTestFinished(async () => {
    await pool.pool.close();
    await until(() => pool.totalCount === 0 || pool.pool.activeCount() > 0);
  });
  return pool;
}

/** What a function that runs on a thread of `join` can use beside what every thread has. */
export interface PgScope extends Scope<unknown> {
  readonly pg: import('cenote/pg/worker').PgPool & import('cenote/pg/worker').PgSync;
}

export interface PgThread extends Thread<unknown> {
  /** Runs a function on the thread. Sees no variable of the test. */
  pg<A extends unknown[], V>(body: (pool: PgScope['pg'], scope: Scope<unknown>, ...args: A) => V | PromiseLike<V>, ...args: A): Promise<V>;
}

/** A thread that has joined the pool. */
export async function join(pool: PgOwnerPool): Promise<PgThread> {
  const self = await start<unknown>(pool.handle);
  return Object.assign(self, {
    pg: (body: (...all: any[]) => unknown, ...args: unknown[]) =>
      self.run(
        async (scope, code: string, given: unknown[]) => {
          const { attachPgPool } = (await scope.load('cenote/pg/worker')) as typeof import('cenote/pg/worker');
          return new Function(`return (${code});`)()(await attachPgPool(scope.handle), scope, ...given);
        },
        String(body),
        args,
      ) as Promise<any>,
  });
}

/** The body on the owner, or on a thread: for what holds on both. */
export type Run = <A extends unknown[], V>(
  body: (pool: PgScope['pg'], scope: Scope<unknown>, ...args: A) => V | PromiseLike<V>,
  ...args: A
) => Promise<V>;
export const WHERE = ['the owner', 'a worker'] as const;
export async function on(where: (typeof WHERE)[number], pool: PgOwnerPool): Promise<Run> {
  if (where === 'a worker') return (await join(pool)).pg;
  const scope = { load: (name: string) => import(name) } as unknown as Scope<unknown>;
  return (async (body: (...all: any[]) => unknown, ...args: unknown[]) => body(pool, scope, ...args)) as unknown as Run;
}
