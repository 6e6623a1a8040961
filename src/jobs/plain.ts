/** Which values are sure to be cloned without an error, found out for less than a clone costs. */
import { types } from 'node:util';

/** Objects that are looked at. A larger value is not sure. */
const MOST = 200;

let left = 0;

/** False says nothing. */
export function isSurelyCloneable(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function' && typeof value !== 'symbol';
  left = MOST;
  try {
    return look(value);
  } catch {
    return false; // A getter has thrown.
  }
}

function look(value: object): boolean {
  if (left-- === 0 || types.isProxy(value)) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (!isFine(item)) return false;
    return true;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const key in value) if (!isFine((value as Record<string, unknown>)[key])) return false;
  return true;
}

const isFine = (value: unknown): boolean =>
  typeof value === 'object' && value !== null ? look(value) : typeof value !== 'function' && typeof value !== 'symbol';
