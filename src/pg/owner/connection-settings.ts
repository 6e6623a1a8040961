/**
 * How to reach the server. This is the only file that holds secrets: it gives copies to the driver, and takes them out of what the driver
 * complains about.
 */
import type { ClientConfig } from 'pg';
import type { PgPoolOptions } from '../types.ts';
import { scrubbed } from './scrub.ts';

type Connection = string | URL | ClientConfig;

export class ConnectionSettings {
  readonly #source: string | ClientConfig | (() => Connection | Promise<Connection>);
  readonly #pool: string;
  /** The secrets of the settings that the function gave last. */
  #secrets: readonly string[] = [];

  /** Throws a TypeError for any other kind of value. The message does not show the value: it may be a password. */
  constructor(connection: PgPoolOptions['connection'], pool: string) {
    this.#pool = pool;
    if (typeof connection === 'function') this.#source = connection;
    else this.#source = this.#copy(connection, 'connection');
  }

  /**
   * All settings, in a copy that the driver may change. If they come from a function, it is asked every time; what it throws stays what
   * it is.
   */
  async next(): Promise<ClientConfig> {
    if (typeof this.#source !== 'function') return asConfig(this.#copy(this.#source, 'connection'));
    let given: Connection;
    try {
      given = await this.#source();
    } catch (error) {
      throw scrubbed(error, this.#secrets);
    }
    const config = asConfig(this.#copy(given, 'what the function gives for connection'));
    this.#secrets = secretsOf(config, undefined);
    return config;
  }

  #copy(connection: Connection, what: string): string | ClientConfig {
    if (typeof connection === 'string') return connection;
    if (isUrl(connection)) return this.#text(connection, what);
    const wrong = wrongWith(connection);
    if (wrong !== undefined)
      throw new TypeError(
        `pool ${JSON.stringify(this.#pool)}: ${what} must be a connection string, a URL, an object like { host, user, password }, or a function that gives one of them${wrong}`,
      );
    const copy = copyOf(connection);
    if (isUrl(copy.connectionString)) copy.connectionString = this.#text(copy.connectionString, 'connectionString');
    if (typeof copy.ssl === 'object' && copy.ssl !== null) copy.ssl = copyOf(copy.ssl);
    return copy;
  }

  /** The message does not even tell the URL's protocol: in `user:password@host` the protocol is the user. */
  #text({ protocol, href }: URL, what: string): string {
    if (['postgres:', 'postgresql:', 'socket:'].includes(protocol)) return href;
    throw new TypeError(`pool ${JSON.stringify(this.#pool)}: ${what} is a URL that does not begin with postgres:// or postgresql://`);
  }
}

/** True for a URL of another realm, too. */
const isUrl = (value: unknown): value is URL => Object.prototype.toString.call(value) === '[object URL]';

/** Why this cannot be settings; undefined if it may be. An object with no known name in it would lead to the server on this machine. */
function wrongWith(connection: unknown): string | undefined {
  if (typeof connection !== 'object' || connection === null) return '';
  if (typeof (connection as { then?: unknown }).then === 'function')
    return ', and not a promise: await it, or give the function that makes it';
  if (typeof (connection as { query?: unknown }).query === 'function') return ', and not a client or a pool: give what that was made with';
  return Array.isArray(connection) || ArrayBuffer.isView(connection) || connection instanceof String || connection instanceof Map
    ? ''
    : undefined;
}

const asConfig = (connection: string | ClientConfig): ClientConfig =>
  typeof connection === 'string' ? { connectionString: connection } : connection;

/** A copy with the properties that are not enumerable. Drivers hide some that way (password, ssl.key); an ordinary copy would lack them. */
function copyOf<T extends object>(from: T): T {
  const copy: Record<string, unknown> = Object.create(Object.getPrototypeOf(from));
  for (const key of Object.getOwnPropertyNames(from))
    Object.defineProperty(copy, key, {
      value: (from as Record<string, unknown>)[key],
      enumerable: true,
      configurable: true,
      writable: true,
    });
  return copy as T;
}

/** Everything that must never be seen, in every form in which it might appear. */
export function secretsOf(config: ClientConfig, password: unknown): string[] {
  const found = new Set<string>();
  const add = (value: unknown): void => {
    if (typeof value !== 'string' || value === '') return;
    found.add(value);
    found.add(encodeURIComponent(value));
  };
  add(password);
  add(config.password);
  add(config.connectionString);
  const inUrl = /^[^:/?#]+:\/\/[^@/?#]*?:([^@]*)@/.exec(config.connectionString ?? '')?.[1];
  if (inUrl !== undefined) {
    add(inUrl);
    try {
      add(decodeURIComponent(inUrl));
    } catch {
      // The text is not encoded, then.
    }
  }
  for (const [, value] of (config.connectionString ?? '').matchAll(/[?&]password=([^&#]*)/g)) add(value);
  if (typeof config.ssl === 'object') {
    add(config.ssl.passphrase);
    for (const key of [config.ssl.key].flat()) if (typeof key === 'string' || Buffer.isBuffer(key)) add(String(key));
  }
  // The longest comes first, because one secret may be part of another.
  return [...found].sort((a, b) => b.length - a.length);
}

/** The error without secrets, without anything that might hold a secret, and with the rest of what the server said. */
export function withoutSecrets(error: unknown, secrets: readonly string[]): Error {
  const clean = (text: string): string => secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
  return restated(error, clean(messageOf(error)), clean);
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'not an error was thrown';
  // A host has several addresses, and none of them answers.
  return error instanceof AggregateError && error.message === '' ? error.errors.map(messageOf).join('; ') : error.message;
}

/** Another error with this message, and those properties of the old one that are texts and numbers. */
function restated(from: unknown, message: string, clean = (text: string): string => text): Error {
  const error = new Error(message);
  if (!(from instanceof Error)) return error;
  for (const key of PLAIN) {
    const value = (from as unknown as Record<string, unknown>)[key];
    if (typeof value === 'number') Object.assign(error, { [key]: value });
    if (typeof value === 'string') Object.assign(error, { [key]: clean(value) });
  }
  if (from.name !== 'Error') Object.defineProperty(error, 'name', { value: from.name, configurable: true, writable: true });
  return error;
}

const PLAIN = [
  ...[
    'code',
    'severity',
    'detail',
    'hint',
    'position',
    'where',
    'schema',
    'table',
    'column',
    'dataType',
    'constraint',
    'file',
    'line',
    'routine',
  ],
  ...['length', 'errno', 'syscall', 'address', 'port'],
];
