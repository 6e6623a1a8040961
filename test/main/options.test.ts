import { createPool, type PoolOptions } from 'cenote';
import { describe, expect, test } from 'vitest';
import { open } from '../support/pools.ts';
import { failureOf, settled } from '../support/wait.ts';

type Options = PoolOptions<object>;

/** The error for these options; the rest are good. */
const refusal = async (bad: Record<string, unknown>): Promise<Error> => {
  const error = await failureOf(() => createPool({ factory: () => ({}), ...bad } as unknown as Options));
  expect(error).toBeInstanceOf(Error);
  return error as Error;
};

const functions = ['factory', 'destructor', 'healthcheck', 'beforeAcquire', 'beforeRelease', 'share'] as const;
const counts = ['min', 'max', 'maxCreating', 'maxUses', 'maxWaiting', 'maxThreads', 'recoveryProbes'] as const;
const durations = [
  'healthcheckInterval',
  'acquireTimeout',
  'createTimeout',
  'checkTimeout',
  'idleTimeout',
  'maxLifetime',
  'leakDetectionThreshold',
] as const;
const numbers = [...counts, ...durations];

describe('refused with a TypeError that names the option and the value', () => {
  test.each(functions)('%s that is not a function', async (option) => {
    const error = await refusal({ [option]: 'oops' });
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(option);
    expect(error.message).toContain('oops');
  });

  test.each(numbers)('%s that is a string', async (option) => {
    const error = await refusal({ [option]: '17' });
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(option);
    expect(error.message).toContain('17');
  });

  test.each(numbers)('%s that is null', async (option) => {
    const error = await refusal({ [option]: null });
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(option);
    expect(error.message).toContain('null');
  });

  test('name that is no string', async () => {
    const error = await refusal({ name: 42 });
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain('name');
    expect(error.message).toContain('42');
  });

  test('expose that is no array', async () => {
    const error = await refusal({ expose: 'query' });
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain('expose');
    expect(error.message).toContain('query');
  });

  test('expose with something in it that is no string', async () => {
    const error = await refusal({ expose: ['query', 42] });
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain('expose');
    expect(error.message).toContain('42');
  });

  test.each([
    ['a string', 'closed'],
    ['an object without reportFailure', { reportSuccess() {} }],
    ['a number', 1],
  ])('circuitBreaker that is %s', async (_, value) => {
    const error = await refusal({ circuitBreaker: value });
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/circuitBreaker|strategy|reportFailure/);
  });

  test('no options at all', async () => {
    expect(await failureOf(() => createPool(undefined as never))).toBeInstanceOf(TypeError);
    expect(await failureOf(() => createPool(null as never))).toBeInstanceOf(TypeError);
  });

  test('no factory', async () => {
    const error = await failureOf(() => createPool({} as never));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toContain('factory');
  });
});

describe('refused with a RangeError that names the option and the value', () => {
  test.each(numbers)('%s that is negative', async (option) => {
    const error = await refusal({ [option]: -17 });
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toContain(option);
    expect(error.message).toContain('-17');
  });

  test('min above max', async () => {
    const error = await refusal({ min: 7, max: 5 });
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toContain('min');
    expect(error.message).toContain('7');
  });

  test('min above the default of max', async () => {
    const error = await refusal({ min: 11 });
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toContain('min');
    expect(error.message).toContain('11');
  });

  test('max of 0', async () => {
    const error = await refusal({ max: 0 });
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toContain('max');
  });
});

describe('refused with an error that names the option and the value', () => {
  const named = (error: Error, option: string, value: string) => {
    expect(error instanceof TypeError || error instanceof RangeError, `a ${error.name}`).toBe(true);
    expect(error.message).toContain(option);
    expect(error.message).toContain(value);
  };

  test.each(numbers)('%s that is NaN', async (option) => named(await refusal({ [option]: Number.NaN }), option, 'NaN'));

  test.each(counts)('%s that is no whole number', async (option) => named(await refusal({ [option]: 1.5 }), option, '1.5'));

  test('orphans that is neither destroy nor release', async () => named(await refusal({ orphans: 'keep' }), 'orphans', 'keep'));
});

test('bad options are found before the factory is called', async () => {
  let calls = 0;
  await refusal({ min: 1, maxUses: -1, factory: () => ({ n: ++calls }) });
  expect(calls).toBe(0);
});

describe('accepted', () => {
  test.each([...functions.slice(1), ...numbers, 'name', 'expose', 'circuitBreaker', 'orphans'])(
    'undefined for %s, which means its default',
    async (option) => {
      const pool = await open({ factory: () => ({}), [option]: undefined } as Options);
      pool.release(await pool.acquire());
    },
  );

  test.each([
    'min',
    'healthcheckInterval',
    'acquireTimeout',
    'createTimeout',
    'checkTimeout',
    'idleTimeout',
    'maxLifetime',
    'maxUses',
    'maxCreating',
    'leakDetectionThreshold',
  ])('0 for %s', async (option) => {
    const pool = await open({ factory: () => ({}), [option]: 0 } as Options);
    pool.release(await pool.acquire());
    expect(pool.idleCount()).toBe(1);
  });

  test.each([...durations, 'maxUses', 'maxCreating'] as const)('Infinity for %s is no limit, or off', async (option) => {
    const pool = await open({ factory: () => ({}), healthcheck: () => {}, max: 1, [option]: Number.POSITIVE_INFINITY } as Options);
    const first = await pool.acquire();
    const waiting = pool.acquire({ timeout: Number.POSITIVE_INFINITY });
    pool.release(first);
    const second = await settled(waiting);
    expect(second).toBe(first);
    pool.release(second);
    await settled(pool.drain({ timeout: Number.POSITIVE_INFINITY }));
  });

  test.each(['min', 'max', 'maxWaiting', 'maxThreads', 'recoveryProbes'])('not for %s, which has a largest value', async (option) => {
    const error = await refusal({ [option]: Number.POSITIVE_INFINITY });
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toMatch(new RegExp(`^${option} .* to \\d+, not Infinity$`));
  });

  test('min equal to max', async () => {
    const pool = await open({ factory: () => ({}), min: 3, max: 3 });
    expect(pool.count()).toBe(3);
  });
});

describe('defaults', () => {
  test('the name is pool', async () => {
    const pool = await open({ factory: () => ({}) });
    expect(pool.name).toBe('pool');
    expect(pool.stats().name).toBe('pool');
    expect(pool.handle.name).toBe('pool');
  });

  test('min is 0 and max is 10', async () => {
    const pool = await open({ factory: () => ({}) });
    expect(pool.stats()).toMatchObject({ min: 0, max: 10, count: 0 });
  });

  test('the given name, min and max are used', async () => {
    const pool = await open({ factory: () => ({}), name: 'db', min: 1, max: 3 });
    expect(pool.name).toBe('db');
    expect(pool.stats()).toMatchObject({ name: 'db', min: 1, max: 3 });
  });
});
