/** What JobRunner and its calls accept: checked once, with every default filled in. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkFew, isAbortSignal, LONGEST, type OptionNames, show } from '../shared/index.ts';
import type { MapOptions, RunnerOptions, RunnerPool, RunOptions, ScopeOptions } from './types.ts';

const OURS = ['filename', 'pools', 'workerData', 'maxQueue', 'grace', 'progressInterval', 'retryLost', 'recycleAfter'];
const PISCINAS = [
  ...['minThreads', 'maxThreads', 'idleTimeout', 'concurrentTasksPerWorker', 'atomics', 'resourceLimits', 'argv', 'execArgv', 'env'],
  ...['niceIncrement', 'trackUnmanagedFds', 'recordTiming', 'stricterFIFO', 'workerHistogram'],
];
const QUEUE = 'leave it out, as the queue is the runner’s own, and Piscina is given only what can start';

const RUNNER: OptionNames = {
  of: 'JobRunner',
  options: [...OURS, ...PISCINAS],
  others: {
    name: 'leave it out, as the job is the default export of the file',
    taskQueue: QUEUE,
    loadBalancer: QUEUE,
    closeTimeout: 'give close() a timeout',
    concurrency: 'use maxThreads and concurrentTasksPerWorker',
    threads: 'use maxThreads',
    workers: 'use maxThreads',
    file: 'use filename',
    timeout: 'give run() a timeout',
  },
};
const RECYCLE: OptionNames = { of: 'recycleAfter', options: ['jobs', 'heapMB'] };
const RUN: OptionNames = { of: 'run', options: ['name', 'signal', 'timeout', 'transferList', 'grace', 'retryLost'] };
const MAP: OptionNames = { of: 'map', options: ['name', 'signal', 'timeout', 'grace', 'retryLost', 'concurrency', 'ordered', 'settle'] };
const SCOPE: OptionNames = { of: 'scope', options: ['name', 'mode', 'timeout', 'signal', 'grace', 'concurrency'] };

export interface Settings {
  /** As a URL. */
  readonly file: string;
  readonly pools: Readonly<Record<string, RunnerPool>>;
  /** 0: no limit. */
  readonly maxQueue: number;
  readonly grace: number;
  readonly progressInterval: number;
  readonly retryLost: number;
  readonly recycleJobs: number;
  readonly recycleHeap: number;
  readonly minThreads: number;
  readonly maxThreads: number;
  /** Jobs on a thread at once. */
  readonly seats: number;
  readonly idleTimeout: number;
  /** For Piscina, as they were given. */
  readonly rest: Readonly<Record<string, unknown>>;
}

export function settingsOf(options: RunnerOptions<any>): Settings {
  checkFew(options, RUNNER);
  const recycle = options.recycleAfter ?? {};
  checkFew(recycle, RECYCLE);
  const most = Math.max(1, Math.floor(availableParallelism() * 1.5));
  const given = {
    maxThreads: optional('maxThreads', options.maxThreads, whole, 1),
    minThreads: optional('minThreads', options.minThreads, whole, 0),
  };
  if (given.minThreads !== undefined && given.maxThreads !== undefined && given.minThreads > given.maxThreads)
    throw new RangeError(`minThreads (${given.minThreads}) must not be above maxThreads (${given.maxThreads})`);
  const maxThreads = given.maxThreads ?? Math.max(most, given.minThreads ?? 0);
  const { idleTimeout } = options;
  return {
    file: fileOf(options.filename),
    pools: poolsOf(options.pools),
    maxQueue: optional('maxQueue', options.maxQueue, whole, 0) ?? 0,
    grace: optional('grace', options.grace, duration) ?? 1000,
    progressInterval: optional('progressInterval', options.progressInterval, duration) ?? 100,
    retryLost: optional('retryLost', options.retryLost, whole, 0) ?? 0,
    recycleJobs: optional('recycleAfter.jobs', recycle.jobs, whole, 1) ?? Number.POSITIVE_INFINITY,
    recycleHeap: optional('recycleAfter.heapMB', recycle.heapMB, positive) ?? Number.POSITIVE_INFINITY,
    minThreads: Math.min(given.minThreads ?? Math.max(1, Math.floor(availableParallelism() / 2)), maxThreads),
    maxThreads,
    seats: optional('concurrentTasksPerWorker', options.concurrentTasksPerWorker, whole, 1) ?? 1,
    idleTimeout:
      idleTimeout === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : (optional('idleTimeout', idleTimeout, duration) ?? 1000),
    rest: {
      recordTiming: false,
      ...Object.fromEntries(
        PISCINAS.map((name) => [name, (options as unknown as Record<string, unknown>)[name]]).filter(([, value]) => value !== undefined),
      ),
    },
  };
}

function fileOf(filename: unknown): string {
  if (filename instanceof URL) return filename.href;
  if (typeof filename !== 'string' || filename === '')
    throw new TypeError(`filename must be the path or URL of the job's file, not ${show(filename)}`);
  return filename.startsWith('file:') ? new URL(filename).href : pathToFileURL(resolve(filename)).href;
}

function poolsOf(pools: unknown): Readonly<Record<string, RunnerPool>> {
  if (pools === undefined) return {};
  if (typeof pools !== 'object' || pools === null) throw new TypeError(`pools must be an object like { db: pool }, not ${show(pools)}`);
  for (const [name, pool] of Object.entries(pools)) {
    const { handle } = (pool ?? {}) as { handle?: unknown };
    if (typeof handle !== 'object' || handle === null)
      throw new TypeError(`pools.${name} must be what createPool or createPgPool gives, not ${show(pool)}`);
  }
  return { ...(pools as Record<string, RunnerPool>) };
}

// ── of one call

/** What its caller has set, checked. */
export interface JobLimits {
  readonly name: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** In ms; 0: no limit. */
  readonly timeout: number;
  readonly grace: number | undefined;
  readonly retryLost: number | undefined;
}

export function checkRun(options: RunOptions): JobLimits & { readonly transferList: readonly unknown[] | undefined } {
  checkFew(options, RUN);
  const { transferList } = options;
  if (transferList !== undefined && !Array.isArray(transferList))
    throw new TypeError(`transferList must be an array, not ${show(transferList)}`);
  return { ...limitsOf(options), transferList };
}

export function checkMap(options: MapOptions, concurrency: number): JobLimits & { concurrency: number; ordered: boolean; settle: boolean } {
  checkFew(options, MAP);
  return {
    ...limitsOf(options),
    concurrency: optional('concurrency', options.concurrency, whole, 1) ?? concurrency,
    ordered: optional('ordered', options.ordered, flag) ?? true,
    settle: optional('settle', options.settle, flag) ?? false,
  };
}

export interface ScopeLimits {
  readonly name: string | undefined;
  readonly isTogether: boolean;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly grace: number | undefined;
  /** 0: no limit. */
  readonly concurrency: number;
}

export function checkScope(options: ScopeOptions): ScopeLimits {
  checkFew(options, SCOPE);
  const { mode = 'fail-together' } = options;
  if (mode !== 'fail-together' && mode !== 'independent')
    throw new TypeError(`mode must be 'fail-together' or 'independent', not ${show(mode)}`);
  const { name, signal, timeout, grace } = limitsOf(options);
  return {
    name,
    isTogether: mode === 'fail-together',
    timeout,
    signal,
    grace,
    concurrency: optional('concurrency', options.concurrency, whole, 0) ?? 0,
  };
}

export function checkEnding(of: string, options: object, names: readonly string[]): { timeout: number; queued: 'reject' | 'finish' } {
  checkFew(options, { of, options: names });
  const { timeout, queued = 'reject' } = options as { timeout?: number; queued?: 'reject' | 'finish' };
  if (queued !== 'reject' && queued !== 'finish') throw new TypeError(`queued must be 'reject' or 'finish', not ${show(queued)}`);
  return { timeout: optional('timeout', timeout, duration) ?? 0, queued };
}

export function checkBody(body: unknown): void {
  if (typeof body !== 'function') throw new TypeError(`scope takes a function of the scope, not ${show(body)}`);
}

function limitsOf(options: RunOptions): JobLimits {
  const { name, signal } = options;
  if (name !== undefined && typeof name !== 'string') throw new TypeError(`name must be a text, not ${show(name)}`);
  if (signal !== undefined && !isAbortSignal(signal)) throw new TypeError(`signal must be an AbortSignal, not ${show(signal)}`);
  return {
    name,
    signal,
    timeout: optional('timeout', options.timeout, duration) ?? 0,
    grace: optional('grace', options.grace, duration),
    retryLost: optional('retryLost', options.retryLost, whole, 0),
  };
}

// ── single values

type Check = (option: string, value: unknown, least: number) => void;

function optional<V>(option: string, value: V | undefined, check: Check, least = 0): V | undefined {
  if (value !== undefined) check(option, value, least);
  return value;
}

const whole: Check = (option, value, least) => {
  if (typeof value !== 'number') throw new TypeError(`${option} must be a number, not ${show(value)}`);
  if (!Number.isSafeInteger(value) || value < least)
    throw new RangeError(`${option} must be a whole number from ${least}, not ${show(value)}`);
};

const positive: Check = (option, value) => {
  if (typeof value !== 'number') throw new TypeError(`${option} must be a number, not ${show(value)}`);
  if (!(value > 0)) throw new RangeError(`${option} must be above 0, not ${show(value)}`);
};

const duration: Check = (option, value) => {
  if (typeof value !== 'number') throw new TypeError(`${option} must be a number of milliseconds, not ${show(value)}`);
  if (!(value >= 0 && value <= LONGEST)) throw new RangeError(`${option} must be from 0 to ${LONGEST} milliseconds, not ${show(value)}`);
};

const flag: Check = (option, value) => {
  if (typeof value !== 'boolean') throw new TypeError(`${option} must be true or false, not ${show(value)}`);
};
