/** The pool's events. A listener that throws fails for itself: it is reported as uncaught, and the pool goes on. */
import { EventEmitter } from 'node:events';
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
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

/** An error of another realm (a vm context) is none for emitWarning. */
function warn(error: Error): void {
  process.emitWarning(error instanceof Error ? error : new Error((error as Error).message, { cause: error }));
}
