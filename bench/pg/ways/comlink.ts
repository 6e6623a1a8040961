/**
 * One pg.Pool on the main thread, of which comlink makes a remote object for the others. It gives them rows only, as a whole result of pg
 * cannot be cloned.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import library, { type Remote } from 'comlink';
import type { Access, Query, Rows, Way } from '../way.ts';
import { CONNECTIONS } from './connections.ts';
import { openPool } from './pools.ts';

interface RemoteClient {
  query: Query;
  release(): void;
}

interface RemotePool {
  query: Query;
  connect(): Promise<RemoteClient>;
}

export const comlink = (name: string): Way => ({
  name,
  module: import.meta.url,
  async open({ url }, application) {
    const pool = await openPool({ url, application, max: CONNECTIONS });
    const remote: RemotePool = {
      query: async (text, values) => (await pool.query(text, values)).rows,
      async connect() {
        const client = await pool.connect();
        return library.proxy({
          query: async (text: string, values?: unknown[]) => (await client.query(text, values)).rows as Rows,
          release: () => client.release(),
        });
      },
    };
    const ports: MessagePort[] = [];
    return {
      join() {
        const { port1, port2 } = new MessageChannel();
        library.expose(remote, port1 as never);
        ports.push(port1);
        return { given: port2, port: port2 };
      },
      async close() {
        for (const port of ports) port.close();
        await pool.end();
      },
    };
  },
});

export async function enter(port: MessagePort): Promise<Access> {
  const pool = library.wrap<RemotePool>(port as never);
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
        client[library.releaseProxy]();
      }
    },
    async end() {
      pool[library.releaseProxy]();
      port.close();
    },
  };
}
