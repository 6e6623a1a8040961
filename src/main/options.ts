/** What createPool accepts: checked once, with every default filled in. */

import { MAX_CELLS, MAX_SLOTS, MAX_THREADS } from '../shared/layout.ts';
import { COMPANY, type CompanyOptions } from '../shared/options/company.ts';
import { checkDuration, limitOf } from '../shared/options/durations.ts';
import { foreignOptions } from '../shared/options/foreign-options.ts';
import { checkHold, type Hold } from '../shared/options/hold-limits.ts';
import { checkNames, type OptionNames } from '../shared/options/option-names.ts';
import { show } from '../shared/show.ts';
import type { CircuitBreakerStrategy, FactoryContext, PoolBudget, PoolOptions } from './types.ts';
import { limit, whole } from './whole.ts';

type Hook<T, V> = (resource: T) => V | PromiseLike<V>;

export interface Settings<T> {
  readonly factory: (context: FactoryContext) => T | PromiseLike<T>;
  readonly destructor: Hook<T, void> | undefined;
  readonly healthcheck: Hook<T, boolean | void> | undefined;
  readonly beforeAcquire: Hook<T, boolean | void> | undefined;
  readonly beforeRelease: Hook<T, boolean | void> | undefined;
  readonly min: number;
  readonly max: number;
  readonly budget: PoolBudget | undefined;
  readonly ceiling: number;
  readonly maxHold: Hold;
  readonly cancel: Hook<T, void> | undefined;
  readonly abort: Hook<T, void> | undefined;
  readonly maxCreating: number;
  readonly healthcheckInterval: number;
  readonly name: string;
  readonly acquireTimeout: number;
  readonly createTimeout: number;
  readonly checkTimeout: number;
  readonly idleTimeout: number;
  readonly maxLifetime: number;
  readonly maxUses: number;
  readonly maxWaiting: number;
  readonly maxThreads: number;
  readonly leakDetectionThreshold: number;
  readonly orphans: 'destroy' | 'release';
  readonly recoveryProbes: number;
  readonly circuitBreaker: CircuitBreakerStrategy | undefined;
  readonly expose: ReadonlySet<string> | undefined;
  readonly share: ((resource: T) => unknown) | undefined;
  /** For what stands on top of a pool. */
  readonly company: CompanyOptions<T> | undefined;
}

const OPTIONS = [
  ...['factory', 'destructor', 'healthcheck', 'beforeAcquire', 'beforeRelease', 'min', 'max', 'maxCreating', 'healthcheckInterval', 'name'],
  ...['acquireTimeout', 'createTimeout', 'checkTimeout', 'idleTimeout', 'maxLifetime', 'maxUses', 'maxWaiting', 'maxThreads'],
  ...['leakDetectionThreshold', 'orphans', 'recoveryProbes', 'circuitBreaker', 'expose', 'share', 'strict'],
  ...['ceiling', 'maxHold', 'cancel', 'abort', 'budget'],
];

const OF_THE_FACTORY = ['connection', 'connectionString', 'onConnect', 'url', 'host', 'port', 'user', 'password', 'database', 'ssl'];
const TO_THE_FACTORY = "what the factory needs is the factory's own. For PostgreSQL there is createPgPool, of cenote/pg";

const NAMES: OptionNames = {
  of: 'createPool',
  options: OPTIONS,
  others: {
    ...foreignOptions(OPTIONS, TO_THE_FACTORY),
    ...Object.fromEntries(OF_THE_FACTORY.map((name) => [name, TO_THE_FACTORY])),
  },
};

/** Every waiter needs a cell, and so does every waiter that has been granted a slot and has not picked it up yet. */
const MOST_WAITING = MAX_CELLS - MAX_SLOTS - MAX_THREADS - 1;
const LARGEST_WORD = 2_147_483_647;

/** Throws TypeError or RangeError that names the option and the value. */
export function settingsOf<T>(options: PoolOptions<T>): Settings<T> {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`createPool takes an options object like { factory, max }, not ${show(options)}`);
  const strict = isStrict(options.strict);
  checkNames(options, NAMES, strict);
  if (typeof options.factory !== 'function')
    throw new TypeError(`factory must be a function that makes a resource, not ${show(options.factory)}`);

  const max = whole('max', options.max, 10, 1, MAX_SLOTS);
  const min = whole('min', options.min, 0, 0, MAX_SLOTS);
  if (min > max) throw new RangeError(`min must not be more than max, which is ${max}, but is ${min}`);
  const ceiling = whole('ceiling', options.ceiling, max, 1, MAX_SLOTS);
  if (ceiling < max) throw new RangeError(`ceiling must not be less than max, which is ${max}, but is ${ceiling}`);
  const maxHold = checkHold(options.maxHold, strict);
  const abort = hook('abort', options.abort);
  const share = hook('share', options.share);
  if (share !== undefined && abort === undefined && maxHold.revokeAfter !== 0)
    throw new TypeError(
      'maxHold.revokeAfter needs abort where there is share: a worker has a value of its own, and only abort can end the resource',
    );
  const orphans = options.orphans ?? 'destroy';
  if (orphans !== 'destroy' && orphans !== 'release')
    throw new TypeError(`orphans must be 'destroy' or 'release', not ${show(options.orphans)}`);
  const name = options.name ?? 'pool';
  if (typeof name !== 'string') throw new TypeError(`name must be a string, not ${show(options.name)}`);
  const interval = duration('healthcheckInterval', options.healthcheckInterval, 0);
  const strategy = options.circuitBreaker;
  if (strategy !== undefined) checkStrategy('circuitBreaker', strategy);

  return {
    factory: options.factory,
    destructor: hook('destructor', options.destructor),
    healthcheck: hook('healthcheck', options.healthcheck),
    beforeAcquire: hook('beforeAcquire', options.beforeAcquire),
    beforeRelease: hook('beforeRelease', options.beforeRelease),
    min,
    max,
    budget: budget(options.budget),
    ceiling,
    maxHold,
    cancel: hook('cancel', options.cancel),
    abort,
    maxCreating: limit('maxCreating', options.maxCreating, LARGEST_WORD),
    // Nothing to ask, nothing to do.
    healthcheckInterval: options.healthcheck === undefined ? 0 : interval,
    name,
    acquireTimeout: duration('acquireTimeout', options.acquireTimeout, 0),
    createTimeout: duration('createTimeout', options.createTimeout, 0),
    checkTimeout: duration('checkTimeout', options.checkTimeout, 5000),
    idleTimeout: duration('idleTimeout', options.idleTimeout, 0),
    maxLifetime: duration('maxLifetime', options.maxLifetime, 0),
    maxUses: limit('maxUses', options.maxUses, LARGEST_WORD),
    maxWaiting: whole('maxWaiting', options.maxWaiting, 1024, 0, MOST_WAITING),
    maxThreads: whole('maxThreads', options.maxThreads, 64, 1, MAX_THREADS),
    leakDetectionThreshold: duration('leakDetectionThreshold', options.leakDetectionThreshold, 0),
    orphans,
    recoveryProbes: whole('recoveryProbes', options.recoveryProbes, 1, 1, MAX_SLOTS),
    circuitBreaker: strategy,
    expose: names(options.expose),
    share,
    company: (options as { readonly [COMPANY]?: CompanyOptions<T> })[COMPANY],
  };
}

function budget(value: PoolBudget | undefined): PoolBudget | undefined {
  if (value !== undefined && !isBudget(value))
    throw new TypeError(`budget must be what createBudget of cenote/budget resolves with, not ${show(value)}`);
  return value;
}

function isBudget(value: unknown): boolean {
  try {
    return typeof (value as Partial<PoolBudget> | null)?.enter === 'function';
  } catch {
    // A Proxy that does not answer.
    return false;
  }
}

function isStrict(strict: unknown): boolean {
  if (strict !== undefined && typeof strict !== 'boolean') throw new TypeError(`strict must be true or false, not ${show(strict)}`);
  return strict ?? true;
}

/** Whole milliseconds: fractions are rounded up, so that a small limit does not become none. Infinity is none, which is 0. */
function duration(option: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  checkDuration(option, value);
  return Math.ceil(limitOf(value));
}

function hook<F>(option: string, value: F): F {
  if (value !== undefined && typeof value !== 'function')
    throw new TypeError(`${option} must be a function of the resource, not ${show(value)}`);
  return value;
}

function names(value: unknown): ReadonlySet<string> | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw new TypeError(`expose must be an array of method names, not ${show(value)}`);
  for (const name of value) if (typeof name !== 'string') throw new TypeError(`expose must hold method names, not ${show(name)}`);
  return new Set(value as string[]);
}

export function checkStrategy(where: string, strategy: unknown): asserts strategy is CircuitBreakerStrategy {
  const methods = strategy as Partial<Record<keyof CircuitBreakerStrategy, unknown>> | null;
  if (typeof methods !== 'object' || methods === null)
    throw new TypeError(`${where} must be an object with reportSuccess and reportFailure, not ${show(strategy)}`);
  for (const method of ['reportSuccess', 'reportFailure'] as const)
    if (typeof methods[method] !== 'function') throw new TypeError(`${where}.${method} must be a function, not ${show(methods[method])}`);
  if (methods.shouldRecover !== undefined && typeof methods.shouldRecover !== 'function')
    throw new TypeError(`${where}.shouldRecover must be a function, not ${show(methods.shouldRecover)}`);
}
