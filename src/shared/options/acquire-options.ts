/** What acquire accepts, and attachPool. */

import { LONGEST } from '../clock.ts';
import { show } from '../show.ts';
import type { AcquireOptions } from '../types.ts';
import { isAbortSignal } from '../waiting/abort-signals.ts';

const NONE_GIVEN: AcquireOptions = Object.freeze({});

/** What they say, each read once. Throws TypeError or RangeError that names the option and the value. */
export function checkAcquireOptions(options: AcquireOptions | undefined, whose = 'acquire'): AcquireOptions {
  if (options === undefined) return NONE_GIVEN;
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`${whose} options must be an object like { timeout, signal }, not ${show(options)}`);
  const { timeout, signal } = options;
  if (timeout !== undefined) checkDuration('timeout', timeout);
  // Other names are not looked at. But a limit of a later version, which this one would not keep, is not to be believed in.
  if ((options as { maxHold?: unknown }).maxHold !== undefined)
    throw new TypeError('unknown option "maxHold" of acquire: this version of cenote does not have it yet. Leave it out');
  if (signal !== undefined && !isAbortSignal(signal)) throw new TypeError(`signal must be an AbortSignal, not ${show(signal)}`);
  return { timeout: timeout === undefined ? undefined : limitOf(timeout), signal };
}

/** Infinity is allowed: see `limitOf`. */
export function checkDuration(option: string, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw new TypeError(`${option} must be a number of milliseconds, not ${show(value)}`);
  if (!(value >= 0 && (value <= LONGEST || value === Number.POSITIVE_INFINITY)))
    throw new RangeError(`${option} must be from 0 to ${LONGEST} milliseconds (0 or Infinity is no limit), not ${show(value)}`);
}

/** As it is kept: 0 for no limit. Programs may say Infinity for that. */
export const limitOf = (limit: number): number => (limit === Number.POSITIVE_INFINITY ? 0 : limit);

export function checkCall(method: unknown, args: unknown): void {
  if (typeof method !== 'string') throw new TypeError(`method must be the name of one, not ${show(method)}`);
  if (!Array.isArray(args)) throw new TypeError(`the arguments of ${method}() must be an array, not ${show(args)}`);
}

export function checkBody(body: unknown): void {
  if (typeof body !== 'function') throw new TypeError(`body must be a function of the resource, not ${show(body)}`);
}

/**
 * Throws TypeError for a promise, or another thenable, which a body that blocks cannot wait for. A builder's query is not begun by this; a
 * promise that is rejected later is not unhandled.
 */
export function checkBlockingResult(value: unknown): void {
  if (typeof (value as { then?: unknown } | null | undefined)?.then !== 'function') return;
  if (value instanceof Promise) value.catch(() => {});
  throw new TypeError('the body of useSync must not return a promise, as the resource is given back when it returns: use `use`');
}
