/** Sequelize in each thread: with a pool of its own over one pool of cenote's, or over connections of its own. */
import { createPgPool } from 'cenote/pg';
import { pgClient } from 'cenote/pg/worker';
import pg from 'pg';
import type { Options, Transaction } from 'sequelize';
import type { Access, Query, Way } from '../way.ts';

type Handle = Parameters<typeof pgClient>[0];

interface Over {
  readonly handle: Handle;
}

interface Alone {
  readonly url: string;
  readonly application: string;
  readonly max: number;
}

/** `max`: connections for all threads; Sequelize's own pool is left as it is by default. */
export const sequelizeOverCenote = (name: string, max: number): Way => ({
  name,
  module: import.meta.url,
  async open({ url }, application) {
    const pool = await createPgPool({ connection: { connectionString: url, application_name: application }, min: max, max });
    pool.on('error', () => {});
    return { join: () => ({ given: { handle: pool.handle } satisfies Over }), close: () => pool.end() };
  },
});

/** `max`: connections in each thread. */
export const sequelizeAlone = (name: string, max: number): Way => ({
  name,
  module: import.meta.url,
  open: async ({ url }, application) => ({ join: () => ({ given: { url, application, max } satisfies Alone }), close: async () => {} }),
});

export async function enter(given: Over | Alone): Promise<Access> {
  // It takes its time to load, and only these threads need it.
  const { QueryTypes, Sequelize } = await import('sequelize');
  const usual: Options = { dialect: 'postgres', logging: false };
  const sequelize =
    'handle' in given
      ? new Sequelize({ ...usual, dialectModule: { ...pg, Client: pgClient(given.handle) } })
      : new Sequelize(given.url, {
          ...usual,
          dialectModule: pg,
          dialectOptions: { application_name: given.application },
          pool: { max: given.max },
        });
  const queryIn =
    (transaction: Transaction | null): Query =>
    (text, bind = []) =>
      sequelize.query(text, { bind, type: QueryTypes.SELECT, transaction });
  return {
    query: queryIn(null),
    transaction: (body) => sequelize.transaction((transaction) => body(queryIn(transaction))),
    end: () => sequelize.close(),
  };
}
