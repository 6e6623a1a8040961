import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from './connection.ts';

const PERIOD = 20;

/** Asks the server itself how many connections it has, on a connection which is not counted. */
export class Monitor {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open(url: string, name: string): Promise<Monitor> {
    return new Monitor(await Connection.open(url, name));
  }

  /** Runs `body`; tells the most connections called `name` that there were at once. */
  async during<V>(name: string, body: () => Promise<V>): Promise<[value: V, most: number]> {
    let running = true;
    const sampling = this.#sample(name, () => running);
    // Awaited below; the body's own error comes first.
    sampling.catch(() => {});
    try {
      const value = await body();
      running = false;
      return [value, await sampling];
    } finally {
      running = false;
    }
  }

  async #sample(name: string, goOn: () => boolean): Promise<number> {
    let most = 0;
    while (goOn()) {
      most = Math.max(most, await this.#count(name));
      await sleep(PERIOD);
    }
    return most;
  }

  async close(): Promise<void> {
    await this.#connection.end();
  }

  async #count(name: string): Promise<number> {
    const sql = `select count(*)::int as count from pg_stat_activity where application_name = $1 and backend_type = 'client backend'`;
    const { rows } = await this.#connection.query(sql, [name]);
    return rows[0].count as number;
  }
}
