import { show } from '../shared/show.ts';

/** A whole number that is a limit: 0 is none, and Infinity is taken for 0. */
export function limit(option: string, value: unknown, most: number): number {
  return whole(option, value === Number.POSITIVE_INFINITY ? 0 : value, 0, 0, most);
}

/** An option that is a whole number. Throws TypeError or RangeError that names the option and the value. */
export function whole(option: string, value: unknown, fallback: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number') throw new TypeError(`${option} must be a whole number, not ${show(value)}`);
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
  if (!Number.isInteger(value) || value < least || value > most)
    throw new RangeError(`${option} must be a whole number ${range}, not ${show(value)}`);
  return value;
}
