/** Errors of the server, and how they travel between threads. */
import { fromWire, toWire, type WireError } from '../../shared/index.ts';

/**
 * What the server answered, as pg's class of that name, on every thread: `code`, `severity`, `detail`, `hint`, `position`, `schema`,
 * `table`, `column`, `constraint` and so on. `name` is 'error', as in pg. Its stack is the caller's, not that of the owner's socket.
 */
export class DatabaseError extends Error {
  /** The SQLSTATE: five characters, such as '23505'. */
  declare readonly code: string | undefined;

  constructor(message: string, properties: Readonly<Record<string, unknown>>) {
    super(message);
    Object.assign(this, properties, { name: 'error' });
  }

  static {
    // An assignment would throw where Error.prototype is frozen. The name is given as text, since a minifier renames classes.
    Object.defineProperty(DatabaseError, 'name', { value: 'DatabaseError', configurable: true });
    Object.defineProperty(DatabaseError.prototype, 'name', { value: 'error', configurable: true, writable: true });
  }
}

export interface SentError {
  readonly message: string;
  readonly name: string;
  /** The error's own properties that can be sent. Of a DatabaseError that is all of them. */
  readonly properties: Readonly<Record<string, unknown>>;
  /** True if the server said it. */
  readonly isDatabaseError: boolean;
  /** Of an error of the pool's own: what it is made of again, with its class, on whatever thread. */
  readonly own?: WireError;
}

export function sendError(thrown: unknown): SentError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const properties: Record<string, unknown> = {};
  for (const key of Object.keys(error)) {
    if (key === 'name' || key === 'message' || key === 'stack' || key === 'cause') continue;
    const value = (error as unknown as Record<string, unknown>)[key];
    if (value === null || (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol')) properties[key] = value;
  }
  return { message: error.message, name: error.name, properties, isDatabaseError: 'severity' in error };
}

/** An error of the pool's own, such as LeaseRevokedError. */
export const sendOwnError = (error: Error): SentError => ({ ...sendError(error), own: toWire(error) });

export function receiveError({ message, name, properties, isDatabaseError, own }: SentError): Error {
  if (own !== undefined) return fromWire(own) as Error;
  if (isDatabaseError) return new DatabaseError(message, properties);
  const error = name === 'TypeError' ? new TypeError(message) : name === 'RangeError' ? new RangeError(message) : new Error(message);
  if (error.name !== name) Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true });
  return Object.assign(error, properties);
}

/** The SQLSTATE of an error, or of its cause, because query builders wrap errors. */
export function sqlState(error: unknown): string | undefined {
  for (let each = error, depth = 0; each instanceof Error && depth < 8; each = each.cause, depth++) {
    const { code } = each as { code?: unknown };
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return code;
  }
  return undefined;
}
