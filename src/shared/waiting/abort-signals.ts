/**
 * Signals that end a wait. One may be of another realm (jsdom's), or a polyfill's, so it is told by what it has, not by its class; and what
 * it does must not harm: it may lack `reason`, or throw wherever it is asked.
 */

/** Has all that is needed here. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null) return false;
  try {
    const { aborted, addEventListener, removeEventListener } = value as Partial<AbortSignal>;
    return typeof aborted === 'boolean' && typeof addEventListener === 'function' && typeof removeEventListener === 'function';
  } catch {
    return false;
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortReason(signal);
}

/** Why it aborted. Old polyfills have no reason: then it is what Node has where none was given. */
export function abortReason(signal: AbortSignal): unknown {
  let reason: unknown;
  try {
    reason = signal.reason;
  } catch (error) {
    return error;
  }
  if (reason !== undefined) return reason;
  const error = new Error('This operation was aborted');
  const own = (value: string) => ({ value, configurable: true, writable: true });
  return Object.defineProperties(error, { name: own('AbortError'), code: own('ABORT_ERR') });
}

/** One listener for each signal, however many wait with it: many may share one, and Node warns of many listeners. */
export class SharedAbortListeners {
  readonly #aborted: (signal: AbortSignal) => void;
  readonly #listening = new Map<AbortSignal, { users: number; readonly abort: () => void }>();

  /** `aborted` is called when a signal aborts: it finds the waiters that use that signal. */
  constructor(aborted: (signal: AbortSignal) => void) {
    this.#aborted = aborted;
  }

  /** One more uses this signal, which is not aborted yet. Throws what the signal throws, and then nothing has changed. */
  add(signal: AbortSignal): void {
    const known = this.#listening.get(signal);
    if (known !== undefined) {
      known.users++;
      return;
    }
    const abort = (): void => this.#aborted(signal);
    // Before it is asked to tell us: one that is not Node's may do so at once.
    this.#listening.set(signal, { users: 1, abort });
    try {
      signal.addEventListener('abort', abort, { once: true });
    } catch (error) {
      this.#listening.delete(signal);
      throw error;
    }
  }

  /** One user less; the last one takes the listener along. */
  remove(signal: AbortSignal): void {
    const known = this.#listening.get(signal);
    if (known === undefined || --known.users > 0) return;
    this.#listening.delete(signal);
    try {
      signal.removeEventListener('abort', known.abort);
    } catch {
      // Its listener stays, and finds nothing to end: that is all that can be done.
    }
  }
}
