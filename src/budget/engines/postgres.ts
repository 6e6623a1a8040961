/** PostgreSQL as an engine: one connection for all budgets of a thread that use it. */
import type { Client, ClientConfig, QueryResult } from 'pg';
import { RefusedError } from '../errors.ts';
import { type Answer, type Called, type Engine, Listeners, MOST_FAILURES, type Report, type Row } from './engine.ts';
import { channelOf, membersText, schema, stepText } from './postgres-step.ts';

type Driver = typeof import('pg');

/** Most tries of a step that the server has undone. */
const TRIES = 4;
/** A serialization failure, a deadlock, a lock not had in time. */
const AGAIN = ['40001', '40P01', '55P03'];
/** Two have made the table at once. */
const MADE = ['23505', '42P07', 'XX000'];
/** A wrong password or user, no such database or schema, no permission: it will not get better by itself. */
const REFUSED = /^(28|3D|3F|42501)/;
/** Nothing can be written here (any more), or what this connection leads to is gone, which a pooler may say of the one behind it. */
const CHANGED = /^(25006|08|57P)/;
/** Most that a step waits for the steps of others, in ms. */
const LOCK_TIMEOUT = 2000;

export class PostgresEngine implements Engine {
  readonly #table: string;
  readonly #settings: () => Promise<string | ClientConfig>;
  readonly #listeners = new Listeners();
  #client: Promise<Client> | undefined;
  /** The one that has connected, or is about to, to be ended. */
  #connected: Client | undefined;
  /** It has connected. */
  #isReady = false;
  #tells = false;
  /** In a row, on this connection. */
  #failures = 0;
  /** What was asked last. */
  #last: Promise<unknown> = Promise.resolve();

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
        const results = (await this.#query(client, stepText(this.#table, report, LOCK_TIMEOUT))) as unknown as {
          rows: { answer: Answer }[];
        }[];
        if (client === this.#connected) this.#failures = 0;
        return results.at(-1)!.rows[0].answer;
      } catch (error) {
        const code = codeOf(error);
        if (code === '42P01') await this.#makeTable(client);
        else if (!AGAIN.includes(code) || tries >= TRIES) throw this.#problem(error, client);
      }
      if (tries >= 2 * TRIES) throw new Error(`the table ${this.#table} is not there, and cannot be made`);
    }
  }

  async members(key: string): Promise<Row[]> {
    const client = await this.#connection();
    try {
      const { rows } = await this.#query(client, membersText(this.#table, key));
      return (rows as Row[]).map((row) => ({ ...row, seenAgo: Number(row.seenAgo) }));
    } catch (error) {
      throw this.#problem(error, client);
    }
  }

  async #makeTable(client: Client): Promise<void> {
    try {
      await this.#query(client, schema(this.#table));
    } catch (error) {
      if (!MADE.includes(codeOf(error)))
        throw this.#problem(error, client, `the table ${this.#table} is not there, and cannot be made (see budgetSchema)`);
    }
  }

  /** What the member is told of an error on this connection. That is dropped where it is, or may be, of no use. */
  #problem(error: unknown, client: Client, what?: string): unknown {
    const code = codeOf(error);
    if (client === this.#connected && (code === '' || CHANGED.test(code) || ++this.#failures >= MOST_FAILURES)) this.#lost(client);
    return refusal(error, what) ?? error;
  }

  listen(key: string, called: Called): () => void {
    const say = (what: string): void => {
      if (this.#tells) void this.#query(this.#connected!, `${what} ${channelOf(this.#table, key)}`).catch(() => {});
    };
    if (this.#listeners.add(key, called)) say('LISTEN');
    return () => {
      if (this.#listeners.delete(key, called)) say('UNLISTEN');
    };
  }

  // ── the connection

  /** One after the other, as they come: several budgets use it. */
  #query(client: Client, text: string): Promise<QueryResult> {
    const result = this.#last.then(() => client.query(text));
    this.#last = result.catch(() => {});
    return result;
  }

  #connection(): Promise<Client> {
    if (this.#client === undefined) {
      const connecting: Promise<Client> = this.#connect(() => this.#client === connecting);
      this.#client = connecting;
      connecting.catch(() => {
        if (this.#client === connecting) this.#client = undefined;
      });
    }
    return this.#client;
  }

  /** Wanted: not dropped meanwhile. One that comes too late would stay for ever. */
  async #connect(isWanted: () => boolean): Promise<Client> {
    const driver = await loadDriver();
    const given = await this.#settings();
    if (!isWanted()) throw new Error('connecting took too long');
    const config = typeof given === 'string' ? { connectionString: given } : { ...given };
    const client = new driver.Client({ application_name: 'cenote/budget', ...config });
    const gone = (): void => this.#lost(client);
    client.on('error', gone);
    client.on('end', gone);
    this.#connected = client;
    try {
      await client.connect();
      await this.#listenAll(client);
      if (this.#connected === client) this.#isReady = true;
    } catch (error) {
      void client.end().catch(() => {});
      if (this.#connected === client) this.drop();
      throw refusal(error) ?? error;
    }
    return client;
  }

  /**
   * Where the server's word for this session is what it said when we connected, the session is ours, and hears of notifications.
   * Otherwise there is a pooler in between, and LISTEN would stay behind in another's session.
   */
  async #listenAll(client: Client): Promise<void> {
    const { rows } = await this.#query(client, 'SELECT pg_backend_pid() AS pid');
    this.#tells = rows[0].pid === (client as unknown as { processID: number }).processID;
    if (!this.#tells) return;
    client.on('notification', ({ channel, payload }) => {
      for (const key of this.#listeners.keys) if (channelOf(this.#table, key) === channel) this.#listeners.call(key, payload ?? '*');
    });
    for (const key of this.#listeners.keys) await this.#query(client, `LISTEN ${channelOf(this.#table, key)}`);
  }

  /** It went by itself, or is of no use. What was told meanwhile is not known: every member asks. */
  #lost(client: Client): void {
    if (this.#connected !== client) return;
    this.drop();
    this.#listeners.callAll();
  }

  drop(): void {
    const client = this.#connected;
    this.#connected = undefined;
    this.#client = undefined;
    this.#isReady = false;
    this.#tells = false;
    this.#failures = 0;
    this.#last = Promise.resolve();
    // Not `end`, which waits for what was asked.
    (client as unknown as { connection: { stream: { destroy(): void } } } | undefined)?.connection.stream.destroy();
  }

  async end(): Promise<void> {
    // To a server that does not answer a goodbye would be under way for minutes.
    if (!this.#isReady) return this.drop();
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

const refusal = (error: unknown, what = 'the engine refuses'): RefusedError | undefined =>
  REFUSED.test(codeOf(error)) || isBadSetting(error) ? new RefusedError(`${what}: ${(error as Error).message}`, error) : undefined;

const codeOf = (error: unknown): string => {
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  // Node's own (ECONNREFUSED) are none of the server.
  return typeof code === 'string' && severity !== undefined ? code : '';
};
