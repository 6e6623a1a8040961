/** Options of createPgPool and of what its pools do: misspelt ones are refused, and those of pg.Pool are answered with ours. */
import { createPgPool, type PgPoolOptions } from 'cenote/pg';
import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { join, on, open, WHERE } from '../support/postgres.ts';
import { failureOf } from '../support/wait.ts';

/** Nothing listens there; and nothing connects, as no connection is made before it is wanted. */
const connection = 'postgres://ada:lovelace@localhost:1/nothing';
const refusal = async (options: object): Promise<string> => {
  const error = await failureOf(() => createPgPool({ connection, ...options }));
  expect(error).toBeInstanceOf(TypeError);
  expect((error as Error).message).not.toContain('lovelace');
  return (error as Error).message;
};
const made = async (options: object) => {
  const pool = await createPgPool({ connection, ...options });
  onTestFinished(() => pool.end());
  return pool;
};

/** All of them: the compiler counts. */
const OPTIONS = Object.keys({
  ...{
    connection: 1,
    onConnect: 1,
    statementCacheSize: 1,
    reset: 1,
    lend: 1,
    batch: 1,
    min: 1,
    maxCreating: 1,
    budget: 1,
    max: 1,
    name: 1,
    healthcheckInterval: 1,
  },
  ...{ acquireTimeout: 1, createTimeout: 1, checkTimeout: 1, idleTimeout: 1, maxLifetime: 1, maxUses: 1, maxWaiting: 1 },
  ...{ maxThreads: 1, leakDetectionThreshold: 1, orphans: 1, recoveryProbes: 1, circuitBreaker: 1, strict: 1, ceiling: 1, maxHold: 1 },
} satisfies Record<keyof PgPoolOptions, 1>);

describe('createPgPool', () => {
  test.each(OPTIONS)('knows %s, and how it is spelt', async (name) => {
    for (const strict of [true, false])
      expect(await refusal({ [name.toUpperCase()]: 1, strict })).toBe(
        `unknown option "${name.toUpperCase()}" of createPgPool: it is spelt ${name}`,
      );
    await made({ [name]: name === 'connection' ? connection : undefined });
  });

  test.each([
    ['statementcachesize', 'it is spelt statementCacheSize'],
    ['statmentCacheSize', 'do you mean statementCacheSize?'],
    ['onConect', 'do you mean onConnect?'],
    ['conection', 'do you mean connection?'],
    ['host', 'put it in connection, like connection: { host }'],
    ['user', 'put it in connection, like connection: { user }'],
    ['connectionString', 'put it in connection, like connection: { connectionString }'],
    ['ssl', 'put it in connection, like connection: { ssl }'],
    ['application_name', 'put it in connection, like connection: { application_name }'],
    ['statement_timeout', 'put it in connection, like connection: { statement_timeout }'],
    ['url', 'use connection, which may be a connection string'],
    ['idleTimeoutMillis', 'use idleTimeout, in milliseconds'],
    ['connectionTimeoutMillis', 'use acquireTimeout, in milliseconds, for the wait in line, and createTimeout for making one'],
    ['maxLifetimeSeconds', 'use maxLifetime, in milliseconds: a thousand for each second'],
    ['allowExitOnIdle', 'leave it out, as an idle pool never keeps the process alive'],
    ['verify', 'use onConnect, which refuses a connection by a throw'],
    ['Client', 'leave it out'],
    ['log', 'leave it out'],
    ['validate', 'createPgPool makes, checks and resets connections itself (see onConnect and reset)'],
    ['create', 'createPgPool makes, checks and resets connections itself'],
    ['healthCheck', 'createPgPool makes, checks and resets connections itself'],
  ])('%s: %s', async (name, answer) => {
    expect(await refusal({ [name]: 1 })).toContain(answer);
  });

  test('what a name that is none held is not shown: it may be a password', async () => {
    for (const name of ['password', 'pasword', 'pin'])
      for (const secret of ['31415926', 31415926]) expect(await refusal({ [name]: secret })).not.toContain('31415926');
  });

  test('has an answer for whatever pg.Pool makes of its options', async () => {
    // A client has these of its own accord, or works them out.
    const derived = ['isDomainSocket', 'connect_timeout', 'keepalives', 'keepalives_idle'];
    const { connectionParameters } = new pg.Client() as unknown as { connectionParameters: object };
    const names = Object.getOwnPropertyNames(connectionParameters).filter((name) => !derived.includes(name));
    expect(names).toContain('password');
    for (const name of names) expect(await refusal({ [name]: 1 })).toContain(`put it in connection, like connection: { ${name} }`);
    const ofThePool = Object.keys((new pg.Pool() as unknown as { options: object }).options);
    expect(ofThePool).toContain('maxLifetimeSeconds');
    for (const name of ofThePool) if (!OPTIONS.includes(name)) expect(await refusal({ [name]: 1 })).toMatch(/: (use \w|leave it out, as )/);
  });

  test('strict: false ignores what no pool knows', async () => {
    const pool = await made({ strict: false, host: 'db', flavour: 1, connection: { connectionString: connection, max: 3 } });
    expect(pool.pool.stats().max).toBe(10);
  });

  test.each(['max', 'min', 'maxUses', 'onConnect'])('%s in connection, where nothing would look at it, belongs beside it', async (name) => {
    expect(await refusal({ connection: { host: 'db', [name]: 3 } })).toContain(`put ${name} beside connection`);
  });

  test.each(['idleTimeoutMillis', 'maxLifetimeSeconds', 'verify'])('%s in connection is a setting of the pool', async (name) => {
    expect(await refusal({ connection: { host: 'db', [name]: 3 } })).toMatch(/^connection\.\w+ is a setting of the pool, .*: use \w/);
  });

  test('other names in connection are pg’s', () =>
    made({ connection: { host: 'db', connectionTimeoutMillis: 5, flavour: 1, allowExitOnIdle: true } }));

  test('inherited options reach the pool', async () => {
    class Settings {
      connection = connection;
      get max() {
        return 4;
      }
    }
    const inherited = await createPgPool(Object.create(new Settings()));
    onTestFinished(() => inherited.end());
    expect(inherited.pool.stats().max).toBe(4);
  });
});

describe.each(WHERE)('on %s', (where) => {
  test('a misspelt option of a transaction or of iterate is refused before anything runs', async () => {
    const run = await on(where, await open());
    const messages = await run(async (pool) => {
      const told: string[] = [];
      const tell = (error: Error) => void told.push(`${error.name}: ${error.message}`);
      let ran = 0;
      const body = async () => void ran++;
      for (const options of [{ isolationLevel: 'serializable' }, { readonly: true }, { retires: 3 }, { readOnly: 'no' }, 'serializable'])
        await pool.transaction(body, options as never).catch(tell);
      for (const options of [{ batchsize: 5 }, { highWaterMark: 5 }, 5, null])
        try {
          for await (const _ of pool.iterate('select 1', [], options as never)) ran++;
        } catch (error) {
          tell(error as Error);
        }
      await pool.transaction(body, { isolation: 'serializable', readOnly: true, deferrable: true, retries: 1, timeout: 60_000 });
      return [...told, ran];
    });
    expect(messages).toEqual([
      'TypeError: unknown option "isolationLevel" of a transaction: use isolation',
      'TypeError: unknown option "readonly" (true) of a transaction: it is spelt readOnly',
      'TypeError: unknown option "retires" (3) of a transaction: do you mean retries?',
      'TypeError: readOnly must be true or false, not no',
      'TypeError: a transaction takes options like { isolation, readOnly, deferrable, retries, timeout, signal, maxHold }, not "serializable"',
      'TypeError: unknown option "batchsize" (5) of iterate: it is spelt batchSize',
      'TypeError: unknown option "highWaterMark" (5) of iterate: use batchSize',
      'TypeError: iterate takes options like { batchSize }, not 5',
      'TypeError: iterate takes options like { batchSize }, not null',
      1,
    ]);
  });
});

test('of a transactionSync, too', async () => {
  const worker = await join(await open());
  const message = await worker.pg((pool) => {
    try {
      return pool.transactionSync(() => 'ran', { isolationLevel: 'serializable' } as never);
    } catch (error) {
      return (error as Error).message;
    }
  });
  expect(message).toContain('use isolation');
});
