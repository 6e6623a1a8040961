/**
 * The ways of a thread to the database.
 *
 *  - cenote: one pool, whose sockets live on the main thread, with CONNECTIONS for all threads.
 *  - a pool in each: a pg.Pool of CONNECTIONS in every thread.
 *  - comlink: one pg.Pool of CONNECTIONS on the main thread, of which comlink makes a remote object for the others. It gives them rows only, as a whole result
 *    of pg cannot be cloned.
 *  - on main: one pg.Pool of CONNECTIONS, and no threads: all the work is the main thread's.
 *
 * Connections are made beforehand, and are not closed for being idle.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { createPgPool } from 'cenote/pg';
import { attachPgPool } from 'cenote/pg/worker';
import comlink, { type Remote } from 'comlink';
import pg from 'pg';
import type { BenchThread } from '../frame/thread.ts';
import { type Outcome, repeat, type Work } from './works.ts';

export const CONNECTIONS = 4;
export const WAYS = ['cenote', 'a pool in each', 'comlink'] as const;
export const ON_MAIN = 'on main';
export type Way = (typeof WAYS)[number] | typeof ON_MAIN;

type Rows = readonly unknown[];
type Query = (text: string, values?: unknown[]) => Promise<Rows>;

export interface Access {
  readonly query: Query;
  transaction(body: (query: Query) => Promise<void>): Promise<void>;
  end(): Promise<void>;
}

export interface Server {
  readonly url: string;
  readonly schema: string;
}

/** As pg_stat_activity has it. */
export const applicationName = (server: Server, way: Way): string => `${server.schema} bench: ${way}`;

/** One way, open on all threads. */
export interface Road {
  /** Each thread, or for `on main` this one in their place, does the work for `slice` ms. */
  go(work: Work, inFlight: number, slice: number): Promise<Outcome[]>;
  close(): Promise<void>;
}

export async function openRoad(way: Way, server: Server, threads: readonly BenchThread[]): Promise<Road> {
  if (way === ON_MAIN) return onMain(server, threads.length);
  const { join, close } = await MAIN_SIDES[way](server);
  for (const thread of threads) {
    const { given, port } = join();
    await thread.run(import.meta.url, 'enter', [way, server, given], port === undefined ? [] : [port]);
  }
  return {
    go: (work, inFlight, slice) =>
      Promise.all(threads.map((thread) => thread.run<Outcome>(import.meta.url, 'work', [way, work, server.schema, inFlight, slice]))),
    async close() {
      await Promise.all(threads.map((thread) => thread.run(import.meta.url, 'leave', [way])));
      await close();
    },
  };
}

async function onMain(server: Server, threads: number): Promise<Road> {
  const access = await throughPool(server, ON_MAIN);
  return {
    go: async (work, inFlight, slice) => [await repeat(work, access, server.schema, inFlight * threads, slice)],
    close: access.end,
  };
}

interface MainSide {
  /** What the next thread needs. */
  join(): { readonly given?: unknown; readonly port?: MessagePort };
  close(): Promise<void>;
}

const MAIN_SIDES: Record<(typeof WAYS)[number], (server: Server) => Promise<MainSide>> = {
  async cenote(server) {
    const connection = { connectionString: server.url, application_name: applicationName(server, 'cenote') };
    const pool = await createPgPool({ connection, min: CONNECTIONS, max: CONNECTIONS });
    pool.on('error', () => {});
    return { join: () => ({ given: pool.handle }), close: () => pool.end() };
  },
  async 'a pool in each'() {
    return { join: () => ({}), close: async () => {} };
  },
  async comlink(server) {
    const pool = await openPool(server, 'comlink');
    const remote: RemotePool = {
      query: async (text, values) => (await pool.query(text, values)).rows,
      async connect() {
        const client = await pool.connect();
        return comlink.proxy({
          query: async (text: string, values?: unknown[]) => (await client.query(text, values)).rows as Rows,
          release: () => client.release(),
        });
      },
    };
    const ports: MessagePort[] = [];
    return {
      join() {
        const { port1, port2 } = new MessageChannel();
        comlink.expose(remote, port1 as never);
        ports.push(port1);
        return { given: port2, port: port2 };
      },
      async close() {
        for (const port of ports) port.close();
        await pool.end();
      },
    };
  },
};

interface RemoteClient {
  query: Query;
  release(): void;
}

interface RemotePool {
  query: Query;
  connect(): Promise<RemoteClient>;
}

// ── on a thread

const open = new Map<Way, Access>();

export async function enter(way: (typeof WAYS)[number], server: Server, given: unknown): Promise<void> {
  const access = await THREAD_SIDES[way](server, given as never);
  open.set(way, access);
}

export const work = (way: Way, name: Work, schema: string, inFlight: number, slice: number): Promise<Outcome> =>
  repeat(name, open.get(way)!, schema, inFlight, slice);

export async function leave(way: Way): Promise<void> {
  await open.get(way)!.end();
  open.delete(way);
}

const THREAD_SIDES = {
  async cenote(_: Server, handle: Parameters<typeof attachPgPool>[0]): Promise<Access> {
    const pool = await attachPgPool(handle);
    return {
      query: async (text, values) => (await pool.query(text, values)).rows,
      transaction: (body) => pool.transaction((client) => body(async (text, values) => (await client.query(text, values)).rows)),
      end: () => pool.end(),
    };
  },
  'a pool in each': (server: Server): Promise<Access> => throughPool(server, 'a pool in each'),
  async comlink(_: Server, port: MessagePort): Promise<Access> {
    const pool = comlink.wrap<RemotePool>(port as never);
    return {
      query: pool.query,
      async transaction(body) {
        const client = (await pool.connect()) as unknown as Remote<RemoteClient>;
        try {
          await client.query('BEGIN');
          await body(client.query);
          await client.query('COMMIT');
        } finally {
          await client.release();
          client[comlink.releaseProxy]();
        }
      },
      async end() {
        pool[comlink.releaseProxy]();
        port.close();
      },
    };
  },
};

async function throughPool(server: Server, way: Way): Promise<Access> {
  const pool = await openPool(server, way);
  return {
    query: async (text, values) => (await pool.query(text, values)).rows,
    async transaction(body) {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        await body(async (text, values) => (await client.query(text, values)).rows);
        await client.query('COMMIT');
      } finally {
        client.release();
      }
    },
    end: () => pool.end(),
  };
}

async function openPool(server: Server, way: Way): Promise<pg.Pool> {
  const name = applicationName(server, way);
  const pool = new pg.Pool({ connectionString: server.url, application_name: name, max: CONNECTIONS, idleTimeoutMillis: 0 });
  // The server may be taken away: whoever asks is told.
  pool.on('error', () => {});
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => pool.connect()));
  for (const client of clients) client.release();
  return pool;
}
