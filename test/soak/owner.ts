/** The thread that owns the pool of a round. Its factory and its hooks misbehave as the configuration says, until it is told to be calm. */
import { parentPort, workerData } from 'node:worker_threads';
import {
  type CircuitBreakerStrategy,
  consecutiveFailures,
  createPool,
  failureRate,
  type Pool,
  type PoolHandle,
  type PoolStats,
} from 'cenote';
import type { Configuration } from './configuration.ts';
import { Lane } from './lane.ts';
import { CALM, FAULTS, Ledger, MADE, MAX_RESOURCES, RESOURCES, REVOCATIONS, UNMADE } from './ledger.ts';
import { Random } from './random.ts';
import { Seat } from './seat.ts';
import { Steering } from './steering.ts';
import { Tool } from './tool.ts';

export interface OwnerData {
  readonly ledger: SharedArrayBuffer;
  readonly life: number;
  readonly configuration: Configuration;
}

export type OwnerOrder = 'calm' | 'stats' | 'borrow everything' | 'close';
export type OwnerNews =
  | { readonly type: 'open'; readonly handle: PoolHandle<Tool> }
  | { readonly type: 'failure'; readonly what: string }
  | { readonly type: 'quiet' }
  | { readonly type: 'done'; readonly order: OwnerOrder; readonly stats: PoolStats };

const { ledger: buffer, life, configuration } = workerData as OwnerData;
const ledger = new Ledger(buffer);
const random = new Random(configuration.seed ^ 0x5eed);
const tell = (news: OwnerNews): void => parentPort!.postMessage(news);
const fail = (what: string): void => tell({ type: 'failure', what });
const guarded = (check: () => void): void => {
  try {
    check();
  } catch (error) {
    fail((error as Error).message);
  }
};

type Answer = boolean | void | Promise<boolean | void>;

/** What a hook does when it does not do its work: says no, throws, takes longer than it may, or just takes its time. */
function misbehave(): Answer {
  if (ledger.get(CALM) !== 0 || !random.chance(configuration.faults)) return random.chance(0.5) ? undefined : Promise.resolve(true);
  ledger.count(FAULTS);
  switch (random.below(5)) {
    case 0:
      return false;
    case 1:
      throw new Error('chaos: a hook');
    case 2:
      return Promise.reject(new Error('chaos: a hook, later'));
    case 3:
      return new Promise(() => {});
    default:
      return new Promise((resolve) => setTimeout(resolve, random.from(0, 5), true));
  }
}

const hook =
  (name: string) =>
  (tool: Tool): Answer => {
    guarded(() => ledger.assertFree(tool.number, name));
    return misbehave();
  };

/** All whose destructor has not begun; and those that were taken back from their borrowers. */
const there = new Set<Tool>();
const revoked = new Set<Tool>();

const make = (): Tool => {
  ledger.count(MADE);
  const tool = new Tool(ledger.count(RESOURCES), ledger, life, fail);
  there.add(tool);
  return tool;
};

function factory(): Tool | Promise<Tool> {
  if (ledger.get(RESOURCES) >= MAX_RESOURCES - 1) throw new Error('chaos: out of numbers');
  if (ledger.get(CALM) !== 0 || !random.chance(configuration.faults)) return random.chance(0.5) ? make() : Promise.resolve().then(make);
  ledger.count(FAULTS);
  switch (random.below(4)) {
    case 0:
      throw new Error('chaos: the factory');
    case 1:
      return Promise.reject(new Error('chaos: the factory, later'));
    case 2:
      // Hangs; or arrives when nobody wants it any more.
      return random.chance(0.5) ? new Promise(() => {}) : later(configuration.createTimeout * 2).then(make);
    default:
      return later(random.from(0, 10)).then(make);
  }
}

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function destructor(tool: Tool): void | Promise<void> {
  there.delete(tool);
  guarded(() => ledger.destroyed(tool.number, revoked.delete(tool)));
  ledger.count(UNMADE);
  const answer = configuration.asyncDestructor || random.chance(configuration.faults) ? misbehave() : undefined;
  return answer instanceof Promise ? answer.then(() => {}) : undefined;
}

function strategy(): CircuitBreakerStrategy | undefined {
  if (configuration.strategy === 'none') return undefined;
  return configuration.strategy === 'consecutive'
    ? consecutiveFailures({ threshold: 3, resetTimeout: 20 })
    : failureRate({ rate: 0.5, window: 200, minimum: 5, resetTimeout: 20 });
}

async function open(): Promise<Pool<Tool>> {
  const { max, min, maxUses, maxLifetime, idleTimeout, maxWaiting, healthcheckInterval, checkTimeout, createTimeout, orphans } =
    configuration;
  const options = {
    ...{ max, min, maxUses, maxLifetime, idleTimeout, maxWaiting, healthcheckInterval, checkTimeout, createTimeout, orphans },
    name: 'soak',
    factory,
    destructor,
    leakDetectionThreshold: configuration.leakDetectionThreshold,
    recoveryProbes: configuration.recoveryProbes,
    healthcheck: hook('healthcheck'),
    beforeAcquire: configuration.beforeAcquire ? hook('beforeAcquire') : undefined,
    beforeRelease: configuration.beforeRelease ? hook('beforeRelease') : undefined,
    circuitBreaker: strategy(),
    share: configuration.share ? (tool: Tool) => tool.number : undefined,
  };
  for (;;) {
    try {
      return await createPool<Tool>(options);
    } catch (error) {
      // The factory may well fail for the very first.
      const { code, message } = error as Error & { code?: string };
      if (code !== 'ERR_POOL_CREATE_TIMEOUT' && !message.startsWith('chaos: ')) throw error;
    }
  }
}

const pool = await open();
pool.on('error', () => {});
// A strategy opens the breaker now and then, and asks about recovery only once a second: no round would get anywhere.
const reviver = setInterval(() => pool.getState() === 'inactive' && pool.recover(), 25);
/** Whichever of them is out, or is not. */
function revoke(): void {
  const tool = random.pick([...there, undefined]);
  if (tool === undefined || revoked.has(tool)) return;
  // Its destructor may be called at once.
  revoked.add(tool);
  if (pool.revoke(tool, new Error('chaos: revoked'))) ledger.count(REVOCATIONS);
  else revoked.delete(tool);
}

const steering = new Steering(pool, configuration, new Random(configuration.seed ^ 0x57ee2), fail, revoke);
let closed = 0;
pool.on('close', () => closed++);

const seat = new Seat(life, ledger, configuration, pool, fail);
const owns = new Lane(seat, 0).run().then(() => tell({ type: 'quiet' }));
owns.catch((error: Error) => fail(`owner: ${error.stack}`));
// It has no lanes that die: this is how it is told to.
const fuse = setInterval(() => seat.dieIfTold(), 5);

parentPort!.on('message', async (order: OwnerOrder) => {
  try {
    if (order === 'calm') {
      clearInterval(reviver);
      pool.setCircuitBreakerStrategy(null);
      pool.activate();
      await steering.end();
    }
    if (order === 'borrow everything') {
      const all = await Promise.all(Array.from({ length: configuration.max }, () => pool.acquire({ timeout: 30_000 })));
      if (new Set(all).size !== all.length) fail('two of what was borrowed at once are the same');
      for (const tool of all) pool.release(tool);
    }
    if (order === 'close') {
      clearInterval(fuse);
      await pool.close();
      if (closed !== 1) fail(`the close event came ${closed} times by the time close() resolved, with nothing out`);
    }
    tell({ type: 'done', order, stats: pool.stats() });
    if (order === 'close') parentPort!.close();
  } catch (error) {
    fail(`owner, ${order}: ${(error as Error).stack}`);
  }
});
tell({ type: 'open', handle: pool.handle });
