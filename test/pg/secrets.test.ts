/** Nothing secret reaches a worker, an error, or what inspect shows. */
import { inspect } from 'node:util';
import { createPgPool, type PgPoolOptions } from 'cenote/pg';
import driver from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask, connections, join, newName, open, postgres } from '../support/postgres.ts';
import { rejection } from '../support/wait.ts';

const deep = (value: unknown): string =>
  inspect(value, { depth: 20, showHidden: true, getters: true, maxStringLength: null, maxArrayLength: null });

/** The settings in every form, with a password that nothing else contains. */
async function target() {
  const { url } = await postgres();
  const { searchParams, password, pathname } = new URL(url);
  const settings = { host: searchParams.get('host')!, user: 'postgres', password, database: pathname.slice(1), port: 5432 };
  return { url, password, settings };
}

test('pool, client, handle, events and errors show no password; nor does anything that a worker can reach', async () => {
  const { url, password } = await target();
  const name = newName();
  const pool = await open({ name });
  const events: unknown[] = [];
  for (const event of ['connect', 'acquire', 'release', 'remove', 'error']) pool.on(event, (...args) => events.push(...args));
  const client = await pool.connect();
  const error = await rejection(client.query('select nowhere'));
  const [{ secretKey }] = [client as unknown as { secretKey?: unknown }].map(({ secretKey: key }) => ({ secretKey: key }));
  expect(secretKey).toBeUndefined();
  const shown = [pool, pool.pool, pool.handle, client, error, events].map(deep).join('\n');
  client.release();
  expect(shown).not.toContain(password);
  expect(shown).not.toContain(url);
  expect(Buffer.from(pool.handle.buffer).includes(password)).toBe(false);

  const worker = await join(pool);
  const seen = await worker.pg(async (p, scope, secret) => {
    const { inspect: look } = (await scope.load('node:util')) as typeof import('node:util');
    const held = await p.connect();
    const failure = await held.query('select nowhere').catch((thrown) => thrown);
    const core = scope.pool;
    const remote = (await core.acquire()) as unknown as Record<string, () => Promise<unknown>>;
    const tries: unknown[] = [];
    // What is not exposed is not there, whatever it is called.
    for (const method of ['end', 'client', 'processID', 'forSetup', 'isAlive', 'constructor', 'then', 'toString', 'valueOf'])
      tries.push(
        await Promise.resolve(typeof remote[method] === 'function' ? remote[method]() : undefined).catch((thrown: Error) => thrown.message),
      );
    const text = look([p, held, failure, core, remote, tries, scope.handle, Reflect.ownKeys(globalThis)], {
      depth: 20,
      showHidden: true,
      getters: true,
      maxStringLength: null,
    });
    held.release();
    core.release(remote as never);
    return {
      found: text.includes(secret),
      refused: tries.filter((each) => /not a method that workers may call/.test(String(each))).length,
    };
  }, password);
  expect(seen).toEqual({ found: false, refused: expect.any(Number) });
  expect(seen.refused).toBeGreaterThanOrEqual(4);
});

test('what goes wrong while connecting says what, but never with what', async () => {
  const { url, settings } = await target();
  const secret = 'Geheim/№7 %&?';
  const cases: [string, () => Parameters<typeof createPgPool>[0]['connection']][] = [
    ['a string', () => url.replace(/:[0-9a-f]+@/, `:${encodeURIComponent(secret)}@`)],
    ['an object', () => ({ ...settings, password: secret })],
    ['a password function', () => ({ ...settings, password: () => secret })],
    ['a function', () => async () => ({ ...settings, password: secret })],
    [
      'a function that fails',
      () => async () => Promise.reject(Object.assign(new Error('vault is sealed'), { token: secret, cause: secret })),
    ],
    ['no url', () => `postgres://postgres:${secret}@[::bad/postgres`],
    ['no server', () => `postgres://postgres:${encodeURIComponent(secret)}@127.0.0.1:1/postgres`],
    [
      'TLS where there is none',
      () => ({ ...settings, host: settings.host, password: secret, ssl: { passphrase: secret, key: secret, rejectUnauthorized: false } }),
    ],
  ];
  for (const [label, connection] of cases) {
    const pool = await createPgPool({ connection: connection(), max: 1, acquireTimeout: 60_000 });
    const errors: unknown[] = [];
    pool.on('error', (error) => errors.push(error));
    const worker = await join(pool);
    const here = await rejection(pool.query('select 1'));
    const there = await rejection(worker.pg((p) => p.query('select 1')));
    expect(here, label).toBeInstanceOf(Error);
    const shown = [here, there, errors, pool, pool.pool].map(deep).join('\n');
    for (const form of [secret, encodeURIComponent(secret), encodeURI(secret)]) expect(shown.includes(form), label).toBe(false);
    await pool.pool.close();
  }
});

describe('what your own code throws stays what it is', () => {
  class VaultError extends Error {
    readonly status = 503;
    readonly #retryAfter = 30;
    constructor(message: string, options?: ErrorOptions) {
      super(message, options);
      this.name = 'VaultError';
    }
    get retryAfter(): number {
      return this.#retryAfter;
    }
  }

  const failing = async (options: Partial<PgPoolOptions>): Promise<any> => {
    const { settings } = await target();
    const pool = await createPgPool({ connection: settings, max: 1, acquireTimeout: 60_000, ...options });
    pool.on('error', () => {});
    onTestFinished(() => pool.pool.close());
    return rejection(pool.query('select 1'));
  };

  const ways: [string, (error: unknown) => Promise<Partial<PgPoolOptions>>][] = [
    ['the function that gives the connection', async (error) => ({ connection: () => Promise.reject(error) })],
    ['onConnect', async (error) => ({ onConnect: () => Promise.reject(error) })],
    [
      'the function that gives the password',
      async (error) => ({ connection: { ...(await target()).settings, password: () => Promise.reject(error) } }),
    ],
  ];

  test.each(ways)('thrown by %s: the same object, with its class, its cause and its own properties', async (_, options) => {
    const error = Object.freeze(
      Object.assign(new VaultError('vault is sealed', { cause: new TypeError('no key') }), { code: 'SEALED', details: { node: [1, 2] } }),
    );
    const met = await failing(await options(error));
    expect(met).toBe(error);
    expect([met.retryAfter, met.cause.message, met.details]).toEqual([30, 'no key', { node: [1, 2] }]);
  });

  test.each(ways)('thrown by %s: a secret in it is hidden, the rest is kept', async (_, options) => {
    const { password } = await target();
    const error: any = new VaultError(`cannot use ${password} now`, { cause: new RangeError(`not ${password}`) });
    Object.assign(error, {
      accessToken: 'abc',
      port: 5432,
      request: new (class Request {
        readonly headers = [password];
      })(),
      list: [`x${password}`, 7],
      self: error,
    });
    const isKnown = !('connection' in (await options(error)));
    const met = await failing(await options(error));
    expect(met).toBeInstanceOf(VaultError);
    expect([met.name, met.status, met.port, met.accessToken, met.request, met.self]).toEqual([
      'VaultError',
      503,
      5432,
      '***',
      '***',
      '***',
    ]);
    expect(met.cause).toBeInstanceOf(RangeError);
    // Where the password comes from the function that failed, it is known to nobody.
    if (!isKnown) return;
    expect([met.message, met.cause.message, met.list]).toEqual(['cannot use *** now', 'not ***', ['x***', 7]]);
    expect(deep(met)).not.toContain(password);
    // What was thrown is yours, and is as it was.
    expect(error.message).toContain(password);
  });

  test('what the server says in onConnect is a DatabaseError with all that it has', async () => {
    const error = await failing({ onConnect: async (client) => void (await client.query('select nowhere')) });
    expect(error).toMatchObject({ code: '42703', severity: 'ERROR', position: '8' });
    expect(error).toBeInstanceOf(driver.DatabaseError);
  });
});

test('a URL is as good as its text, given, or given by a function, or in an object', async () => {
  const { url, settings, password } = await target();
  const given = new URL(url.replace('localhost', 'host'));
  const all: PgPoolOptions['connection'][] = [
    given,
    () => given,
    async () => given.href,
    { connectionString: given } as never,
    () => ({ ...settings }),
  ];
  for (const connection of all) {
    const pool = await createPgPool({ connection, max: 1, acquireTimeout: 60_000 });
    expect((await pool.query('select current_user as a')).rows).toEqual([{ a: 'postgres' }]);
    await pool.end();
  }
  expect(given.password).toBe(password);
});

test('what cannot be a connection is refused with what to give instead, and without what it was', async () => {
  const secret = 'geheim-7';
  const must = 'must be a connection string, a URL, an object like { host, user, password }, or a function that gives one of them';
  const cases: [unknown, string][] = [
    [5, must],
    [null, must],
    [[`postgres://a:${secret}@b`], must],
    [Buffer.from(secret), must],
    [Promise.resolve(`postgres://a:${secret}@b`), 'and not a promise: await it'],
    [new driver.Client({ password: secret }), 'and not a client or a pool'],
    [new URL(`https://a:${secret}@b/c`), 'is a URL that does not begin with postgres:// or postgresql://'],
    [new URL(`${secret}:5432/c`), 'is a URL that does not begin with postgres:// or postgresql://'],
    [{ connectionString: new URL(`http://a:${secret}@b/c`) }, 'connectionString is a URL that does not begin with'],
  ];
  for (const [connection, message] of cases) {
    const given = await rejection(createPgPool({ connection: connection as never, max: 1 }));
    expect(given).toBeInstanceOf(TypeError);
    expect((given as Error).message).toContain(message);
    expect(deep(given)).not.toContain(secret);
    // A promise is what a function may give.
    if (connection instanceof Promise) continue;
    const pool = await createPgPool({ connection: () => connection as never, max: 1, acquireTimeout: 60_000 });
    pool.on('error', () => {});
    const later = (await rejection(pool.query('select 1'))) as Error;
    expect(later).toBeInstanceOf(TypeError);
    expect(later.message).toContain(message);
    expect(deep(later)).not.toContain(secret);
    await pool.pool.close();
  }
});

test('what is given is copied before use, all of it, for every connection', async () => {
  const { settings } = await target();
  const name = newName();
  const given: driver.ClientConfig = {
    ...settings,
    application_name: name,
    statement_timeout: 4321,
    ssl: false,
    options: '-c my.option=yes',
  };
  // As pg hides it.
  Object.defineProperty(given, 'password', { value: settings.password, enumerable: false });
  const pool = await createPgPool({ connection: given, max: 3 });
  Object.assign(given, { application_name: 'changed', host: '/nowhere', statement_timeout: 1 });
  const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()]);
  for (const client of clients) {
    const { rows } = await client.query(
      `select current_setting('application_name') as a, current_setting('statement_timeout') as b, current_setting('my.option') as c`,
    );
    expect(rows).toEqual([{ a: name, b: '4321ms', c: 'yes' }]);
    client.release();
  }
  expect(await connections(name)).toBe(3);
  await pool.end();

  const both = { connectionString: (await target()).url };
  Object.defineProperty(both, 'statement_timeout', { value: 1234, enumerable: false });
  const second = await createPgPool({ connection: both, max: 1 });
  expect((await second.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '1234ms' }]);
  await second.end();
});

test('a function is asked before every connect, and may rotate', async () => {
  const { settings } = await target();
  await ask(`do $$ begin create role rotating login; exception when duplicate_object then null; end $$`);
  let asked = 0;
  const pool = await createPgPool({
    max: 1,
    connection: async () => {
      const password = `secret-${++asked}`;
      await ask(`alter role rotating password '${password}'`);
      return { ...settings, user: 'rotating', password };
    },
  });
  for (let i = 0; i < 3; i++) {
    const client = await pool.connect();
    expect((await client.query('select current_user as a')).rows).toEqual([{ a: 'rotating' }]);
    client.release(true);
  }
  expect(asked).toBe(3);
  await pool.end();
});

test('opens nothing until it is needed, or min are', async () => {
  const name = newName();
  const lazy = await open({ name });
  expect(await connections(name)).toBe(0);
  expect(lazy.totalCount).toBe(0);
  const eager = await open({ min: 2, max: 3 });
  expect(await connections(eager.pool.name)).toBe(2);
  expect([eager.totalCount, eager.idleCount, eager.waitingCount, eager.ended, eager.ending]).toEqual([2, 2, 0, false, false]);
  await eager.end();
  expect(await connections(eager.pool.name)).toBe(0);
});
