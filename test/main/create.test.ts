import { createPool } from 'cenote';
import { describe, expect, test } from 'vitest';
import { createPool as createHere } from '../../src/main/index.ts';
import type { Observed } from '../../src/shared/observing/observed.ts';
import { knotBefore } from '../../src/shared/observing/pools-here.ts';
import { open, record, workshop } from '../support/pools.ts';
import { failureOf, gate, rejection, sleep, staysPending, until } from '../support/wait.ts';

describe('createPool', () => {
  test('without min makes nothing', async () => {
    const shop = workshop();
    const pool = await open(shop);
    expect(shop.made).toHaveLength(0);
    expect(pool.stats()).toMatchObject({ count: 0, idle: 0, active: 0, created: 0 });
  });

  test('resolves when min resources exist', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 3 });
    expect(shop.made).toHaveLength(3);
    expect(pool.stats()).toMatchObject({ count: 3, idle: 3, active: 0, created: 3 });
  });

  test('does not resolve before min resources exist', async () => {
    const slow = gate<object>();
    let calls = 0;
    const creating = open({ factory: () => (++calls === 2 ? slow.promise : { n: calls }), min: 2 });
    await staysPending(creating);
    slow.open({});
    const pool = await creating;
    expect(pool.idleCount()).toBe(2);
  });

  test('hands out what min made before making more', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 2 });
    const [a, b] = [await pool.acquire(), await pool.acquire()];
    expect(new Set([a, b])).toEqual(new Set(shop.made));
    expect(shop.made).toHaveLength(2);
  });

  test("rejects with the factory's own error", async () => {
    const error = new Error('no route to host');
    expect(
      await failureOf(() =>
        createPool({
          min: 1,
          factory: () => {
            throw error;
          },
        }),
      ),
    ).toBe(error);
    expect(await failureOf(() => createPool({ min: 1, factory: () => Promise.reject(error) }))).toBe(error);
  });

  test('destroys what was already made when the factory fails on the way', async () => {
    const shop = workshop();
    const error = new Error('too many connections');
    const failure = await failureOf(() =>
      createPool({
        ...shop,
        min: 3,
        factory: async () => {
          if (shop.made.length === 2) throw error;
          return shop.factory();
        },
      }),
    );
    expect(failure).toBe(error);
    await until(() => shop.gone.length === shop.made.length);
    expect(new Set(shop.gone).size).toBe(shop.gone.length);
  });

  test('destroys also what arrives after another creation has failed', async () => {
    const shop = workshop();
    let calls = 0;
    const signals: AbortSignal[] = [];
    const failure = await failureOf(() =>
      createPool({
        ...shop,
        min: 3,
        factory: async ({ signal }) => {
          signals.push(signal);
          if (++calls === 1) throw new Error('refused');
          await sleep(30);
          return shop.factory();
        },
      }),
    );
    expect(failure).toMatchObject({ message: 'refused' });
    await sleep(40);
    await until(() => shop.gone.length === shop.made.length);
  });

  test('rejects with the TypeError when the factory gives nothing', async () => {
    expect(await failureOf(() => createPool({ min: 1, factory: () => null as unknown as object }))).toBeInstanceOf(TypeError);
  });

  test('rejects with CreateTimeoutError when making the first ones takes too long', async () => {
    const failure = await failureOf(() =>
      createPool({ name: 'slow', min: 1, createTimeout: 20, factory: () => new Promise<object>(() => {}) }),
    );
    expect(failure).toMatchObject({ name: 'CreateTimeoutError', code: 'ERR_POOL_CREATE_TIMEOUT', pool: 'slow' });
  });
});

describe('the factory', () => {
  test('may be synchronous', async () => {
    const resource = {};
    const pool = await open({ factory: () => resource });
    expect(await pool.acquire()).toBe(resource);
  });

  test('may be asynchronous', async () => {
    const resource = {};
    const pool = await open({
      factory: async () => {
        await sleep(5);
        return resource;
      },
    });
    expect(await pool.acquire()).toBe(resource);
  });

  test('may return any thenable', async () => {
    const resource = {};
    const pool = await open({
      factory: () =>
        ({
          // biome-ignore lint/suspicious/noThenProperty: a PromiseLike is what this is about
          then: (resolve: (value: object) => void) => setImmediate(resolve, resource),
        }) as unknown as PromiseLike<object>,
    });
    expect(await pool.acquire()).toBe(resource);
  });

  test('gets a signal that is not aborted', async () => {
    let signal: AbortSignal | undefined;
    const pool = await open({
      factory: (context) => {
        signal = context.signal;
        return {};
      },
    });
    await pool.acquire();
    expect(signal).toBeInstanceOf(AbortSignal);
    expect(signal?.aborted).toBe(false);
  });

  test.each([null, undefined])('that gives %s has failed, with a TypeError', async (nothing) => {
    const pool = await open({ factory: () => nothing as unknown as object });
    expect(await failureOf(() => pool.acquire())).toBeInstanceOf(TypeError);
    expect(pool.stats()).toMatchObject({ count: 0, factoryFailures: 1 });
  });

  test.each([0, '', false, Number.NaN])('may give %j: only null and undefined are no resource', async (resource) => {
    const pool = await open<unknown>({ factory: () => resource });
    const got = await pool.acquire();
    expect(got).toBe(resource);
    pool.release(got);
    expect(pool.stats()).toMatchObject({ count: 1, idle: 1 });
  });

  test('is not called again while an idle resource is there', async () => {
    const shop = workshop();
    const pool = await open(shop);
    for (let i = 0; i < 20; i++) pool.release(await pool.acquire());
    expect(shop.made).toHaveLength(1);
  });

  test('that throws what is no error: the acquire rejects with just that', async () => {
    const pool = await open<object>({ factory: () => Promise.reject('busy') });
    expect(await failureOf(() => pool.acquire())).toBe('busy');
  });
});

test("'create' is emitted for each resource made", async () => {
  const shop = workshop();
  const pool = await open(shop);
  const log = record(pool);
  const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
  expect(new Set(log.created)).toEqual(new Set([a, b]));
});

test('a pool that could not be created leaves no timer behind that calls the factory again', async () => {
  let calls = 0;
  await failureOf(() =>
    createPool({
      min: 1,
      factory: () => {
        calls++;
        throw new Error('no');
      },
    }),
  );
  const before = calls;
  await sleep(100);
  expect(calls).toBe(before);
});

test('createPool whose budget does not let it in leaves nothing to be watched', async () => {
  const watched = (): number => {
    let count = 0;
    const counts = (pools: Iterable<Observed>): boolean => {
      count = [...pools].length;
      return false;
    };
    knotBefore({ isHeldByWaiters: counts } as unknown as Observed);
    return count;
  };
  const before = watched();
  const error = new Error('closed');
  const enter = (): never => {
    throw error;
  };
  expect(await rejection(createHere({ factory: () => ({}), budget: { enter } }))).toBe(error);
  expect(watched()).toBe(before);
  const pool = await createHere({ factory: () => ({}) });
  expect(watched()).toBe(before + 1);
  await pool.close();
  expect(watched()).toBe(before);
});
