/** Somebody who steers the pool of a round at random while it is used: suspends it, changes its size, has everything replaced, takes back what is out. */
import type { Pool } from 'cenote';
import type { Configuration } from './configuration.ts';
import { codeOf } from './lane.ts';
import type { Random } from './random.ts';
import type { Tool } from './tool.ts';

/** What may come of it, and is no failure. */
const ALLOWED = ['ERR_POOL_SUSPEND_TIMEOUT', 'ERR_POOL_RESIZE_TIMEOUT', 'ERR_POOL_RECYCLE_TIMEOUT', 'ERR_POOL_CLOSED'];

export class Steering {
  readonly #pool: Pool<Tool>;
  readonly #configuration: Configuration;
  readonly #random: Random;
  readonly #fail: (what: string) => void;
  readonly #revoke: () => void;
  readonly #done: Promise<void>;
  #isOver = false;

  constructor(pool: Pool<Tool>, configuration: Configuration, random: Random, fail: (what: string) => void, revoke: () => void) {
    this.#pool = pool;
    this.#configuration = configuration;
    this.#random = random;
    this.#fail = fail;
    this.#revoke = revoke;
    this.#done = configuration.steers ? this.#run() : Promise.resolve();
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#once();
      } catch (error) {
        if (!ALLOWED.includes(codeOf(error) as string)) this.#fail(`steering failed: ${(error as Error).stack}`);
      }
      await new Promise((resolve) => setTimeout(resolve, this.#random.from(0, 15)));
    }
  }

  async #once(): Promise<void> {
    const pool = this.#pool;
    const { max, min } = this.#configuration;
    switch (this.#random.below(5)) {
      case 0: {
        const until = this.#random.pick(['now', 'returned', 'empty'] as const);
        const mode = this.#random.pick(['wait', 'wait', 'refuse'] as const);
        const suspension = await pool.suspend({ until, mode, timeout: 30, maxDuration: 60 });
        if (until === 'empty' && pool.suspended && pool.count() !== 0) this.#fail(`suspended and empty, with ${pool.count()} there`);
        if (until === 'returned' && pool.suspended && pool.stats().active > 0 && this.#configuration.min === 0)
          this.#fail('suspended and returned, with some out');
        return suspension.resume();
      }
      case 1: {
        const next = this.#random.from(1, max);
        await pool.resize({ min: Math.min(min, next), max: next }, { timeout: 30 });
        if (pool.stats().max === next && pool.count() > next) this.#fail(`resized to ${next}, with ${pool.count()} there`);
        return;
      }
      case 2:
        return void (await pool.recycle({ timeout: 30 }));
      case 3:
        // A number that a worker has cannot be taken back.
        if (!this.#configuration.share) this.#revoke();
        return;
      default:
        return;
    }
  }

  /** Ends it: the pool is open, and as large as it was. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
    const { min, max } = this.#configuration;
    if (this.#configuration.steers) await this.#pool.resize({ min, max });
  }
}
