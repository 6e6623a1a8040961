import { show } from '../../shared/errors.ts';

export function whole(option: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number') throw new TypeError(`${option} must be a whole number, not ${show(value)}`);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${option} must be a whole number from 1, not ${show(value)}`);
  return value;
}
