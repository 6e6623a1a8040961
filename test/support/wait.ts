/** Waiting without guessing: for a condition, for a promise, and, where it can't be helped, for nothing to happen. */
import { inspect } from 'node:util';

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const shorten = (text: string) => text.replace(/\s+/g, ' ').slice(0, 200);

/** Waits until the condition holds and returns its value. Fails after `bound` ms and says what it saw last. */
export async function until<V>(condition: () => V | PromiseLike<V>, bound = 5000): Promise<V> {
  const failure = new Error();
  Error.captureStackTrace(failure, until);
  const started = performance.now();
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    const passed = performance.now() - started;
    if (passed > bound) {
      failure.message = `waited ${Math.round(passed)} ms in vain for: ${shorten(String(condition))}\nlast seen: ${inspect(last)}`;
      failure.stack = `${failure.name}: ${failure.message}\n${failure.stack?.split('\n').slice(1).join('\n')}`;
      throw failure;
    }
    await sleep(passed < 200 ? 1 : 5);
  }
}

/** Awaits the promise, but not for ever: fails when it has not settled within `bound` ms. */
export async function settled<V>(promise: PromiseLike<V>, bound = 5000): Promise<V> {
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
  bound = 5000,
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
export async function rejection(promise: PromiseLike<unknown>, bound = 5000): Promise<unknown> {
  const result = await outcome(promise, bound);
  if ('error' in result) return result.error;
  const failure = new Error(`fulfilled with ${inspect(result.value)}, but should have been rejected`);
  Error.captureStackTrace(failure, rejection);
  throw failure;
}

/** The error that the function throws, or that its promise is rejected with. */
export const failureOf = (body: () => unknown, bound?: number): Promise<unknown> => rejection((async () => body())(), bound);

/** A short look whether a condition goes on holding. */
export async function stays(condition: () => unknown, ms = 30): Promise<void> {
  const failure = new Error();
  Error.captureStackTrace(failure, stays);
  const end = performance.now() + ms;
  do {
    if (!condition()) {
      failure.message = `did not stay so for ${ms} ms: ${shorten(String(condition))}`;
      throw failure;
    }
    await sleep(2);
  } while (performance.now() < end);
}

/** A short look whether a promise goes on pending. */
export async function staysPending(promise: PromiseLike<unknown>, ms = 30): Promise<void> {
  const failure = new Error(`settled within ${ms} ms, but should still be pending`);
  Error.captureStackTrace(failure, staysPending);
  const early = await Promise.race([
    sleep(ms),
    promise.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    ),
  ]);
  if (early !== undefined) {
    failure.message += `: ${inspect(early)}`;
    throw failure;
  }
}

/** Keeps this thread busy, event loop and all, until another one sets the flag. True: it was set in time. */
export function spinUntil(flags: Int32Array, index: number, bound = 3000): boolean {
  const end = performance.now() + bound;
  while (Atomics.load(flags, index) === 0) if (performance.now() > end) return false;
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
  const started = performance.now();
  await outcome(promise, bound);
  return performance.now() - started;
}
