/** Signals that are not Node's, and do what Node's never do. */

/** It cannot be listened to. */
export const deafSignal = (why: unknown): AbortSignal => foreign(() => throwing(why));

/** It aborts as soon as it is listened to, and says so at once. */
export function hastySignal(reason: unknown): AbortSignal {
  const signal = foreign((listener) => {
    Object.assign(signal, { aborted: true, reason });
    listener();
  });
  return signal;
}

/** It tells whether it has aborted only so many times, and throws then. */
export function shySignal(times: number, why: unknown): AbortSignal {
  let left = times;
  return Object.defineProperty(
    foreign(() => {}),
    'aborted',
    { get: () => (left-- > 0 ? false : throwing(why)) },
  );
}

function foreign(addEventListener: (listener: () => void) => void): AbortSignal {
  const listen = (_: string, listener: () => void): void => addEventListener(listener);
  return { aborted: false, addEventListener: listen, removeEventListener() {} } as unknown as AbortSignal;
}

function throwing(why: unknown): never {
  throw why;
}
