/** What acquire accepts. */
import { LONGEST } from './clock.ts';
import { show } from './errors.ts';
import type { AcquireOptions } from './types.ts';

/** Throws TypeError or RangeError that names the option and the value. */
export function checkAcquireOptions(options: AcquireOptions | undefined): void {
  if (options === undefined) return;
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`acquire options must be an object like { timeout, signal }, not ${show(options)}`);
  const { timeout, signal } = options;
  if (timeout !== undefined) checkDuration('timeout', timeout);
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError(`signal must be an AbortSignal, not ${show(signal)}`);
}

export function checkDuration(option: string, value: unknown): void {
  if (typeof value !== 'number') throw new TypeError(`${option} must be a number of milliseconds, not ${show(value)}`);
  if (!(value >= 0 && value <= LONGEST))
    throw new RangeError(`${option} must be from 0 to ${LONGEST} milliseconds (0 is no limit), not ${show(value)}`);
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
