import pg from 'pg';

export interface Rows {
  rows: Record<string, unknown>[];
  rowCount: number;
}

/**
 * One connection to the server: what the pool holds on its owner, and what the threads call.
 * A wrapper around pg.Client because pg's own results carry functions, which cannot cross to another thread.
 */
export class Connection {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async open(url: string, name: string): Promise<Connection> {
    const client = new pg.Client({ connectionString: named(url, name), connectionTimeoutMillis: 10_000 });
    // A connection that breaks while idle tells its next user; without a listener it would end the process.
    client.on('error', () => {});
    await client.connect();
    return new Connection(client);
  }

  async query(text: string, values: unknown[] = []): Promise<Rows> {
    const { rows, rowCount } = await this.#client.query(text, values);
    return { rows, rowCount: rowCount ?? 0 };
  }

  async end(): Promise<void> {
    await this.#client.end();
  }
}

/** The address with the name by which pg_stat_activity is to know the connection: what the address says wins over pg's options. */
export function named(url: string, name: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}application_name=${encodeURIComponent(name)}`;
}
