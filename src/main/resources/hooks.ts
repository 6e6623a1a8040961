/** Asking a hook about a resource, with a limit to its patience. */

import { clearTimeout, setTimeout } from '../../shared/node.ts';
import { asError } from '../../shared/show.ts';

/** Undefined: it passed. `silent`: the hook just said no, which is nothing to report. */
export type HookOutcome = { readonly error: Error; readonly silent: boolean } | undefined;

type Hook<T> = (resource: T) => boolean | void | PromiseLike<boolean | void>;

/** Only an explicit `false`, a throw, or taking longer than `limit` ms (0: none) condemns. Synchronous if the hook is. */
export function runHook<T>(what: string, hook: Hook<T> | undefined, resource: T, limit: number): HookOutcome | Promise<HookOutcome> {
  if (hook === undefined) return undefined;
  try {
    const said = hook(resource);
    return isThenable(said) ? inTime(what, said, limit) : judge(what, said);
  } catch (error) {
    return { error: asError(error), silent: false };
  }
}

function judge(what: string, said: unknown): HookOutcome {
  return said === false ? { error: new Error(`${what} said no`), silent: true } : undefined;
}

function inTime(what: string, said: PromiseLike<unknown>, limit: number): Promise<HookOutcome> {
  return new Promise((resolve) => {
    const timer =
      limit === 0
        ? undefined
        : setTimeout(() => resolve({ error: new Error(`${what} took longer than ${limit} ms`), silent: false }), limit);
    timer?.unref();
    // Resolved by the language, which takes care of a thenable that throws, or answers twice.
    Promise.resolve(said).then(
      (value) => {
        clearTimeout(timer);
        resolve(judge(what, value));
      },
      (error: unknown) => {
        clearTimeout(timer);
        resolve({ error: asError(error), silent: false });
      },
    );
  });
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === 'object' || typeof value === 'function') && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}

/** Goes on at once where there is nothing to wait for, so that a pool with synchronous hooks behaves synchronously. */
export function thenMaybeSync<V>(value: V | Promise<V>, then: (value: V) => void): void {
  if (value instanceof Promise) void value.then(then);
  else then(value);
}
