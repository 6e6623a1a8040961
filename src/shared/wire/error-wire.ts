/** Errors as they cross a port: taken apart and put together again, since structured clone drops codes, names and own properties. */
import {
  AcquireTimeoutError,
  CallTimeoutError,
  CreateTimeoutError,
  LeaseRevokedError,
  NotBorrowedError,
  PoolClosedError,
  PoolError,
  PoolSuspendedError,
  QueueFullError,
  RecycleTimeoutError,
  RemoteCallError,
  ResizeTimeoutError,
  ServiceUnavailableError,
  SuspendTimeoutError,
} from '../errors.ts';
import { DOMException, structuredClone } from '../node.ts';
import { isDomException, isError, show } from '../show.ts';
import { DEEP, survey, VIEWS } from './parcel.ts';

const POOL_ERRORS = {
  ERR_POOL_CLOSED: PoolClosedError,
  ERR_POOL_ACQUIRE_TIMEOUT: AcquireTimeoutError,
  ERR_POOL_UNAVAILABLE: ServiceUnavailableError,
  ERR_POOL_QUEUE_FULL: QueueFullError,
  ERR_POOL_CREATE_TIMEOUT: CreateTimeoutError,
  ERR_POOL_NOT_BORROWED: NotBorrowedError,
  ERR_POOL_REMOTE_CALL: RemoteCallError,
  ERR_POOL_CALL_TIMEOUT: CallTimeoutError,
  ERR_POOL_SUSPENDED: PoolSuspendedError,
  ERR_POOL_SUSPEND_TIMEOUT: SuspendTimeoutError,
  ERR_POOL_RESIZE_TIMEOUT: ResizeTimeoutError,
  ERR_POOL_RECYCLE_TIMEOUT: RecycleTimeoutError,
  ERR_POOL_LEASE_REVOKED: LeaseRevokedError,
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
  /**
   * Own properties but for the four above; those that cannot be cloned, or are nested too deeply for every thread to read, are left behind.
   */
  readonly own: readonly (readonly [
    key: string,
    value: unknown | WireErrorParts,
    enumerable: boolean,
    kind: 'value' | 'error' | 'errors',
  ])[];
}

/** Properties that have a field of their own in the wire form. */
const TAKEN_APART: ReadonlySet<string> = new Set(['name', 'message', 'stack', 'cause']);

/** Errors within errors, at most so deep. */
const DEPTH = 8;
/** Errors in one, at most: an error may hold the same ones many times over, and they may hold each other. */
const MOST_SENT = 1000;

/**
 * Never throws, whatever was thrown; and what it gives can be sent: its values are clones already, as a getter or a Proxy may not do the
 * same again. An error that holds one that holds it is left behind there; so are those that are too deep, and those that are too many.
 */
export const toWire = (thrown: unknown): WireError => wireOf(thrown, new Within());

/** The errors around one that is taken apart. */
class Within {
  readonly #errors: Error[] = [];
  #left = MOST_SENT;

  /** What `body` gives, as it is within this error. */
  enter<V>(error: Error, body: () => V): V {
    this.#errors.push(error);
    this.#left--;
    try {
      return body();
    } finally {
      this.#errors.pop();
    }
  }

  hasRoomFor(value: unknown): boolean {
    return !isError(value) || (this.#errors.length <= DEPTH && this.#left > 0 && !this.#errors.includes(value));
  }
}

function wireOf(thrown: unknown, within: Within): WireError {
  return isError(thrown) ? partsOf(thrown, within) : (sendable(thrown) ?? { value: show(thrown) });
}

function partsOf(error: Error, within: Within): WireErrorParts {
  return within.enter(error, () => {
    try {
      return takeApart(error, within);
    } catch {
      // A Proxy, whose traps throw.
      return takeApart(new Error('an error was thrown that cannot be read'), within);
    }
  });
}

function takeApart(error: Error, within: Within): WireErrorParts {
  const own: [string, unknown, boolean, 'value' | 'error' | 'errors'][] = [];
  for (const key of Object.getOwnPropertyNames(error)) {
    if (TAKEN_APART.has(key)) continue;
    const { enumerable } = Object.getOwnPropertyDescriptor(error, key)!;
    const value = read(error, key);
    if (isError(value)) {
      if (within.hasRoomFor(value)) own.push([key, partsOf(value, within), enumerable === true, 'error']);
    } else if (Array.isArray(value) && value.some(isError)) {
      const sent = value.flatMap((item) => (within.hasRoomFor(item) ? [wireOf(item, within)] : []));
      own.push([key, sent, enumerable === true, 'errors']);
    } else {
      const clone = sendable(value);
      if (clone !== undefined) own.push([key, clone.value, enumerable === true, 'value']);
    }
  }
  const stack = read(error, 'stack');
  const cause = 'cause' in error ? { value: read(error, 'cause') } : undefined;
  return {
    name: text(read(error, 'name')),
    message: text(read(error, 'message')),
    stack: typeof stack === 'string' ? stack : undefined,
    type: languageType(error),
    pool: error instanceof PoolError ? error.pool : undefined,
    cause: cause !== undefined && within.hasRoomFor(cause.value) ? wireOf(cause.value, within) : undefined,
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

/** Other code may have put anything there. */
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
 * A clone that any thread will be able to read; undefined: there is none.
 * What has views stays as it is: a clone would not tell a Buffer from another view.
 */
function sendable(value: unknown): { readonly value: unknown } | undefined {
  const clone = cloned(value);
  const found = clone === undefined ? DEEP : survey(value);
  if ((found & DEEP) !== 0) return undefined;
  return (found & VIEWS) === 0 ? clone : { value };
}
