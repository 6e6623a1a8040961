/** Knows when the pools of a runner have taken back what a thread held that has ended. */
import type { Pool } from '../main/index.ts';
import { clearTimeout, setImmediate, setTimeout } from '../shared/index.ts';
import type { RunnerPool } from './types.ts';

/** A pool hears of the end of a thread within milliseconds. This is for one that is closing, in ms. */
const LONG_ENOUGH = 2000;

type Watched = Pick<Pool<unknown>, 'on' | 'off' | 'isClosed'>;

export class Reclaiming {
  readonly #pools: Watched[];
  /** By Node's thread id, how many attachments it has. */
  readonly #attached = new Map<number, number>();
  readonly #waiting = new Map<number, (() => void)[]>();
  readonly #onAttach = (threadId: number): void => void this.#attached.set(threadId, (this.#attached.get(threadId) ?? 0) + 1);
  readonly #onDetach = (threadId: number): void => this.#detached(threadId);

  constructor(pools: Readonly<Record<string, RunnerPool>>) {
    this.#pools = [...new Set(Object.values(pools).map((pool) => ((pool as { pool?: Watched }).pool ?? pool) as Watched))];
    // Something else with a handle is attached to all the same, and not waited for.
    this.#pools = this.#pools.filter((pool) => typeof pool.on === 'function');
    for (const pool of this.#pools) pool.on('attach', this.#onAttach).on('detach', this.#onDetach);
  }

  #detached(threadId: number): void {
    const left = (this.#attached.get(threadId) ?? 0) - 1;
    if (left > 0) {
      this.#attached.set(threadId, left);
      return;
    }
    this.#attached.delete(threadId);
    for (const then of this.#waiting.get(threadId) ?? []) then();
    this.#waiting.delete(threadId);
  }

  /** Resolves when no pool has anything left of that thread, which has ended. */
  async of(threadId: number): Promise<void> {
    if (!this.#attached.has(threadId) || this.#pools.every((pool) => pool.isClosed())) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LONG_ENOUGH);
      const waiting = this.#waiting.get(threadId) ?? [];
      this.#waiting.set(threadId, [
        ...waiting,
        () => {
          clearTimeout(timer);
          resolve();
        },
      ]);
    });
    // What has to be destroyed is being destroyed now: a destructor that has nothing to wait for has run after this.
    await new Promise((resolve) => setImmediate(resolve));
  }

  stop(): void {
    for (const pool of this.#pools) pool.off('attach', this.#onAttach).off('detach', this.#onDetach);
  }
}
