/** Budgets for tests: on PostgreSQL, and on Redis where there is one; and processes that are members. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createPool, type Pool, type PoolOptions } from 'cenote';
import {
  type Budget,
  type BudgetEngine,
  type BudgetEvents,
  type BudgetOptions,
  createBudget,
  postgresBudget,
  redisBudget,
} from 'cenote/budget';
import { onTestFinished } from 'vitest';
import { postgres } from '../support/postgres.ts';
import { hasRedis, redisServer } from '../support/redis.ts';
import { relay } from '../support/relay.ts';
import { settled, until } from '../support/wait.ts';

export const ENGINES = hasRedis ? (['postgres', 'redis'] as const) : (['postgres'] as const);
/** What the engine has no part in runs on one; on all with BUDGET_ENGINES=all (npm run test:budget). */
export const isRepeat = (engine: EngineName): boolean => engine !== ENGINES[0] && process.env.BUDGET_ENGINES !== 'all';
export type EngineName = (typeof ENGINES)[number];

export const urlOf = async (engine: EngineName): Promise<string> =>
  engine === 'redis' ? (await redisServer()).url : (await postgres()).url;
export const engineAt = (engine: EngineName, url: string): BudgetEngine =>
  engine === 'redis' ? redisBudget({ url }) : postgresBudget({ connection: url });

/** By way of a network that can fail. */
export async function throughRelay(engine: EngineName): Promise<{ url: string; net: Awaited<ReturnType<typeof relay>> }> {
  const url = new URL(await urlOf(engine));
  const host = url.searchParams.get('host');
  const net = await relay(engine === 'redis' ? { port: Number(url.port), host: '127.0.0.1' } : { path: `${host}/.s.PGSQL.5432` });
  onTestFinished(() => net.close());
  const through =
    engine === 'redis' ? `redis://127.0.0.1:${net.port}` : `postgres://postgres:${url.password}@127.0.0.1:${net.port}${url.pathname}`;
  return { url: through, net };
}

let keys = 0;
export const newKey = (): string => `key ${process.pid}-${++keys}`;

/** What a budget has told, by the names of the events. */
export interface Heard {
  readonly budget: Budget;
  readonly events: { readonly event: string; readonly info: any }[];
  heard(event: string, times?: number): Promise<any>;
}

export function listening(budget: Budget): Heard {
  const events: { event: string; info: unknown }[] = [];
  for (const event of ['granted', 'shed', 'lost', 'regained', 'unreachable', 'reachable', 'error'] as (keyof BudgetEvents)[])
    budget.on(event, (info) => events.push({ event, info }));
  const heard = async (event: string, times = 1): Promise<unknown> => {
    const found = await until(() => {
      const all = events.filter((one) => one.event === event);
      return all.length >= times ? all : false;
    });
    return (found as { info: unknown }[])[times - 1].info;
  };
  return { budget, events, heard };
}

/**
 * A member, gone with the test. Its lease outlasts every pause of a busy machine: who is to lose it says so. A step of it may take five
 * seconds, not half a one.
 */
export async function member(engine: EngineName, options: Partial<BudgetOptions> & { key: string }): Promise<Heard> {
  const budget = await createBudget({ engine: engineAt(engine, await urlOf(engine)), limit: 3, ttl: 60_000, ...options });
  // What a test leaves borrowed keeps it; its key is no other test's.
  onTestFinished(() => budget.close().catch(() => {}));
  return listening(budget);
}

export interface Thing {
  readonly number: number;
  readonly permit: { key: string; epoch: number } | undefined;
}

let things = 0;
/** A pool of numbered things, closed with the test. */
export async function poolOn(budget: Budget, options: Partial<PoolOptions<Thing>> = {}): Promise<Pool<Thing>> {
  const pool = await createPool<Thing>({ factory: ({ permit }) => ({ number: ++things, permit }), max: 10, budget, ...options });
  onTestFinished(() => pool.close());
  return pool;
}

/** A process that is a member with a pool: test/budget/programs/member.js. */
export class Other {
  readonly #child: ChildProcess;
  readonly heard: string[] = [];
  #number = 0;

  constructor(settings: object) {
    const program = fileURLToPath(new URL('./programs/member.js', import.meta.url));
    this.#child = fork(program, [JSON.stringify(settings)], { execArgv: [], env: { ...process.env, NODE_OPTIONS: '' } });
    this.#child.on('message', (message: { event?: string }) => {
      if (message.event !== undefined) this.heard.push(message.event);
    });
    onTestFinished(() => {
      this.#child.kill('SIGKILL');
    });
  }

  async start(): Promise<this> {
    await until(() => this.heard.includes('ready'));
    return this;
  }

  /** Who the engine says there are, when it says so: a step that takes too long, or a connection that was cut, rejects. */
  members(): Promise<any> {
    return until(() => this.ask('members'));
  }

  async ask(what: string, value?: unknown): Promise<any> {
    const id = ++this.#number;
    return await settled(
      new Promise((resolve, reject) => {
        const hear = (message: { id?: number; value?: unknown; error?: string }): void => {
          if (message.id !== id) return;
          this.#child.off('message', hear);
          if (message.error === undefined) resolve(message.value);
          else reject(new Error(message.error));
        };
        this.#child.on('message', hear);
        this.#child.send({ id, what, value });
      }),
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Tells it without waiting for an answer. */
  tell(what: string, value?: unknown): void {
    this.#child.send({ id: 0, what, value });
  }

  ended(): Promise<number | null> {
    return new Promise((resolve) => this.#child.once('exit', resolve));
  }
}
