/**
 * Redis as an engine: one connection for all budgets of a thread that use it, and one that hears what is published. By ioredis or by redis,
 * whichever there is.
 */
import { createHash } from 'node:crypto';
import { RefusedError } from '../errors.ts';
import { type Answer, type Called, type Engine, Listeners, MOST_FAILURES, type Report, type Row } from './engine.ts';
import { hashOf, MEMBERS, STEP } from './redis-step.ts';

type Settings = Readonly<Record<string, unknown>>;

/** How to reach it: by an address, or as a client of the program does, whose settings these are. */
export type RedisSource =
  | { readonly by: 'url'; readonly url: string }
  | { readonly by: 'ioredis' | 'redis'; readonly settings: Settings }
  | { readonly by: 'ioredis-cluster'; readonly nodes: readonly unknown[]; readonly settings: Settings };

/** What both clients can be made to do. */
interface Link {
  command(args: string[]): Promise<unknown>;
  subscribe(channel: string, heard: (message: string) => void): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  destroy(): void;
}

/** It is a replica now, and its clients have stayed. */
const DEMOTED = /READONLY|MASTERDOWN/;
const REFUSED = /WRONGPASS|NOAUTH|NOPERM|invalid.*password|invalid username/i;
const SHA = new Map([STEP, MEMBERS].map((script) => [script, createHash('sha1').update(script).digest('hex')]));

export class RedisEngine implements Engine {
  readonly #source: RedisSource;
  readonly #listeners = new Listeners();
  #link: Promise<Link> | undefined;
  #connected: Link | undefined;
  /** In a row, on this connection. */
  #failures = 0;

  constructor(source: RedisSource) {
    this.#source = source;
  }

  get tells(): boolean {
    return this.#connected !== undefined;
  }

  async step(report: Report): Promise<Answer> {
    return JSON.parse(await this.#run(STEP, report.key, JSON.stringify(report))) as Answer;
  }

  async members(key: string): Promise<Row[]> {
    return JSON.parse(await this.#run(MEMBERS, key)) as Row[];
  }

  async #run(script: string, key: string, ...args: string[]): Promise<string> {
    let link: Link | undefined;
    try {
      link = await this.#connection();
      const said = await ask(link, script, ['1', hashOf(key), ...args]);
      if (link === this.#connected) this.#failures = 0;
      return said;
    } catch (error) {
      const message = String((error as Error).message);
      if (link !== undefined && link === this.#connected && (DEMOTED.test(message) || ++this.#failures >= MOST_FAILURES)) this.#lost(link);
      throw REFUSED.test(message) ? new RefusedError(`the engine refuses: ${message}`, error) : error;
    }
  }

  listen(key: string, called: Called): () => void {
    if (this.#listeners.add(key, called) && this.#connected !== undefined) void this.#subscribe(this.#connected, key).catch(() => {});
    return () => {
      if (this.#listeners.delete(key, called)) void this.#connected?.unsubscribe(hashOf(key)).catch(() => {});
    };
  }

  #subscribe(link: Link, key: string): Promise<void> {
    return link.subscribe(hashOf(key), (message) => this.#listeners.call(key, message));
  }

  // ── the connection

  #connection(): Promise<Link> {
    if (this.#link === undefined) {
      const connecting: Promise<Link> = this.#connect(() => this.#link === connecting);
      this.#link = connecting;
      connecting.catch(() => {
        if (this.#link === connecting) this.#link = undefined;
      });
    }
    return this.#link;
  }

  /** Wanted: not dropped meanwhile. One that comes too late would stay for ever. */
  async #connect(isWanted: () => boolean): Promise<Link> {
    const link = await connect(this.#source, (which) => this.#lost(which));
    try {
      for (const key of this.#listeners.keys) await this.#subscribe(link, key);
      if (!isWanted()) throw new Error('connecting took too long');
    } catch (error) {
      link.destroy();
      throw error;
    }
    this.#connected = link;
    return link;
  }

  /** It went by itself, or is of no use. What was told meanwhile is not known: every member asks. */
  #lost(link: Link): void {
    if (this.#connected !== link) return;
    this.drop();
    this.#listeners.callAll();
  }

  drop(): void {
    const link = this.#connected;
    this.#connected = undefined;
    this.#link = undefined;
    this.#failures = 0;
    link?.destroy();
  }

  async end(): Promise<void> {
    this.drop();
  }
}

async function ask(link: Link, script: string, rest: readonly string[]): Promise<string> {
  try {
    return String(await link.command(['EVALSHA', SHA.get(script)!, ...rest]));
  } catch (error) {
    if (!/NOSCRIPT/.test(String((error as Error).message))) throw error;
    return String(await link.command(['EVAL', script, ...rest]));
  }
}

// ── the two clients

const connect = async (source: RedisSource, lost: (link: Link) => void): Promise<Link> => {
  switch (source.by) {
    case 'url': {
      const ioredis = await import('ioredis').catch(() => undefined);
      if (ioredis !== undefined) return byIoredis((options) => new ioredis.Redis(source.url, options), lost);
      return await byRedis({ url: source.url }, lost);
    }
    case 'ioredis': {
      const { Redis } = await load(() => import('ioredis'), 'ioredis');
      return await byIoredis((options) => new Redis({ ...source.settings, ...options }), lost);
    }
    case 'ioredis-cluster': {
      const { Cluster } = await load(() => import('ioredis'), 'ioredis');
      const { settings, nodes } = source;
      return await byIoredis((options) => {
        const common = { lazyConnect: true, clusterRetryStrategy: () => null, enableOfflineQueue: false };
        return new Cluster([...nodes] as [], {
          ...settings,
          ...common,
          redisOptions: { ...(settings.redisOptions as object), ...options },
        });
      }, lost);
    }
    case 'redis':
      return await byRedis(source.settings, lost);
  }
};

async function load<M>(importing: () => Promise<M>, name: string): Promise<M> {
  try {
    return await importing();
  } catch (cause) {
    throw new RefusedError(`redisBudget needs a client of Redis: npm install ${name}`, cause);
  }
}

/** No retries of its own: the member knows when to try again. */
const IOREDIS = {
  lazyConnect: true,
  retryStrategy: () => null,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  connectionName: 'cenote/budget',
};

async function byIoredis(
  make: (options: typeof IOREDIS) => import('ioredis').Redis | import('ioredis').Cluster,
  lost: (link: Link) => void,
): Promise<Link> {
  const heard = new Map<string, (message: string) => void>();
  const [client, listener] = [make(IOREDIS), make(IOREDIS)];
  const link: Link = {
    command: ([name, ...args]) => client.call(name, ...args),
    subscribe: async (channel, hear) => {
      heard.set(channel, hear);
      await listener.subscribe(channel);
    },
    unsubscribe: async (channel) => {
      heard.delete(channel);
      await listener.unsubscribe(channel);
    },
    destroy: () => {
      client.disconnect();
      listener.disconnect();
    },
  };
  listener.on('message', (channel: string, message: string) => heard.get(channel)?.(message));
  // What went wrong comes as an event; what `connect` rejects with says only that it is closed.
  let problem: unknown;
  for (const one of [client, listener]) {
    one.on('error', (error: unknown) => {
      problem ??= error;
    });
    one.on('end', () => lost(link));
  }
  try {
    await Promise.all([client.connect(), listener.connect()]);
  } catch (error) {
    link.destroy();
    throw problem ?? error;
  }
  return link;
}

async function byRedis(settings: Settings, lost: (link: Link) => void): Promise<Link> {
  const { createClient } = await load(() => import('redis'), 'ioredis (or redis)');
  const client = createClient({
    ...settings,
    name: 'cenote/budget',
    disableOfflineQueue: true,
    socket: { ...(settings.socket as object | undefined), reconnectStrategy: false },
  });
  const listener = client.duplicate();
  const end = (one: { destroy?(): void; disconnect?(): unknown }): void => {
    try {
      // Version 4 has only the other.
      if (one.destroy !== undefined) one.destroy();
      else void Promise.resolve(one.disconnect?.()).catch(() => {});
    } catch {
      // It was not open.
    }
  };
  const link: Link = {
    command: (args) => client.sendCommand(args),
    subscribe: (channel, hear) => listener.subscribe(channel, hear) as unknown as Promise<void>,
    unsubscribe: (channel) => listener.unsubscribe(channel) as unknown as Promise<void>,
    destroy: () => {
      end(client);
      end(listener);
    },
  };
  for (const one of [client, listener]) {
    one.on('error', () => lost(link));
    one.on('end', () => lost(link));
  }
  try {
    await Promise.all([client.connect(), listener.connect()]);
  } catch (error) {
    link.destroy();
    throw error;
  }
  return link;
}
