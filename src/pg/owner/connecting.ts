/** Making a connection, and asking the server to cancel what runs on one. */
import { clearTimeout, setTimeout } from 'node:timers';
import type { Client, ClientConfig, QueryConfig } from 'pg';
import { assertDriverVersion, NEEDED } from '../driver/driver-version.ts';
import { endClient } from '../driver/ending.ts';
import { internals } from '../driver/internals.ts';
import { type ConnectionSettings, secretsOf, withoutSecrets } from './connection-settings.ts';
import { scrubbed } from './scrub.ts';

type Driver = typeof import('pg');
export type OnConnect = (client: Client) => void | Promise<void>;

/** The time limit of a cancel request, which is a connection of its own, in ms. */
const CANCEL_LIMIT = 2000;
/** The time limit for ending a connection that has had no borrower yet, in ms. */
const GIVE_UP = 2000;

export interface Connected {
  readonly client: Client;
  /** The statements that onConnect has run. They are run again after everything was discarded. */
  readonly setup: readonly QueryConfig[];
  cancel(): Promise<void>;
}

/** The driver, or an error that says how to get it. */
export async function loadDriver(): Promise<Driver> {
  assertDriverVersion();
  try {
    const module = (await import('pg')) as Driver & { default?: Driver };
    return module.default ?? module;
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
  // This pool runs queries one at a time, and cursors need that.
  delete config.pipeline;
  /** Errors that the user's own code has thrown. */
  const own = new Set<unknown>();
  noteErrorsOfPassword(config, own);
  const client = shielded(config, undefined, () => new driver.Client(config));
  let lost: Error | undefined;
  // Without a listener the error would end the process.
  client.on('error', (error) => {
    lost ??= error;
  });
  client.on('end', () => {
    lost ??= new Error('Connection terminated');
  });
  // The driver's cancel makes a client of its own from settings that may be of no use any more: a certificate's file is gone, say.
  const cancelled = (): Promise<void> => cancel(driver, config, client).catch(() => {});
  let isConnected = false;
  const giveUp = (): void => {
    if (isConnected) void leave();
    else internals(client).connection.stream.destroy();
  };
  // Otherwise the server would go on with what onConnect has it do, beyond `max`. A backend also stays for a little after it has hung up.
  let leaving: Promise<void> | undefined;
  const leave = (): Promise<void> => (leaving ??= endClient(client, cancelled, GIVE_UP));
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    await client.connect();
    isConnected = true;
    const setup = onConnect === undefined ? [] : await setUp(client, onConnect, own);
    // This is the last moment: from now on other listeners hear of it.
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

/** Notes what the user's own code throws, so that it is told apart from what the driver throws. */
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

/** Resolves when the queries that the user's code did not await are through as well. */
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

/** Resolves when the server has taken the request. The request may come too late to do anything. */
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
