/** A pg.Pool of its own in each thread. Connections are made beforehand, and are not closed for being idle. */
import pg from 'pg';
import type { Access, Way } from '../way.ts';

interface Given {
  readonly url: string;
  readonly application: string;
  readonly max: number;
}

/** `max`: connections in each thread. */
export const pools = (name: string, max: number): Way => ({
  name,
  module: import.meta.url,
  open: async ({ url }, application) => ({ join: () => ({ given: { url, application, max } satisfies Given }), close: async () => {} }),
});

export async function enter(given: Given): Promise<Access> {
  const pool = await openPool(given);
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

export async function openPool({ url, application, max }: Given): Promise<pg.Pool> {
  const pool = new pg.Pool({ connectionString: url, application_name: application, max, idleTimeoutMillis: 0 });
  // The server may be taken away: whoever asks is told.
  pool.on('error', () => {});
  const clients = await Promise.all(Array.from({ length: max }, () => pool.connect()));
  for (const client of clients) client.release();
  return pool;
}
