/** What a program has given or thrown, for the errors that name it. It may be anything, and of another realm. */
import { types } from 'node:util';

/** Errors of other realms (vm contexts, jsdom) included. */
export function isError(value: unknown): value is Error {
  try {
    return value instanceof Error || types.isNativeError(value) || isDomException(value);
  } catch {
    return false; // A revoked proxy cannot even be asked.
  }
}

/** What signals abort with. Not every Node takes it for an error, and jsdom has one of its own. */
export function isDomException(value: unknown): boolean {
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
