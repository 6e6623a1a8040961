/** PostgreSQL as an engine: one connection for all budgets of a thread that use it. */
import type { Client, ClientConfig } from 'pg';
import { RefusedError } from '../errors.ts';
import type { Answer, Engine, Report, Row } from './engine.ts';
import { channelOf, membersText, schema, stepText } from './postgres-step.ts';

type Driver = typeof import('pg');
type Called = (ids: readonly string[] | undefined) => void;

/** Most tries of a step that the server has undone. */
const TRIES = 4;
/** A serialization failure, a deadlock, a lock not had in time. */
const AGAIN = ['40001', '40P01', '55P03'];
/** Two have made the table at once. */
const MADE = ['23505', '42P07', 'XX000'];
/** A wrong password or user, no such database or schema, no permission: it will not get better by itself. */
const REFUSED = /^(28|3D|3F|42501)/;
/** Most that a step waits for the steps of others, in ms. */
const LOCK_TIMEOUT = 2000;

export class PostgresEngine implements Engine {
  readonly #table: string;
  readonly #settings: () => Promise<string | ClientConfig>;
  readonly #listeners = new Map<string, { readonly channel: string; readonly called: Called }>();
  #client: Promise<Client> | undefined;
  /** The one that has connected, to be ended. */
  #connected: Client | undefined;
  #tells = false;

  constructor(table: string, settings: () => Promise<string | ClientConfig>) {
    this.#table = table;
    this.#settings = settings;
  }

  get tells(): boolean {
    return this.#tells;
  }

  async step(report: Report): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      const client = await this.#connection();
      try {
        const results = (await client.query(stepText(this.#table, report, LOCK_TIMEOUT))) as unknown as { rows: { answer: Answer }[] }[];
        return results.at(-1)!.rows[0].answer;
      } catch (error) {
        const code = codeOf(error);
        if (code === '42P01') await this.#makeTable(client);
        else if (!AGAIN.includes(code) || tries >= TRIES) throw this.#problem(error);
      }
      if (tries >= 2 * TRIES) throw new Error(`the table ${this.#table} is not there, and cannot be made`);
    }
  }

  async members(key: string): Promise<Row[]> {
    const client = await this.#connection();
    const { rows } = await client.query<Row>(membersText(this.#table, key));
    return rows.map((row) => ({ ...row, seenAgo: Number(row.seenAgo) }));
  }

  async #makeTable(client: Client): Promise<void> {
    try {
      await client.query(schema(this.#table));
    } catch (error) {
      if (!MADE.includes(codeOf(error)))
        throw this.#problem(error, `the table ${this.#table} is not there, and cannot be made (see budgetSchema)`);
    }
  }

  #problem(error: unknown, what = 'the engine refuses'): unknown {
    if (codeOf(error) === '') this.drop();
    return REFUSED.test(codeOf(error)) || isBadSetting(error) ? new RefusedError(`${what}: ${(error as Error).message}`, error) : error;
  }

  listen(key: string, called: Called): void {
    const channel = channelOf(this.#table, key);
    this.#listeners.set(key, { channel, called });
    if (this.#tells) void this.#connected?.query(`LISTEN ${channel}`).catch(() => {});
  }

  unlisten(key: string): void {
    const listener = this.#listeners.get(key);
    this.#listeners.delete(key);
    if (this.#tells && listener !== undefined) void this.#connected?.query(`UNLISTEN ${listener.channel}`).catch(() => {});
  }

  // ── the connection

  #connection(): Promise<Client> {
    if (this.#client === undefined) {
      const connecting = this.#connect();
      this.#client = connecting;
      connecting.catch(() => {
        if (this.#client === connecting) this.#client = undefined;
      });
    }
    return this.#client;
  }

  async #connect(): Promise<Client> {
    const driver = await loadDriver();
    const given = await this.#settings();
    const config = typeof given === 'string' ? { connectionString: given } : { ...given };
    const client = new driver.Client({ application_name: 'cenote/budget', ...config });
    const gone = (): void => this.#lost(client);
    client.on('error', gone);
    client.on('end', gone);
    this.#connected = client;
    try {
      await client.connect();
      await this.#listenAll(client);
    } catch (error) {
      void client.end().catch(() => {});
      throw this.#problem(error);
    }
    return client;
  }

  /**
   * Where the server's word for this session is what it said when we connected, the session is ours, and hears of notifications. Otherwise there is a pooler in
   * between, and LISTEN would stay behind in another's session.
   */
  async #listenAll(client: Client): Promise<void> {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    this.#tells = rows[0].pid === (client as unknown as { processID: number }).processID;
    if (!this.#tells) return;
    client.on('notification', ({ channel, payload }) => {
      for (const listener of this.#listeners.values())
        if (listener.channel === channel) listener.called(payload === '*' ? undefined : (payload ?? '').split(' '));
    });
    for (const { channel } of this.#listeners.values()) await client.query(`LISTEN ${channel}`);
  }

  /** It went by itself. What was told meanwhile is not known: every member asks. */
  #lost(client: Client): void {
    if (this.#connected !== client) return;
    this.drop();
    for (const { called } of this.#listeners.values()) called(undefined);
  }

  drop(): void {
    const client = this.#connected;
    this.#connected = undefined;
    this.#client = undefined;
    this.#tells = false;
    // Not `end`, which waits for what was asked.
    (client as unknown as { connection: { stream: { destroy(): void } } } | undefined)?.connection.stream.destroy();
  }

  async end(): Promise<void> {
    const client = this.#connected;
    this.#connected = undefined;
    this.#client = undefined;
    await client?.end().catch(() => {});
  }
}

async function loadDriver(): Promise<Driver> {
  try {
    const module = (await import('pg')) as Driver & { default?: Driver };
    return module.default ?? module;
  } catch (cause) {
    throw new RefusedError('postgresBudget needs the package pg: npm install pg@8', cause);
  }
}

/** What the driver itself says of settings that it cannot use: it has not even asked the server, or has no password to answer with. */
const isBadSetting = (error: unknown): boolean => error instanceof TypeError || String((error as Error).message).startsWith('SASL');

const codeOf = (error: unknown): string => {
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  // Node's own (ECONNREFUSED) are none of the server.
  return typeof code === 'string' && severity !== undefined ? code : '';
};
