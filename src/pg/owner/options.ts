/** What createPgPool accepts beside what createPool does. The options are checked once, and sorted by where they go. */
import type { PoolOptions } from '../../main/index.ts';
import { foreignOptions } from '../../shared/options/foreign-options.ts';
import { checkNames, type OptionNames } from '../../shared/options/option-names.ts';
import type { PgPoolOptions } from '../types.ts';

/** Options of createPool that the pool of connections sets itself. */
const OURS = ['factory', 'destructor', 'healthcheck', 'beforeAcquire', 'beforeRelease', 'expose', 'share', 'cancel', 'abort'];
const IT_DOES_ITSELF = 'createPgPool makes, checks and resets connections itself (see onConnect and reset)';
const LEAVE_TO_IT = `leave it out, as ${IT_DOES_ITSELF}`;

/** Options of createPool that are passed on as they are. */
const OF_THE_POOL = [
  ...[
    'min',
    'max',
    'maxCreating',
    'budget',
    'healthcheckInterval',
    'name',
    'acquireTimeout',
    'createTimeout',
    'checkTimeout',
    'idleTimeout',
    'maxLifetime',
  ],
  ...['maxUses', 'maxWaiting', 'maxThreads', 'leakDetectionThreshold', 'orphans', 'recoveryProbes', 'circuitBreaker', 'strict'],
  ...['ceiling', 'maxHold'],
];
const OPTIONS = ['connection', 'onConnect', 'statementCacheSize', 'reset', 'lend', 'batch', ...OF_THE_POOL];

/** Settings that pg.Pool takes beside these and hands to each of its clients. */
const OF_A_CONNECTION = [
  ...['connectionString', 'host', 'port', 'user', 'password', 'database', 'ssl', 'sslnegotiation', 'enableChannelBinding', 'types'],
  ...['application_name', 'fallback_application_name', 'client_encoding', 'options', 'binary', 'replication', 'stream', 'pipeline'],
  ...['statement_timeout', 'query_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'scramMaxIterations'],
  ...['keepAlive', 'keepAliveInitialDelayMillis'],
];

const NAMES: OptionNames = {
  of: 'createPgPool',
  options: OPTIONS,
  others: {
    ...foreignOptions(OPTIONS, LEAVE_TO_IT),
    ...Object.fromEntries(OURS.map((name) => [name, LEAVE_TO_IT])),
    ...Object.fromEntries(OF_A_CONNECTION.map((name) => [name, `put it in connection, like connection: { ${name} }`])),
    url: 'use connection, which may be a connection string',
    uri: 'use connection, which may be a connection string',
    verify: 'use onConnect, which refuses a connection by a throw',
    Client: 'leave it out, as connections are made with the Client of the installed pg',
  },
  secret: true,
};

/** Settings that pg.Pool takes in one object with those of a connection. A connection would not look at them. */
const OF_PG_POOL = ['max', 'min', 'maxUses', 'maxLifetimeSeconds', 'idleTimeoutMillis', 'onConnect', 'verify'];

/** Statements in a batch, at most: more of them save nothing more, and other threads would wait for all of them. */
const MOST_BATCH = 64;

export interface GivenOptions extends Pick<PgPoolOptions, 'connection' | 'onConnect' | 'statementCacheSize' | 'reset' | 'lend'> {
  readonly batch: number;
  /** Goes to createPool, which checks the values. Inherited options are among them. */
  readonly rest: Partial<PoolOptions<unknown>>;
}

/** Throws a TypeError or RangeError that names the option, and its value where that cannot be a secret. */
export function checked(options: PgPoolOptions): GivenOptions {
  if (typeof options !== 'object' || options === null) throw new TypeError('createPgPool takes an options object like { connection, max }');
  const given = options as unknown as Record<string, unknown>;
  for (const name of OURS)
    if (given[name] !== undefined) throw new TypeError(`${name} is not an option of createPgPool: ${IT_DOES_ITSELF}`);
  const { strict = true } = options;
  checkNames(options, NAMES, strict);
  const { statementCacheSize: size, reset, onConnect, connection, lend, batch = 8 } = options;
  if (size !== undefined && !(Number.isInteger(size) && size >= 0))
    throw new RangeError(`statementCacheSize must be a whole number from 0, not ${String(size)}`);
  if (reset !== undefined && reset !== 'auto' && reset !== 'always' && reset !== 'never')
    throw new TypeError(`reset must be 'auto', 'always' or 'never', not ${JSON.stringify(reset)}`);
  if (lend !== undefined && lend !== 'auto' && lend !== 'relayed' && lend !== 'remote')
    throw new TypeError(`lend must be 'auto', 'relayed' or 'remote', not ${JSON.stringify(lend)}`);
  if (!(Number.isInteger(batch) && batch >= 1 && batch <= MOST_BATCH))
    throw new RangeError(`batch must be a whole number from 1 to ${MOST_BATCH}, not ${String(batch)}: 1 is strictly one by one`);
  if (onConnect !== undefined && typeof onConnect !== 'function') throw new TypeError('onConnect must be a function of the new client');
  if (connection === undefined)
    throw new TypeError('connection is missing: a connection string, an object like { host, user, password }, or a function');
  if (strict) checkConnection(connection);
  const rest = Object.fromEntries(OF_THE_POOL.map((name) => [name, given[name]]));
  return { connection, onConnect, statementCacheSize: size, reset, lend, batch, rest };
}

/** The names in `connection` are pg's, and not looked at, except for those of its pool: a program with `max` there relies on it. */
function checkConnection(connection: PgPoolOptions['connection']): void {
  if (typeof connection !== 'object' || connection === null) return;
  for (const name of OF_PG_POOL) {
    if ((connection as Record<string, unknown>)[name] === undefined) continue;
    const remedy = OPTIONS.includes(name) ? `put ${name} beside connection` : NAMES.others?.[name];
    throw new TypeError(`connection.${name} is a setting of the pool, not of a connection: ${remedy}`);
  }
}
