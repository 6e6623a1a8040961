/** What is done over and over, and must leave nothing behind. One round each. */
import type { Pool, PoolOptions } from 'cenote';
import type { AttachedPool, attachPool } from 'cenote/worker';

export class Tool {
  readonly number: number;
  constructor(number: number) {
    this.number = number;
  }
  id(): number {
    return this.number;
  }
  fail(): never {
    throw new Error(`tool ${this.number} fails`);
  }
}

/** What a round can use on a worker. */
export interface Bench {
  pool: AttachedPool<Tool>;
  attach(): ReturnType<typeof attachPool<Tool>>;
}

export interface Scenario {
  /** Rounds in `npm test`, and of the long form. */
  readonly rounds: number;
  readonly longer: number;
  readonly options?: () => Partial<PoolOptions<Tool>>;
  /** Exactly one of them. */
  readonly owner?: (pool: Pool<Tool>, round: number, createPool: typeof import('cenote').createPool) => unknown;
  readonly worker?: (bench: Bench, round: number) => unknown;
}

const ignore = (): void => {};
const expectFailure = async (promise: Promise<unknown>): Promise<void> => {
  const failed = await promise.then(
    () => false,
    () => true,
  );
  if (!failed) throw new Error('this round should have failed');
};

let made = 0;
const factory = (): Tool => new Tool(++made);
/** Every second creation fails. */
const unreliable = (): Tool => {
  if (++made % 2 === 0) throw new Error(`creation ${made} fails`);
  return new Tool(made);
};

export const scenarios: Readonly<Record<string, Scenario>> = {
  'acquire and release on the owner': {
    rounds: 100_000,
    longer: 1_000_000,
    owner: async (pool) => pool.release(await pool.acquire()),
  },
  'acquireSync and release on a worker': {
    rounds: 1_000_000,
    longer: 10_000_000,
    worker: ({ pool }) => pool.release(pool.acquireSync()),
  },
  'acquire and release on a worker': {
    rounds: 60_000,
    longer: 1_000_000,
    worker: async ({ pool }) => pool.release(await pool.acquire()),
  },
  'two that wait for each other on the owner': {
    rounds: 5_000,
    longer: 500_000,
    options: () => ({ max: 1 }),
    owner: async (pool) => {
      const first = await pool.acquire();
      const second = pool.acquire({ timeout: 1000, signal: new AbortController().signal });
      pool.release(first);
      pool.release(await second);
    },
  },
  'two that wait for each other on a worker': {
    rounds: 4_000,
    longer: 500_000,
    options: () => ({ max: 1 }),
    worker: async ({ pool }) => {
      const first = await pool.acquire();
      const second = pool.acquire({ timeout: 1000, signal: new AbortController().signal });
      pool.release(first);
      pool.release(await second);
    },
  },
  'remote calls and one-shot calls': {
    rounds: 2_000,
    longer: 200_000,
    worker: async ({ pool }) => {
      await pool.use((tool) => tool.id());
      pool.useSync((tool) => tool.id());
      await pool.call('id', []);
    },
  },
  'remote calls that fail': {
    rounds: 2_000,
    longer: 50_000,
    worker: async ({ pool }, round) => {
      await expectFailure(pool.use((tool) => tool.fail()));
      await expectFailure(pool.call('fail', []));
      // Names that nobody has: each another one.
      const any = (tool: unknown) => (tool as Record<string, () => Promise<unknown>>)[`method${round}`]();
      await expectFailure(pool.use(any));
      // What cannot be cloned.
      await expectFailure(pool.use((tool) => (tool.id as (...args: unknown[]) => Promise<number>)(ignore)));
    },
  },
  'attach and detach': {
    rounds: 1_000,
    longer: 20_000,
    worker: async (bench) => {
      bench.pool.acquireSync();
      await bench.pool.detach();
      bench.pool = await bench.attach();
    },
  },
  'attach and detach, with shared values': {
    rounds: 400,
    longer: 20_000,
    options: () => ({ share: (tool) => `value ${tool.number}` }),
    worker: async (bench) => {
      bench.pool.destroy(await bench.pool.acquire());
      await bench.pool.detach();
      bench.pool = await bench.attach();
    },
  },
  'creations that fail, on the owner': {
    rounds: 3_000,
    longer: 50_000,
    options: () => ({ factory: unreliable, max: 1 }),
    owner: async (pool) => {
      await pool.acquire().then((tool) => pool.destroy(tool), ignore);
    },
  },
  'creations that fail, on a worker': {
    rounds: 1_500,
    longer: 50_000,
    options: () => ({ factory: unreliable, max: 1 }),
    worker: async ({ pool }, round) => {
      if (round % 2 === 0) await pool.acquire().then((tool) => pool.destroy(tool), ignore);
      else
        try {
          pool.destroy(pool.acquireSync());
        } catch (error) {
          if (!/creation \d+ fails/.test((error as Error).message)) throw error;
        }
    },
  },
  'creations that fail when their waiter has left': {
    rounds: 2_000,
    longer: 20_000,
    options: () => ({ max: 2, factory: () => new Promise((_, reject) => setImmediate(reject, new Error('late'))) }),
    worker: async ({ pool }) => {
      await expectFailure(pool.acquire({ signal: AbortSignal.abort() }));
      const controller = new AbortController();
      const waiting = pool.acquire({ signal: controller.signal });
      controller.abort();
      await expectFailure(waiting);
    },
  },
  'destroys on the owner': {
    rounds: 4_000,
    longer: 200_000,
    options: () => ({ destructor: async () => {} }),
    owner: async (pool) => pool.destroy(await pool.acquire(), new Error('worn out')),
  },
  'destroys on a worker, with shared values': {
    rounds: 1_500,
    longer: 100_000,
    options: () => ({ share: (tool) => ({ number: tool.number, text: `value ${tool.number}` }) }),
    worker: async ({ pool }) => pool.destroy(await pool.acquire(), new Error('worn out')),
  },
  'timeouts and aborts on the owner': {
    rounds: 300,
    longer: 20_000,
    options: () => ({ max: 1, min: 1 }),
    owner: (pool) => giveUp(pool),
  },
  'timeouts and aborts on a worker': {
    rounds: 300,
    longer: 20_000,
    options: () => ({ max: 1, min: 1 }),
    worker: async ({ pool }) => {
      await giveUp(pool);
      const held = pool.acquireSync();
      try {
        pool.acquireSync({ timeout: 0.01 });
        throw new Error('this round should have timed out');
      } catch (error) {
        if ((error as { code?: string }).code !== 'ERR_POOL_ACQUIRE_TIMEOUT') throw error;
      }
      pool.release(held);
    },
  },
  'pools that are created and closed': {
    rounds: 3_000,
    longer: 50_000,
    owner: async (_, round, createPool) => {
      const pool = await createPool({ name: `short-lived pool ${round}`, factory, min: 1, idleTimeout: 1000, healthcheckInterval: 1000 });
      const tool = await pool.acquire();
      pool.release(tool);
      await (round % 2 === 0 ? pool.close() : pool.drain({ timeout: 1000 }));
    },
  },
  'pools that fail to be created': {
    rounds: 1_500,
    longer: 50_000,
    owner: (_, round, createPool) => {
      const failing = () => Promise.reject(new Error('no'));
      return expectFailure(createPool({ name: `stillborn pool ${round}`, factory: failing, min: 2 }));
    },
  },
};

/** One holds; the others time out, abort with a signal of their own, and abort with one that they share. */
async function giveUp<R>(pool: { acquire(options?: { timeout?: number; signal?: AbortSignal }): Promise<R>; release(resource: R): void }) {
  const held = await pool.acquire();
  const shared = new AbortController();
  const own = new AbortController();
  const waiting = [
    pool.acquire({ timeout: 1 }),
    pool.acquire({ signal: own.signal }),
    pool.acquire({ signal: shared.signal }),
    pool.acquire({ signal: shared.signal, timeout: 1000 }),
  ];
  setImmediate(() => {
    own.abort();
    shared.abort();
  });
  await Promise.all(waiting.map(expectFailure));
  pool.release(held);
}

export const defaults: PoolOptions<Tool> = { name: 'long', max: 2, factory };
