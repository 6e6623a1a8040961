/**
 * A runner's events, as an EventEmitter has them: a listener that another removes while both are told of an event still hears of that one,
 * and one that is added then does not. A listener that throws harms only itself: the others are called all the same, and what it threw is
 * an 'error' event.
 */
import { asError, process, show } from '../shared/index.ts';
import type { RunnerEvents } from './types.ts';

type Listener<E extends keyof RunnerEvents> = (...args: RunnerEvents[E]) => void;

interface Entry<E extends keyof RunnerEvents> {
  readonly listener: Listener<E>;
  readonly isOnce: boolean;
  /** It was for one event, and has had it. */
  isSpent: boolean;
}

export class Listeners {
  readonly #of: { [E in keyof RunnerEvents]: Entry<E>[] } = {
    progress: [],
    thread: [],
    error: [],
  };
  /** Called when the first listener for 'progress' is there. */
  readonly #wantsProgress: () => void;

  constructor(wantsProgress: () => void) {
    this.#wantsProgress = wantsProgress;
  }

  add<E extends keyof RunnerEvents>(event: E, listener: Listener<E>, isOnce: boolean): void {
    const list = this.#listOf(event);
    if (typeof listener !== 'function') throw new TypeError(`a listener must be a function, not ${show(listener)}`);
    list.push({ listener, isOnce, isSpent: false });
    if (event === 'progress') this.#wantsProgress();
  }

  remove<E extends keyof RunnerEvents>(event: E, listener: Listener<E>): void {
    const list = this.#listOf(event);
    const index = list.findLastIndex((entry) => entry.listener === listener);
    if (index >= 0) list.splice(index, 1);
  }

  has(event: keyof RunnerEvents): boolean {
    return this.#of[event].length > 0;
  }

  emit<E extends keyof RunnerEvents>(event: E, ...args: RunnerEvents[E]): void {
    const list = this.#listOf(event);
    if (event === 'error' && list.length === 0) return process.emitWarning(args[0] as Error);
    for (const entry of [...list]) {
      if (entry.isSpent) continue;
      if (entry.isOnce) {
        entry.isSpent = true;
        const at = list.indexOf(entry);
        if (at !== -1) list.splice(at, 1);
      }
      try {
        entry.listener(...args);
      } catch (thrown) {
        if (event === 'error') process.emitWarning(asError(thrown));
        else this.emit('error', asError(thrown));
      }
    }
  }

  #listOf<E extends keyof RunnerEvents>(event: E): Entry<E>[] {
    const list = this.#of[event] as Entry<E>[] | undefined;
    if (list === undefined) throw new TypeError(`a runner has no event ${JSON.stringify(event)}: there are progress, thread and error`);
    return list;
  }
}
