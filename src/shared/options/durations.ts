/** Durations as programs give them: milliseconds, where 0 and Infinity are no limit. */
import { LONGEST } from '../clock.ts';
import { show } from '../show.ts';

/** Infinity is allowed: see `limitOf`. */
export function checkDuration(option: string, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw new TypeError(`${option} must be a number of milliseconds, not ${show(value)}`);
  if (!(value >= 0 && (value <= LONGEST || value === Number.POSITIVE_INFINITY)))
    throw new RangeError(`${option} must be from 0 to ${LONGEST} milliseconds (0 or Infinity is no limit), not ${show(value)}`);
}

/** As it is kept: 0 for no limit. Programs may say Infinity for that. */
export const limitOf = (limit: number): number => (limit === Number.POSITIVE_INFINITY ? 0 : limit);
