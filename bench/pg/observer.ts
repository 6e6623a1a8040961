/** What the server says of a way, over a connection of its own: how many connections it has, and what they weigh. */
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { applicationName, type Server } from './way.ts';

const KIB = 1024;

export class Observer {
  readonly #client: pg.Client;
  readonly #server: Server;

  private constructor(client: pg.Client, server: Server) {
    this.#client = client;
    this.#server = server;
  }

  static async open(server: Server): Promise<Observer> {
    const client = new pg.Client({ connectionString: server.url, application_name: `${server.schema} bench: observer` });
    client.on('error', () => {});
    await client.connect();
    return new Observer(client, server);
  }

  async run(statements: readonly string[]): Promise<void> {
    for (const text of statements) await this.#client.query(text);
  }

  async version(): Promise<string> {
    return (await this.#client.query<{ server_version: string }>('show server_version')).rows[0].server_version;
  }

  /** Process ids of the server's that serve this way now. */
  async backends(way: string): Promise<number[]> {
    const text = 'select pid from pg_stat_activity where application_name = $1';
    const { rows } = await this.#client.query<{ pid: number }>(text, [applicationName(this.#server, way)]);
    return rows.map(({ pid }) => pid);
  }

  async end(): Promise<void> {
    await this.#client.end();
  }
}

/**
 * Memory that these processes have to themselves, in bytes: what would be free without them. Shared buffers are not in it.
 * Null where nobody knows: elsewhere than on Linux, or for a server on another machine.
 */
export function privateMemory(pids: readonly number[]): number | null {
  try {
    return pids.reduce((sum, pid) => sum + privateBytes(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')), 0);
  } catch {
    return null;
  }
}

function privateBytes(rollup: string): number {
  const lines = [...rollup.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm)];
  if (lines.length !== 2) throw new Error('not as the kernel writes it');
  return lines.reduce((sum, [, kib]) => sum + Number(kib) * KIB, 0);
}
