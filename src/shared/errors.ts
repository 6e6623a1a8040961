/** Errors: one class and one stable code each, and a wire form, since structured clone drops codes, names and own properties. */
import { types } from 'node:util';
import { DOMException, structuredClone } from './node.ts';
import { DEEP, survey, VIEWS } from './wire/parcel.ts';

/** The name of a class and of its errors, for those who look at it: as text, since a minifier renames classes. Defined, as the name of a frozen Error cannot be assigned. */
function named(type: { readonly prototype: Error }, name: string): void {
  Object.defineProperty(type, 'name', { value: name, configurable: true });
  Object.defineProperty(type.prototype, 'name', { value: name, configurable: true, writable: true });
}

/**
 * Every error of a pool is one. Itself it is thrown by attaching: `maxThreads` are attached, another memory layout, the owner's own thread,
 * a listener of the program in the way (`ERR_POOL`), or a Node.js without postMessageToThread (`ERR_POOL_NODE_VERSION`). And by a hand-out
 * of a Proxy that fails to answer. Between threads an error keeps its class.
 */
export class PoolError extends Error {
  /** Stable, one for each class: `ERR_POOL_...`. */
  readonly code: string;
  /** The pool's name. */
  readonly pool: string;

  constructor(message: string, pool: string, options?: ErrorOptions & { code?: string }) {
    super(message, options);
    this.code = options?.code ?? 'ERR_POOL';
    this.pool = pool;
  }

  static {
    named(PoolError, 'PoolError');
  }
}

/** `ERR_POOL_CLOSED`: the pool is closed or draining, its owner has ended, or this thread has detached. */
export class PoolClosedError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_CLOSED' });
  }

  static {
    named(PoolClosedError, 'PoolClosedError');
  }
}

/**
 * `ERR_POOL_ACQUIRE_TIMEOUT`: no resource became available within `timeout`; or, attaching, the owner did not answer in time. The message
 * says how many this thread has.
 */
export class AcquireTimeoutError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
  }

  static {
    named(AcquireTimeoutError, 'AcquireTimeoutError');
  }
}

/** `ERR_POOL_UNAVAILABLE`: the circuit breaker is INACTIVE. */
export class ServiceUnavailableError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_UNAVAILABLE' });
  }

  static {
    named(ServiceUnavailableError, 'ServiceUnavailableError');
  }
}

/** `ERR_POOL_QUEUE_FULL`: `maxWaiting` waiters are in line already. */
export class QueueFullError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_QUEUE_FULL' });
  }

  static {
    named(QueueFullError, 'QueueFullError');
  }
}

/** `ERR_POOL_CREATE_TIMEOUT`: the factory took longer than `createTimeout`. */
export class CreateTimeoutError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_CREATE_TIMEOUT' });
  }

  static {
    named(CreateTimeoutError, 'CreateTimeoutError');
  }
}

/** `ERR_POOL_NOT_BORROWED`: a resource was given back twice, or was never borrowed by this thread. */
export class NotBorrowedError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_NOT_BORROWED' });
  }

  static {
    named(NotBorrowedError, 'NotBorrowedError');
  }
}

/** `ERR_POOL_REMOTE_CALL`: the method does not exist or is not exposed, a value cannot be cloned, or the lease was released. */
export class RemoteCallError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_REMOTE_CALL' });
  }

  static {
    named(RemoteCallError, 'RemoteCallError');
  }
}

/**
 * `ERR_POOL_CALL_TIMEOUT`: a call that blocks its thread had no answer within `timeout`. Whether the method has run, or still runs, is not
 * known.
 */
export class CallTimeoutError extends PoolError {
  constructor(message: string, pool: string, options?: ErrorOptions) {
    super(message, pool, { ...options, code: 'ERR_POOL_CALL_TIMEOUT' });
  }

  static {
    CallTimeoutError.prototype.name = 'CallTimeoutError';
  }
}

const POOL_ERRORS = {
  ERR_POOL_CLOSED: PoolClosedError,
  ERR_POOL_ACQUIRE_TIMEOUT: AcquireTimeoutError,
  ERR_POOL_UNAVAILABLE: ServiceUnavailableError,
  ERR_POOL_QUEUE_FULL: QueueFullError,
  ERR_POOL_CREATE_TIMEOUT: CreateTimeoutError,
  ERR_POOL_NOT_BORROWED: NotBorrowedError,
  ERR_POOL_REMOTE_CALL: RemoteCallError,
  ERR_POOL_CALL_TIMEOUT: CallTimeoutError,
} as const;

const BUILT_IN: Readonly<Record<string, ErrorConstructor>> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** What was thrown, as it crosses a port: an error taken apart, or any other value as it is. */
export type WireError = { readonly value: unknown } | WireErrorParts;

interface WireErrorParts {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** The nearest class of the language: TypeError ... or AggregateError; or DOMException. */
  readonly type: string;
  readonly pool: string | undefined;
  readonly cause: WireError | undefined;
  /** Own properties but for the four above; those that cannot be cloned, or are nested too deeply for every thread to read, are left behind. */
  readonly own: readonly (readonly [
    key: string,
    value: unknown | WireErrorParts,
    enumerable: boolean,
    kind: 'value' | 'error' | 'errors',
  ])[];
}

/** Properties that have a field of their own in the wire form. */
const TAKEN_APART: ReadonlySet<string> = new Set(['name', 'message', 'stack', 'cause']);

/** Errors within errors, at most so deep; also what ends a cycle. */
const DEPTH = 8;

/**
 * Never throws, whatever was thrown; and what it gives can be sent: its values are clones already, as a getter or a Proxy may not do the
 * same again.
 */
export function toWire(thrown: unknown, depth = 0): WireError {
  return isError(thrown) ? partsOf(thrown, depth) : (sendable(thrown) ?? { value: show(thrown) });
}

function partsOf(error: Error, depth: number): WireErrorParts {
  try {
    return takeApart(error, depth);
  } catch {
    // A Proxy, whose traps throw.
    return takeApart(new Error('an error was thrown that cannot be read'), DEPTH);
  }
}

function takeApart(error: Error, depth: number): WireErrorParts {
  const own: [string, unknown, boolean, 'value' | 'error' | 'errors'][] = [];
  for (const key of Object.getOwnPropertyNames(error)) {
    if (TAKEN_APART.has(key)) continue;
    const { enumerable } = Object.getOwnPropertyDescriptor(error, key)!;
    const value = read(error, key);
    if (isError(value)) {
      if (depth < DEPTH) own.push([key, partsOf(value, depth + 1), enumerable === true, 'error']);
    } else if (Array.isArray(value) && value.some(isError)) {
      if (depth < DEPTH) own.push([key, value.map((item) => toWire(item, depth + 1)), enumerable === true, 'errors']);
    } else {
      const clone = sendable(value);
      if (clone !== undefined) own.push([key, clone.value, enumerable === true, 'value']);
    }
  }
  const stack = read(error, 'stack');
  return {
    name: text(read(error, 'name')),
    message: text(read(error, 'message')),
    stack: typeof stack === 'string' ? stack : undefined,
    type: languageType(error),
    pool: error instanceof PoolError ? error.pool : undefined,
    cause: 'cause' in error && depth < DEPTH ? toWire(read(error, 'cause'), depth + 1) : undefined,
    own,
  };
}

function read(error: Error, key: string): unknown {
  try {
    return (error as unknown as Record<string, unknown>)[key];
  } catch {
    return undefined; // A getter that throws has nothing to say.
  }
}

/** Somebody may have put anything there. */
function text(value: unknown): string {
  return typeof value === 'string' ? value : show(value);
}

/** By the names on its prototypes: another realm (a vm context, jsdom) has classes of its own, under the same names. */
function languageType(error: Error): string {
  if (isDomException(error)) return 'DOMException';
  for (let type = Object.getPrototypeOf(error); type !== null; type = Object.getPrototypeOf(type)) {
    const name = Object.hasOwn(type, 'name') ? text(read(type, 'name')) : '';
    if (name === 'AggregateError' || Object.hasOwn(BUILT_IN, name)) return name;
  }
  return 'Error';
}

/** Errors in one wire form, at most: it may hold itself, or the same one many times over, and would then unfold for ever. */
const MOST_ERRORS = 10_000;

/** Whatever came by the port: what is no wire form becomes an error that says so. */
export function fromWire(wire: WireError): unknown {
  try {
    return valueFrom(wire, { left: MOST_ERRORS });
  } catch (cause) {
    return new Error('an error came from another thread that cannot be read', { cause });
  }
}

/** How many more errors may be made. */
interface Budget {
  left: number;
}

function valueFrom(wire: WireError, budget: Budget): unknown {
  return 'value' in wire ? wire.value : errorFrom(wire, budget);
}

function errorFrom(wire: WireErrorParts, budget: Budget): Error {
  if (budget.left-- === 0) throw new RangeError(`more than ${MOST_ERRORS} errors in one`);
  if (typeof wire.name !== 'string' || typeof wire.message !== 'string') throw new TypeError('an error needs a name and a message');
  if (wire.stack !== undefined && typeof wire.stack !== 'string') throw new TypeError('a stack is text');
  const error = blank(wire);
  if (error.name !== wire.name) define(error, 'name', wire.name, false);
  define(error, 'stack', wire.stack, false);
  if (wire.cause !== undefined) define(error, 'cause', valueFrom(wire.cause, budget), false);
  for (const [key, value, enumerable, kind] of wire.own) {
    if (typeof key !== 'string' || TAKEN_APART.has(key)) throw new TypeError(`no property of an error: ${show(key)}`);
    if (kind === 'error') define(error, key, errorFrom(value as WireErrorParts, budget), enumerable);
    else if (kind === 'errors')
      define(
        error,
        key,
        (value as WireError[]).map((each) => valueFrom(each, budget)),
        enumerable,
      );
    else define(error, key, value, enumerable);
  }
  return error;
}

function blank(wire: WireErrorParts): Error {
  const code = wire.own.find(([key]) => key === 'code')?.[1] as keyof typeof POOL_ERRORS | undefined;
  if (typeof wire.pool === 'string')
    return typeof code === 'string' && Object.hasOwn(POOL_ERRORS, code)
      ? new POOL_ERRORS[code](wire.message, wire.pool)
      : new PoolError(wire.message, wire.pool);
  if (wire.type === 'AggregateError') return new AggregateError([], wire.message);
  if (wire.type === 'DOMException') return new DOMException(wire.message, wire.name);
  const Type = typeof wire.type === 'string' && Object.hasOwn(BUILT_IN, wire.type) ? BUILT_IN[wire.type] : Error;
  return new Type(wire.message);
}

function define(error: Error, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true });
}

export function isCloneable(value: unknown): boolean {
  return cloned(value) !== undefined;
}

/** Undefined: it cannot be. */
function cloned(value: unknown): { readonly value: unknown } | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return { value };
  try {
    return { value: structuredClone(value) };
  } catch {
    return undefined;
  }
}

/**
 * A clone that any thread will be able to read; undefined: there is none. What has views stays as it is: a clone would not tell a Buffer from another view.
 */
function sendable(value: unknown): { readonly value: unknown } | undefined {
  const clone = cloned(value);
  const found = clone === undefined ? DEEP : survey(value);
  if ((found & DEEP) !== 0) return undefined;
  return (found & VIEWS) === 0 ? clone : { value };
}

/** Errors of other realms (vm contexts, jsdom) included. */
function isError(value: unknown): value is Error {
  try {
    return value instanceof Error || types.isNativeError(value) || isDomException(value);
  } catch {
    return false; // A revoked proxy cannot even be asked.
  }
}

/** What signals abort with. Not every Node takes it for an error, and jsdom has one of its own. */
function isDomException(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object DOMException]';
}

/** Whatever was thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return isError(thrown) ? thrown : new Error(`not an error was thrown: ${show(thrown)}`, { cause: thrown });
}

/** A value for an error message: short, and never throws. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' && typeof value !== 'function') return String(value);
  if (value === null) return 'null';
  try {
    if (typeof value === 'function') return `[function ${String(value.name) || 'anonymous'}]`;
    return Array.isArray(value) ? `[array of ${value.length}]` : '[object]';
  } catch {
    return `[${typeof value}]`;
  }
}
