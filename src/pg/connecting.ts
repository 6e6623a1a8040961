/** Making a connection, and asking the server to cancel what runs on one. */
import { clearTimeout, setTimeout } from 'node:timers';
import type { Client, ClientConfig, QueryConfig } from 'pg';
import { type ConnectionSettings, secretsOf, withoutSecrets } from './connection-settings.ts';
import { DatabaseError } from './database-error.ts';
import { internals } from './driver.ts';
import { assertDriverVersion, NEEDED } from './driver-version.ts';
import { endClient } from './ending.ts';
import { scrubbed } from './scrub.ts';

type Driver = typeof import('pg');
export type OnConnect = (client: Client) => void | Promise<void>;

/** A cancel request is a connection of its own; it may take so long, in ms. */
const CANCEL_LIMIT = 2000;
/** So may the end of a connection that nobody has had yet. */
const GIVE_UP = 2000;

export interface Connected {
  readonly client: Client;
  /** What onConnect has run, to be run again after everything was discarded. */
  readonly setup: readonly QueryConfig[];
  cancel(): Promise<void>;
}

/** The driver, or an error that says how to get it. */
export async function loadDriver(): Promise<Driver> {
  assertDriverVersion();
  try {
    const module = (await import('pg')) as Driver & { default?: Driver };
    const driver = module.default ?? module;
    // What the server says is then an instance of the driver's class as well, to whoever asks on this thread.
    if (driver.DatabaseError !== undefined) Object.setPrototypeOf(DatabaseError.prototype, driver.DatabaseError.prototype);
    return driver;
  } catch (cause) {
    throw new Error(`cenote/pg needs ${NEEDED} beside it: npm install pg@8`, { cause });
  }
}

/** Rejects without a secret in the error. */
export async function connect(
  driver: Driver,
  settings: ConnectionSettings,
  onConnect: OnConnect | undefined,
  signal: AbortSignal,
): Promise<Connected> {
  const config = await settings.next();
  signal.throwIfAborted();
  // Queries run one at a time here, and cursors need that.
  delete config.pipeline;
  /** Errors of the user's own code. */
  const own = new Set<unknown>();
  noteErrorsOfPassword(config, own);
  const client = shielded(config, undefined, () => new driver.Client(config));
  let lost: Error | undefined;
  // Without a listener it would end the process.
  client.on('error', (error) => {
    lost ??= error;
  });
  client.on('end', () => {
    lost ??= new Error('Connection terminated');
  });
  // It makes a client of its own, of settings that may be of use no more: a file with a certificate is gone, say.
  const cancelled = (): Promise<void> => cancel(driver, config, client).catch(() => {});
  let isConnected = false;
  const giveUp = (): void => {
    if (isConnected) void leave();
    else internals(client).connection.stream.destroy();
  };
  // The server would go on with what onConnect has it do, beyond `max`. And what it has hung up on is there for a little longer.
  let leaving: Promise<void> | undefined;
  const leave = (): Promise<void> => (leaving ??= endClient(client, cancelled, GIVE_UP));
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    await client.connect();
    isConnected = true;
    const setup = onConnect === undefined ? [] : await setUp(client, onConnect, own);
    // The last moment: from now on others listen.
    if (lost !== undefined) throw lost;
    return { client, setup, cancel: cancelled };
  } catch (error) {
    if (!internals(client).connection.stream.destroyed) await leave();
    const secrets = secretsOf(config, (client as { password?: unknown }).password);
    throw own.has(error) ? scrubbed(error, secrets) : withoutSecrets(error, secrets);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

/** What the user's own code throws is told apart from what the driver does. */
async function noting<V>(own: Set<unknown>, body: () => V | PromiseLike<V>): Promise<V> {
  try {
    return await body();
  } catch (error) {
    own.add(error);
    throw error;
  }
}

function noteErrorsOfPassword(config: ClientConfig, own: Set<unknown>): void {
  const { password } = config;
  if (typeof password === 'function') config.password = (...args) => noting(own, () => password(...args));
}

function shielded<V>(config: ClientConfig, password: unknown, body: () => V): V {
  try {
    return body();
  } catch (error) {
    throw withoutSecrets(error, secretsOf(config, password));
  }
}

async function setUp(client: Client, onConnect: OnConnect, own: Set<unknown>): Promise<QueryConfig[]> {
  const said: QueryConfig[] = [];
  const query = client.query as (...args: unknown[]) => unknown;
  const recording = (text: unknown, values: unknown, ...rest: unknown[]): unknown => {
    const given = Array.isArray(values) ? { values } : {};
    if (typeof text === 'string') said.push({ text, ...given });
    else if (typeof (text as QueryConfig | null)?.text === 'string' && !('submit' in (text as object)))
      said.push({ ...(text as QueryConfig), ...given });
    return query.call(client, text, values, ...rest);
  };
  Object.assign(client, { query: recording });
  try {
    await noting(own, () => onConnect(client));
    await drained(client);
  } finally {
    delete (client as { query?: unknown }).query;
  }
  return said;
}

/** What was not awaited has to be through as well. */
function drained(client: Client): Promise<void> {
  if (internals(client).readyForQuery) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const over = (settle: () => void): void => {
      client.off('drain', drain);
      client.off('error', fail);
      client.off('end', end);
      settle();
    };
    const drain = (): void => over(resolve);
    const fail = (error: Error): void => over(() => reject(error));
    const end = (): void => over(() => reject(new Error('Connection terminated unexpectedly')));
    client.on('drain', drain);
    client.on('error', fail);
    client.on('end', end);
  });
}

/** Resolves when the server has taken the request. It may come too late to do anything. */
async function cancel(driver: Driver, config: ClientConfig, client: Client): Promise<void> {
  const messenger = new driver.Client(config) as unknown as {
    host: string;
    port: number;
    ssl: unknown;
    sslNegotiation: string;
    connection: NodeJS.EventEmitter & {
      stream: { destroy(): void };
      connect(port: number | string, host?: string): void;
      requestSsl(): void;
      cancel(processID: number, secretKey: unknown): void;
    };
  };
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: unknown };
  const { connection, host, port, ssl, sslNegotiation } = messenger;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => connection.stream.destroy(), CANCEL_LIMIT);
    const say = (): void => connection.cancel(processID, secretKey);
    connection.on('connect', () => {
      if (!ssl) say();
      else if (sslNegotiation !== 'direct') connection.requestSsl();
    });
    connection.on('sslconnect', say);
    // If the server cannot be reached, there is nothing to be cancelled.
    connection.on('error', () => connection.stream.destroy());
    connection.on('end', () => {
      clearTimeout(timer);
      resolve();
    });
    if (host?.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`);
    else connection.connect(port, host);
  });
}
