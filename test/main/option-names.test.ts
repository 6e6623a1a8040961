/** Names that are no options: refused, with the nearest that is, or with ours for what other pools call so. */
import { consecutiveFailures, createPool, failureRate, type PoolOptions } from 'cenote';
import { Pool as Tarn } from 'tarn';
import { describe, expect, test } from 'vitest';
import { foreignOptions } from '../../dist/shared/options/foreign-options.js';
import { nearestOf } from '../../dist/shared/options/option-names.js';
import { open } from '../support/pools.ts';
import { failureOf } from '../support/wait.ts';

const factory = () => ({});
const refusal = async (options: object): Promise<string> => {
  let made = 0;
  const error = await failureOf(() => createPool({ min: 1, factory: () => ({ n: ++made }), ...options } as PoolOptions<object>));
  expect(error).toBeInstanceOf(TypeError);
  expect(made).toBe(0);
  return (error as Error).message;
};
const accepted = async (options: object): Promise<void> => {
  const pool = await open(options as PoolOptions<object>);
  pool.release(await pool.acquire());
};

describe('a name that no pool knows', () => {
  test.each([
    ['mx', 'max'],
    ['nmae', 'name'],
    ['maxWaitng', 'maxWaiting'],
    ['aquireTimeout', 'acquireTimeout'],
    ['acquireTimeoutMs', 'acquireTimeout'],
    ['lifetime', 'maxLifetime'],
    ['healthChek', 'healthcheck'],
    ['destroyer', 'destructor'],
  ])('%s is a TypeError that names %s', async (name, meant) => {
    const message = await refusal({ [name]: 5 });
    expect(message).toContain(`"${name}" (5) of createPool`);
    expect(message).toMatch(new RegExp(`(mean|use) ${meant}\\b`));
  });

  test('that is near to nothing is told all that there are', async () => {
    const message = await refusal({ flavour: 5 });
    expect(message).toContain('"flavour"');
    for (const name of ['factory', 'max', 'recoveryProbes', 'strict']) expect(message).toContain(name);
  });

  test('is shown cut off, if it is long', async () => expect((await refusal({ ['x'.repeat(1_000_000)]: 1 })).length).toBeLessThan(500));

  test('keeps a text to itself, which may be a secret', async () => {
    const message = await refusal({ connectionString: 'postgres://ada:lovelace@db' });
    expect(message).toContain('createPgPool');
    expect(message).not.toContain('lovelace');
  });
});

describe('a name of another pool is answered with ours', () => {
  test.each([
    ['create', 'use factory'],
    ['destroy', 'use destructor'],
    ['validate', 'use beforeAcquire'],
    ['testOnBorrow', 'use beforeAcquire'],
    ['testOnReturn', 'use beforeRelease'],
    ['idleTimeoutMillis', 'use idleTimeout, in milliseconds'],
    ['maxLifetimeSeconds', 'use maxLifetime, in milliseconds: a thousand for each second'],
    ['connectionTimeoutMillis', 'use acquireTimeout, in milliseconds, for the wait in line, and createTimeout for making one'],
    ['acquireTimeoutMillis', 'use acquireTimeout, in milliseconds'],
    ['createTimeoutMillis', 'use createTimeout, in milliseconds'],
    ['destroyTimeoutMillis', 'use checkTimeout, in milliseconds'],
    ['maxWaitingClients', 'use maxWaiting'],
    ['poolSize', 'use max'],
    ['verify', 'use factory'],
    ['allowExitOnIdle', 'leave it out, as an idle pool never keeps the process alive'],
    ['evictionRunIntervalMillis', 'leave it out'],
    ['numTestsPerEvictionRun', 'leave it out'],
    ['reapIntervalMillis', 'leave it out'],
    ['propagateCreateError', 'leave it out'],
    ['fifo', 'leave it out'],
    ['log', 'leave it out'],
    ['host', 'createPgPool'],
  ])('%s: %s', async (name, answer) => {
    expect(await refusal({ [name]: 1 })).toContain(`unknown option "${name}" (1) of createPool: `);
    expect(await refusal({ [name]: 1 })).toContain(answer);
  });

  test('also misspelt', async () => {
    expect(await refusal({ idleTimeoutMilis: 1 })).toContain('nearly idleTimeoutMillis: use idleTimeout, in milliseconds');
    expect(await refusal({ IDLETIMEOUTMILLIS: 1 })).toContain('nearly idleTimeoutMillis: use idleTimeout');
  });

  test('before the missing factory is', async () => {
    const error = await failureOf(() => createPool({ create: factory, destroy() {} } as never));
    expect((error as Error).message).toContain('use factory');
  });

  test('all that tarn takes', async () => {
    // It refuses what it does not know: so these names are its own.
    const theirs = {
      ...{ create: factory, destroy() {}, validate: () => true, log() {}, min: 0, max: 1, propagateCreateError: true },
      ...{ acquireTimeoutMillis: 1, createTimeoutMillis: 1, destroyTimeoutMillis: 1, idleTimeoutMillis: 1 },
      ...{ reapIntervalMillis: 1, createRetryIntervalMillis: 1 },
    };
    await new Tarn(theirs).destroy();
    for (const [name, value] of Object.entries(theirs))
      if (name === 'min' || name === 'max') await accepted({ factory, max: 1, [name]: value });
      else expect(await refusal({ [name]: value }), name).toMatch(/: (use \w|leave it out, as )/);
  });

  test('and what is named there is an option', async () => {
    for (const [name, answer] of Object.entries(foreignOptions([], 'none'))) expect(answer, name).toMatch(/^(none|leave it out, as .+)$/);
    const options = {
      ...{ factory: 1, destructor: 1, beforeAcquire: 1, beforeRelease: 1, min: 1, max: 1, maxWaiting: 1, maxLifetime: 1 },
      ...{ acquireTimeout: 1, createTimeout: 1, checkTimeout: 1, idleTimeout: 1 },
    } satisfies Partial<Record<keyof PoolOptions<object>, 1>>;
    for (const [name, answer] of Object.entries(foreignOptions(Object.keys(options), 'none')))
      expect(answer, name).toMatch(/^(use \w+|leave it out, as .+)/);
  });
});

describe('strict: false', () => {
  test('ignores what no pool knows', () => accepted({ factory, strict: false, flavour: 1, idleTimeoutMillis: 1, mx: 1 }));
  test('refuses wrong capitals all the same', async () => expect(await refusal({ strict: false, MAX: 1 })).toContain('it is spelt max'));
  test.each([0, 'no', null])('is a boolean, and not %j', async (strict) => {
    expect(await refusal({ strict })).toMatch(/^strict must be true or false, not/);
  });
});

test('names of an acquire are not looked at', async () => {
  const pool = await open({ factory });
  pool.release(await pool.acquire({ flavour: 5 } as never));
});

describe('options of another shape', () => {
  test('inherited ones count, and so do their slips', async () => {
    const pool = await open(Object.assign(Object.create({ max: 3 }), { factory }) as PoolOptions<object>);
    expect(pool.stats().max).toBe(3);
    expect(String(await failureOf(() => createPool(Object.assign(Object.create({ mx: 3 }), { factory }))))).toContain('max');
  });

  test('an instance of a class: accessors and methods of it are no options', async () => {
    class Settings {
      factory = factory;
      get max() {
        return 4;
      }
      describe() {}
    }
    expect((await open(new Settings())).stats().max).toBe(4);
  });

  test('without a prototype', () => accepted(Object.assign(Object.create(null), { factory })));
  test('symbols are no names', () => accepted({ factory, [Symbol('mine')]: 1 }));
  test('undefined is not given', () => accepted({ factory, flavour: undefined, idleTimeoutMillis: undefined, ceiling: undefined }));

  test('what has been added to Object.prototype is nobody’s option', async () => {
    Object.defineProperty(Object.prototype, 'flavour', { value: 1, enumerable: true, configurable: true });
    try {
      await accepted({ factory });
    } finally {
      delete (Object.prototype as { flavour?: number }).flavour;
    }
  });
});

describe('functions with few options', () => {
  test.each([
    ['consecutiveFailures', () => consecutiveFailures({ treshold: 3 } as never), 'do you mean threshold?'],
    ['consecutiveFailures', () => consecutiveFailures({ rate: 0.5 } as never), 'an option of failureRate'],
    ['consecutiveFailures', () => consecutiveFailures({ halfOpenAfter: 5 } as never), 'use resetTimeout'],
    ['consecutiveFailures', () => consecutiveFailures(5 as never), 'like { threshold, resetTimeout }, not 5'],
    ['consecutiveFailures', () => consecutiveFailures(null as never), 'not null'],
    ['failureRate', () => failureRate({ windw: 1000 } as never), 'do you mean window?'],
    ['failureRate', () => failureRate({ errorThresholdPercentage: 50 } as never), 'use rate, from 0 to 1'],
    ['failureRate', () => failureRate({ flavour: 1 } as never), 'the options are rate, window, minimum, resetTimeout'],
    ['failureRate', () => failureRate('0.5' as never), 'like { rate, window, minimum, resetTimeout }, not "0.5"'],
  ])('%s, %o: %s', async (name, make, text) => {
    const error = await failureOf(make);
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toContain(name);
    expect((error as Error).message).toContain(text);
  });

  test('drain: refused, and the pool goes on', async () => {
    const pool = await open({ factory });
    for (const options of [{ timout: 5 }, { timeoutMillis: 5 }])
      expect(String(await failureOf(() => pool.drain(options as never)))).toMatch(/TypeError: unknown option .* of drain.* timeout/);
    pool.release(await pool.acquire());
  });
});

describe('the nearest', () => {
  const names = ['max', 'min', 'maxUses', 'acquireTimeout'];
  test.each([
    ['maxx', 'max'],
    ['amx', 'max'],
    ['m', undefined],
    ['mox', 'max'],
    ['maxUse', 'maxUses'],
    ['acquireTimeout123', 'acquireTimeout'],
    ['acquireTimeout1234', undefined],
    ['acqiureTimeotu', 'acquireTimeout'],
    ['', undefined],
  ])('of %j is %j', (name, nearest) => expect(nearestOf(name, names)).toBe(nearest));
});
