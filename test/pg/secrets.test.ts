/** Nothing secret reaches a worker, an error, or what inspect shows. */
import { inspect } from 'node:util';
import { createPgPool } from 'cenote/pg';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { ask, connections, join, newName, open, postgres } from '../support/postgres.ts';
import { rejection } from '../support/wait.ts';

const deep = (value: unknown): string =>
  inspect(value, { depth: 20, showHidden: true, getters: true, maxStringLength: null, maxArrayLength: null });

/** The settings in every form, with a password that nothing else contains. */
async function target() {
  const { url } = await postgres();
  const { searchParams, password } = new URL(url);
  return { url, password, settings: { host: searchParams.get('host')!, user: 'postgres', password, database: 'postgres', port: 5432 } };
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
    const loaded = Object.keys(((await scope.load('node:module')) as any).default._cache ?? {}).filter((path) =>
      /node_modules.pg/.test(path),
    );
    held.release();
    core.release(remote as never);
    return {
      found: text.includes(secret),
      loaded,
      refused: tries.filter((each) => /not a method that workers may call/.test(String(each))).length,
    };
  }, password);
  expect(seen).toEqual({ found: false, loaded: [], refused: expect.any(Number) });
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

test('what is given is copied before use, all of it, for every connection', async () => {
  const { settings } = await target();
  const name = newName();
  const given: pg.ClientConfig = {
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
