/**
 * postgresBudget and redisBudget: how an engine is reached, as the thread that speaks with it can be told. The secrets in it show nowhere.
 */
import { inspect } from 'node:util';
import type { ClientConfig } from 'pg';
import { checkNames } from '../shared/options/option-names.ts';
import { DEFAULT_TABLE, schema } from './engines/postgres-step.ts';
import type { RedisSource } from './engines/redis.ts';
import { RefusedError } from './errors.ts';
import type { EngineSource } from './messages.ts';
import type { BudgetEngine } from './types.ts';

type Connection = string | ClientConfig;
/** Asked before each connect, on the owner. */
export type AskedSettings = () => Connection | Promise<Connection>;

/** Options of postgresBudget. */
export interface PostgresBudgetOptions {
  /**
   * Connection string, ClientConfig of pg, or a function that gives one and is asked, on the owner's thread, before each connect. While
   * that thread is blocked its last answer serves.
   */
  connection: string | ClientConfig | (() => ClientConfig | Promise<ClientConfig>);
  /**
   * The table, maybe with its schema ('ops.budget'). Made on first use where the role may; else see `budgetSchema`. Default
   * 'cenote_budget'.
   */
  table?: string | undefined;
}

/** Options of redisBudget: one of the two. */
export type RedisBudgetOptions =
  | {
      /** redis:// or rediss://, for ioredis or, where that is not installed, for redis. */
      url: string;
      /** Not beside `url`. */
      client?: undefined;
    }
  | {
      /**
       * A client of ioredis (a Cluster, too) or of redis. Its settings are read; it is neither used nor closed, as a blocked owner's client
       * could not renew. TypeError if they cannot be sent to another thread.
       */
      client: unknown;
      /** Not beside `client`. */
      url?: undefined;
    };

interface Known {
  readonly number: number;
  readonly source: EngineSource;
  readonly asked: AskedSettings | undefined;
}
const known = new WeakMap<object, Known>();
/** Engines with the same settings share a connection. By what they are made of; a function is what it is. */
const numbers = new Map<string, number>();
const functions = new WeakMap<object, number>();
let last = 0;

function numbered(identity: string): number {
  let number = numbers.get(identity);
  if (number === undefined) {
    number = ++last;
    numbers.set(identity, number);
  }
  return number;
}

/** As a text. */
function identityOf(asked: object): string {
  if (!functions.has(asked)) functions.set(asked, ++last);
  return `asked ${functions.get(asked)}`;
}

function engine(name: string, source: EngineSource, identity: string, asked?: AskedSettings): BudgetEngine {
  const made: BudgetEngine = Object.freeze({ name });
  known.set(made, { number: numbered(identity), source, asked });
  return made;
}

/** Throws TypeError for what is no engine. */
export function numberOf(given: unknown): readonly [number: number, source: EngineSource, asked: AskedSettings | undefined] {
  const found = typeof given === 'object' && given !== null ? known.get(given) : undefined;
  if (found === undefined)
    throw new TypeError(`engine must be what postgresBudget or redisBudget gives, not ${inspect(given, { depth: 0 })}`);
  return [found.number, found.source, found.asked];
}

/**
 * Keeps permits in a table of PostgreSQL, 10 or later, over one connection for each process, which is not one of those that the limit
 * counts. Works behind a transaction pooler. Needs the package pg. Throws TypeError for bad options.
 */
export function postgresBudget(options: PostgresBudgetOptions): BudgetEngine {
  check(options, 'postgresBudget', ['connection', 'table']);
  const { connection, table = DEFAULT_TABLE } = options;
  checkTable(table);
  if (connection === undefined)
    throw new TypeError('connection is missing: a connection string, an object like { host, user, password }, or a function');
  if (typeof connection === 'function') {
    const source = { kind: 'postgres', table, settings: undefined, asks: true } as const;
    return engine('postgres', source, `${table}\n${identityOf(connection)}`, connection);
  }
  if (typeof connection !== 'string' && (typeof connection !== 'object' || connection === null))
    throw new TypeError(
      `connection must be a connection string, an object like { host, user, password }, or a function, not ${String(connection)}`,
    );
  // A password that is a function is asked for, too.
  if (typeof connection === 'object' && typeof connection.password === 'function') {
    const source = { kind: 'postgres', table, settings: undefined, asks: true } as const;
    return engine('postgres', source, `${table}\n${identityOf(connection)}`, () => connection);
  }
  const settings = cloned(connection, 'connection');
  return engine('postgres', { kind: 'postgres', table, settings, asks: false }, `${table}\n${JSON.stringify(settings)}`);
}

/** What a function has given, as it can be sent. Throws RefusedError for what cannot be. */
export async function settingsNow(asked: AskedSettings): Promise<Connection> {
  const given = await asked();
  if (typeof given === 'string') return given;
  if (typeof given !== 'object' || given === null) throw new RefusedError('the function of connection must give settings of pg', undefined);
  const { password } = given;
  const settings = typeof password === 'function' ? { ...given, password: await password() } : given;
  try {
    return cloned(settings, 'connection');
  } catch (error) {
    throw new RefusedError((error as Error).message, error);
  }
}

/** Settings of ioredis that say where, and by which name. */
const OF_IOREDIS = [
  ...['host', 'port', 'path', 'family', 'username', 'password', 'db', 'tls', 'connectTimeout', 'sentinels', 'name', 'role'],
  ...['sentinelUsername', 'sentinelPassword', 'enableTLSForSentinelMode', 'sentinelTLS', 'natMap', 'keepAlive'],
];
const OF_REDIS = ['url', 'username', 'password', 'database', 'RESP', 'credentialsProvider'];

/**
 * Keeps permits in a hash of Redis, 5 or later, over two connections for each process. Needs the package ioredis or redis. Throws TypeError
 * for bad options.
 */
export function redisBudget(options: RedisBudgetOptions): BudgetEngine {
  check(options, 'redisBudget', ['url', 'client']);
  const { url, client } = options;
  if ((url === undefined) === (client === undefined)) throw new TypeError('redisBudget takes either url or client');
  if (client !== undefined) {
    const from = sourceOf(client);
    return engine('redis', { kind: 'redis', from }, JSON.stringify(from));
  }
  if (typeof url !== 'string' || !/^rediss?:\/\//.test(url))
    throw new TypeError('url must be a text that begins with redis:// or rediss://');
  return engine('redis', { kind: 'redis', from: { by: 'url', url } }, url);
}

function sourceOf(client: unknown): RedisSource {
  const { options, isCluster, startupNodes, status, isOpen } = (client ?? {}) as Record<string, unknown>;
  const settings = (typeof options === 'object' && options !== null ? options : {}) as Record<string, unknown>;
  if (isCluster === true && Array.isArray(startupNodes)) {
    const redisOptions = picked((settings.redisOptions ?? {}) as Record<string, unknown>, OF_IOREDIS);
    return cloned({ by: 'ioredis-cluster', nodes: startupNodes, settings: { redisOptions } }, 'client') as RedisSource;
  }
  if (typeof status === 'string' && 'host' in settings) return { by: 'ioredis', settings: cloned(picked(settings, OF_IOREDIS), 'client') };
  if (typeof isOpen === 'boolean') {
    const { reconnectStrategy: _, ...socket } = (settings.socket ?? {}) as Record<string, unknown>;
    return { by: 'redis', settings: cloned({ ...picked(settings, OF_REDIS), socket }, 'client') };
  }
  throw new TypeError(`client must be a client of ioredis or of redis, not ${inspect(client, { depth: -1 })}`);
}

const picked = (settings: Record<string, unknown>, names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(names.filter((name) => settings[name] !== undefined && settings[name] !== null).map((name) => [name, settings[name]]));

function cloned<V>(settings: V, of: string): V {
  try {
    return structuredClone(settings);
  } catch (cause) {
    const why = 'one of its settings is a function or the like, which cannot be sent to the thread that speaks with the engine';
    throw new TypeError(`${of} cannot be used: ${why} (${(cause as Error).message})`, { cause });
  }
}

/**
 * The statement that makes the table, for programs that run migrations: the role of the budget then needs SELECT, INSERT, UPDATE, DELETE
 * only.
 */
export function budgetSchema(options: { table?: string | undefined } = {}): string {
  check(options, 'budgetSchema', ['table'], false);
  const { table = DEFAULT_TABLE } = options;
  checkTable(table);
  return schema(table);
}

function checkTable(table: unknown): asserts table is string {
  if (typeof table !== 'string') throw new TypeError(`table must be a name, not ${String(table)}`);
  if (table.includes('\0') || !/^[^.]+(\.[^.]+)?$/.test(table))
    throw new TypeError(`table must be a name, maybe with its schema before a dot, not ${JSON.stringify(table)}`);
}

function check(options: unknown, of: string, names: readonly string[], isNeeded = true): void {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`${of} takes options like { ${isNeeded ? names[0] : names.join(', ')} }, not ${typeof options}`);
  checkNames(options, { of, options: names, secret: true });
}
