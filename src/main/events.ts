/** The pool's events. A listener that throws fails for itself: it is reported as uncaught, and the pool goes on. */
import { EventEmitter } from 'node:events';
import { process, setImmediate } from '../shared/node.ts';
import { show } from '../shared/show.ts';
import type { PoolEvents } from './types.ts';

export class Events<T> {
  readonly #emitter = new EventEmitter();

  on<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): void {
    this.#emitter.on(event, listener as (...args: unknown[]) => void);
  }

  once<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): void {
    this.#emitter.once(event, listener as (...args: unknown[]) => void);
  }

  off<E extends keyof PoolEvents<T>>(event: E, listener: (...args: PoolEvents<T>[E]) => void): void {
    this.#emitter.off(event, listener as (...args: unknown[]) => void);
  }

  emit<E extends keyof PoolEvents<T>>(event: E, ...args: PoolEvents<T>[E]): void {
    if (event === 'error' && this.#emitter.listenerCount('error') === 0) {
      warn(args[0] as Error);
      return;
    }
    try {
      this.#emitter.emit(event, ...args);
    } catch (error) {
      setImmediate(() => {
        throw error;
      });
    }
  }
}

/** Node takes errors of its own realm only: what comes from a vm context (all code in Jest does), or cannot be read, is told as text. */
function warn(error: Error): void {
  try {
    process.emitWarning(error);
  } catch {
    process.emitWarning(textOf(error));
  }
}

function textOf(error: Error): string {
  try {
    return String(error.stack ?? error);
  } catch {
    return show(error);
  }
}
