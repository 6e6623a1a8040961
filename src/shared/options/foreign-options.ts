/**
 * What other pools call their options, and what the same is here: pg.Pool, generic-pool, tarn (Knex), lightning-pool, mysql2, Sequelize.
 * Imports nothing, so that every folder may use it.
 */

/** Their name: ours, and what differs. */
const SAME: Readonly<Record<string, readonly [option: string, how?: string]>> = {
  create: ['factory'],
  destroy: ['destructor'],
  reset: ['beforeRelease'],
  validate: ['beforeAcquire'],
  validation: ['beforeAcquire', 'a function of the resource'],
  testOnBorrow: ['beforeAcquire', 'a function of the resource'],
  testOnReturn: ['beforeRelease', 'a function of the resource'],
  resetOnReturn: ['beforeRelease', 'a function of the resource'],
  afterCreate: ['factory', 'which may prepare what it makes'],
  verify: ['factory', 'which may check what it makes'],

  size: ['max'],
  maxConnections: ['max'],
  maxPoolSize: ['max'],
  maxSize: ['max'],
  poolSize: ['max'],
  connectionLimit: ['max'],
  minConnections: ['min'],
  minPoolSize: ['min'],
  minSize: ['min'],
  minIdle: ['min', 'which counts borrowed ones, too'],
  maxQueue: ['maxWaiting'],
  maxWaitingClients: ['maxWaiting'],
  queueLimit: ['maxWaiting', 'where 0 means that nothing waits'],
  waitForConnections: ['maxWaiting', 'where 0 means that nothing waits'],

  timeout: ['acquireTimeout', 'in milliseconds'],
  acquire: ['acquireTimeout', 'in milliseconds'],
  acquireTimeoutMillis: ['acquireTimeout', 'in milliseconds'],
  acquireConnectionTimeout: ['acquireTimeout', 'in milliseconds'],
  connectionTimeoutMillis: ['acquireTimeout', 'in milliseconds, for the wait in line, and createTimeout for making one'],
  createTimeoutMillis: ['createTimeout', 'in milliseconds'],
  destroyTimeoutMillis: ['checkTimeout', 'in milliseconds, which is for hooks, too'],
  idle: ['idleTimeout', 'in milliseconds'],
  idleTimeoutMillis: ['idleTimeout', 'in milliseconds'],
  softIdleTimeoutMillis: ['idleTimeout', 'in milliseconds, which leaves `min` alive'],
  maxLifetimeSeconds: ['maxLifetime', 'in milliseconds: a thousand for each second'],
};

/** Theirs for which there is nothing to set here, and why. */
const NEEDLESS: Readonly<Record<string, string>> = {
  acquireMaxRetries: 'an acquire rejects with the error of its factory call, and a refill to `min` is tried again by itself',
  acquireRetryWait: 'an acquire rejects with the error of its factory call, and a refill to `min` is tried again by itself',
  createRetryIntervalMillis: 'an acquire rejects with the error of its factory call, and a refill to `min` is tried again by itself',
  propagateCreateError: 'an acquire always rejects with the error of its factory call',
  allowExitOnIdle: 'an idle pool never keeps the process alive',
  autostart: 'the first `min` resources are always made up front',
  evict: 'idleTimeout and maxLifetime are looked after by themselves',
  evictionRunIntervalMillis: 'idleTimeout and maxLifetime are looked after by themselves',
  houseKeepInterval: 'idleTimeout and maxLifetime are looked after by themselves',
  numTestsPerEvictionRun: 'idleTimeout and maxLifetime are looked after by themselves',
  reapIntervalMillis: 'idleTimeout and maxLifetime are looked after by themselves',
  fifo: 'waiters are served in order, and the order of idle resources cannot be chosen',
  priorityRange: 'waiters are served in order, without priorities',
  maxIdle: 'idle resources above `min` go after idleTimeout',
  log: 'a pool has events to log',
  Promise: 'promises are those of the language',
};

/**
 * What to say of each foreign name to a program that may set `options`.
 * `otherwise` is for those that mean an option that cannot be set there.
 */
export function foreignOptions(options: readonly string[], otherwise: string): Record<string, string> {
  const said: Record<string, string> = {};
  for (const [name, [option, how]] of Object.entries(SAME))
    said[name] = options.includes(option) ? `use ${option}${how === undefined ? '' : `, ${how}`}` : otherwise;
  for (const [name, why] of Object.entries(NEEDLESS)) said[name] = `leave it out, as ${why}`;
  for (const option of options) delete said[option];
  return said;
}
