/**
 * Waiting without guessing: for a condition, for a promise, and for nothing to happen before something that must come later. Always in real time,
 * whatever clock a test has put in place (./time.ts). A bound says when a test gives up, not how fast anything is: no test may depend on a quiet
 * machine.
 */
import { inspect } from 'node:util';

const { setTimeout, clearTimeout, setImmediate } = globalThis;
const now = performance.now.bind(performance);

/** Milliseconds until a test gives up on a condition or a promise. */
export const BOUND = 60_000;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const shorten = (text: string) => text.replace(/\s+/g, ' ').slice(0, 200);

/** Waits until the condition holds and returns its value. Fails after `bound` ms and says what it saw last. */
export async function until<V>(condition: () => V | PromiseLike<V>, bound = BOUND): Promise<V> {
  const failure = new Error();
  Error.captureStackTrace(failure, until);
  const started = now();
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    const passed = now() - started;
    if (passed > bound) {
      failure.message = `waited ${Math.round(passed)} ms in vain for: ${shorten(String(condition))}\nlast seen: ${inspect(last)}`;
      failure.stack = `${failure.name}: ${failure.message}\n${failure.stack?.split('\n').slice(1).join('\n')}`;
      throw failure;
    }
    await sleep(passed < 200 ? 1 : 5);
  }
}

/** Awaits the promise, but not for ever: fails when it has not settled within `bound` ms. */
export async function settled<V>(promise: PromiseLike<V>, bound = BOUND): Promise<V> {
  const failure = new Error(`not settled within ${bound} ms`);
  Error.captureStackTrace(failure, settled);
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        timer = setTimeout(reject, bound, failure);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** What became of the promise, as a value: for promises that must settle, but either way. */
export async function outcome<V>(
  promise: PromiseLike<V>,
  bound = BOUND,
): Promise<{ value: V; error?: undefined } | { value?: undefined; error: unknown }> {
  let error: unknown;
  const result = await settled(
    promise.then(
      (value) => ({ value }),
      (reason: unknown) => {
        error = reason;
        return undefined;
      },
    ),
    bound,
  );
  return result ?? { error };
}

/** The reason the promise was rejected with. Fails when it was fulfilled, or not settled within `bound` ms. */
export async function rejection(promise: PromiseLike<unknown>, bound = BOUND): Promise<unknown> {
  const result = await outcome(promise, bound);
  if ('error' in result) return result.error;
  const failure = new Error(`fulfilled with ${inspect(result.value)}, but should have been rejected`);
  Error.captureStackTrace(failure, rejection);
  throw failure;
}

/** The error that the function throws, or that its promise is rejected with. */
export const failureOf = (body: () => unknown, bound?: number): Promise<unknown> => rejection((async () => body())(), bound);

/** This thread has done all that it could do by now: so many turns of its event loop have passed. */
export async function turns(n = 20): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/**
 * Fails if the promise settles before `later` has: something that goes the same way as what must not come, and begins after it. Where that is this
 * thread's own event loop, its turns are enough.
 */
export async function pendingUntil(later: PromiseLike<unknown>, promise: PromiseLike<unknown>): Promise<void> {
  const failure = new Error();
  Error.captureStackTrace(failure, pendingUntil);
  let early: { value: unknown } | { error: unknown } | undefined;
  promise.then(
    (value) => {
      early ??= { value };
    },
    (error: unknown) => {
      early ??= { error };
    },
  );
  await settled(later);
  await turns();
  if (early === undefined) return;
  failure.message = `should still be pending, but has settled: ${inspect(early)}`;
  throw failure;
}

/** The same, for what this thread alone decides. */
export const staysPending = (promise: PromiseLike<unknown>): Promise<void> => pendingUntil(turns(), promise);

/** Keeps this thread busy, event loop and all, until another one sets the flag. True: it was set in time. */
export function spinUntil(flags: Int32Array, index: number, bound = BOUND): boolean {
  const end = now() + bound;
  while (Atomics.load(flags, index) === 0) if (now() > end) return false;
  return true;
}

/** A promise with its handles. */
export interface Gate<V = void> {
  readonly promise: Promise<V>;
  open(value: V): void;
  fail(error: unknown): void;
}
export function gate<V = void>(): Gate<V> {
  let open!: (value: V) => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<V>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  promise.catch(() => {});
  return { promise, open, fail };
}

/** Milliseconds that the promise takes to settle, either way. */
export async function duration(promise: PromiseLike<unknown>, bound?: number): Promise<number> {
  const started = now();
  await outcome(promise, bound);
  return now() - started;
}
