/** cenote: one pool on the main thread, with four connections for all threads. */
import { createPgPool, type PgPoolOptions } from 'cenote/pg';
import { attachPgPool, type PgAttachOptions } from 'cenote/pg/worker';
import type { Access, Way } from '../way.ts';
import { CONNECTIONS } from './connections.ts';

type Create = Partial<Omit<PgPoolOptions, 'connection'>>;
/** Goes to the thread by message, so the driver itself cannot be in it. */
type Attach = Omit<PgAttachOptions, 'pg' | 'signal'>;

interface Given {
  readonly handle: Parameters<typeof attachPgPool>[0];
  readonly attach: Attach;
}

/** With these options of createPgPool and of attachPgPool. */
export const cenote = (name: string, create: Create = {}, attach: Attach = {}): Way => ({
  name,
  module: import.meta.url,
  async open({ url }, application) {
    const connection = { connectionString: url, application_name: application };
    const pool = await createPgPool({ connection, min: CONNECTIONS, max: CONNECTIONS, ...create });
    pool.on('error', () => {});
    return { join: () => ({ given: { handle: pool.handle, attach } satisfies Given }), close: () => pool.end() };
  },
});

export async function enter({ handle, attach }: Given): Promise<Access> {
  const pool = await attachPgPool(handle, attach);
  return {
    query: async (text, values) => (await pool.query(text, values)).rows,
    transaction: (body) => pool.transaction((client) => body(async (text, values) => (await client.query(text, values)).rows)),
    lending: () => told(pool.lending),
    end: () => pool.end(),
  };
}

type Lending = Awaited<ReturnType<typeof attachPgPool>>['lending'];

/** 'local', 'local, socket', 'remote, because ...' */
const told = ({ way, over, why }: Lending): string => [way, over, why].filter((word) => word !== undefined).join(', ');
