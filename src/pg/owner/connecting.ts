/** Making a connection. */
import type { Client, ClientConfig, QueryConfig } from 'pg';
import { requestCancel } from '../driver/cancel-request.ts';
import { cutOff, drained, endClient, isCutOff } from '../driver/ending.ts';
import type { Driver } from '../driver/lane.ts';
import { useParkingSocket } from '../driver/parking-socket.ts';
import { type ConnectionSettings, secretsOf, withoutSecrets } from './connection-settings.ts';
import { scrubbed } from './scrub.ts';

export type OnConnect = (client: Client) => void | Promise<void>;

/** The time limit for ending a connection that has had no borrower yet, in ms. */
const GIVE_UP = 2000;

export interface Connected {
  readonly client: Client;
  /** The statements that onConnect has run. They are run again after everything was discarded. */
  readonly setup: readonly QueryConfig[];
  cancel(): Promise<void>;
}

/** Rejects without a secret in the error. */
export async function connect(
  driver: Driver,
  settings: ConnectionSettings,
  onConnect: OnConnect | undefined,
  signal: AbortSignal,
  isToPark: boolean,
): Promise<Connected> {
  const config = await settings.next();
  signal.throwIfAborted();
  // This pool runs queries one at a time, and cursors need that.
  delete config.pipeline;
  /** Errors that the user's own code has thrown. */
  const own = new Set<unknown>();
  noteErrorsOfPassword(config, own);
  const client = shielded(config, undefined, () => new driver.Client(config));
  if (isToPark && config.stream === undefined) useParkingSocket(client);
  let lost: Error | undefined;
  // Without a listener the error would end the process.
  client.on('error', (error) => {
    lost ??= error;
  });
  client.on('end', () => {
    lost ??= new Error('Connection terminated');
  });
  // The driver's cancel makes a client of its own from settings that may be of no use any more: a certificate's file is gone, say.
  const cancelled = (): Promise<void> => requestCancel(driver, config, client).catch(() => {});
  let isConnected = false;
  const giveUp = (): void => {
    if (isConnected) void leave();
    else cutOff(client);
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
    if (!isCutOff(client)) await leave();
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
