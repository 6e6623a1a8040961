/** What acquire accepts, and attachPool. */

import { show } from '../show.ts';
import type { AcquireOptions } from '../types.ts';
import { isAbortSignal } from '../waiting/abort-signals.ts';
import { checkDuration, limitOf } from './durations.ts';

const NONE_GIVEN: AcquireOptions = Object.freeze({});

/**
 * What they say of the wait, each read once. `maxHold` is another matter: see hold-limits.ts.
 * Throws TypeError or RangeError that names the option and the value.
 */
export function checkAcquireOptions(options: AcquireOptions | undefined, whose = 'acquire'): AcquireOptions {
  if (options === undefined) return NONE_GIVEN;
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`${whose} options must be an object like { timeout, signal }, not ${show(options)}`);
  const { timeout, signal } = options;
  if (timeout !== undefined) checkDuration('timeout', timeout);
  if (signal !== undefined && !isAbortSignal(signal)) throw new TypeError(`signal must be an AbortSignal, not ${show(signal)}`);
  return { timeout: timeout === undefined ? undefined : limitOf(timeout), signal };
}

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
