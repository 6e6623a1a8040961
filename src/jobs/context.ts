/** What a job's function gets beside its payload: its view of a Part. */
import type { Part } from './part.ts';
import type { JobContext } from './types.ts';

export class Context implements JobContext {
  readonly #part: Part;

  constructor(part: Part) {
    this.#part = part;
  }

  get job(): number {
    return this.#part.job;
  }

  get name(): string | undefined {
    return this.#part.name;
  }

  get attempt(): number {
    return this.#part.attempt;
  }

  get pools(): Record<string, any> {
    return this.#part.pools as Record<string, any>;
  }

  get signal(): AbortSignal {
    return this.#part.ownSignal;
  }

  get cancelled(): boolean {
    return this.#part.isCancelled;
  }

  check(): void {
    this.#part.check();
  }

  protect<V>(body: () => V | PromiseLike<V>): Promise<V> {
    return this.#part.protect(body);
  }

  progress(done: number, total?: number, message?: string): void {
    try {
      this.#part.progress(done, total, message);
    } catch {
      // A value that cannot be made a number or a text has nothing to tell.
    }
  }
}

/** For a job's function that is called without a runner, by a test for instance: nothing cancels it, and there are no pools. */
export const ALONE: JobContext = Object.freeze({
  job: 0,
  name: undefined,
  attempt: 1,
  pools: Object.freeze({}),
  signal: new AbortController().signal,
  cancelled: false,
  check() {},
  protect: async <V>(body: () => V | PromiseLike<V>) => body(),
  progress() {},
});
