/** Sequelize in each thread: with a pool of its own over one pool of cenote's, or over connections of its own. */
import { createPgPool } from 'cenote/pg';
import { pgClient } from 'cenote/pg/worker';
import pg from 'pg';
import { type Options, QueryTypes, Sequelize, type Transaction } from 'sequelize';
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
  const sequelize = 'handle' in given ? over(given) : alone(given);
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

const usual: Options = { dialect: 'postgres', logging: false };
const over = ({ handle }: Over) => new Sequelize({ ...usual, dialectModule: { ...pg, Client: pgClient(handle) } });
const alone = ({ url, application, max }: Alone) =>
  new Sequelize(url, { ...usual, dialectModule: pg, dialectOptions: { application_name: application }, pool: { max } });
