import vm from 'node:vm';
import { describe, expect, test } from 'vitest';
import { child } from '../support/child.ts';
import { open, record, workshop } from '../support/pools.ts';
import { rejection, settled, until } from '../support/wait.ts';

/** Things that can be thrown, and are, but are hard to say anything about. */
const thrown: [string, () => unknown][] = [
  ['an object without a prototype', () => Object.create(null)],
  [
    'an object whose toString throws',
    () => ({
      toString() {
        throw new Error('not even that');
      },
    }),
  ],
  ['a symbol', () => Symbol('thrown')],
  ['undefined', () => undefined],
  ['an error of another realm', () => vm.runInNewContext('new TypeError("from elsewhere")')],
  ['a frozen error', () => Object.freeze(new Error('frozen'))],
];

describe.each(thrown)('%s, thrown by', (_, make) => {
  test('the factory, reaches the acquire as it is, and loses no slot', async () => {
    const value = make();
    const shop = workshop();
    let broken = true;
    const pool = await open({
      ...shop,
      max: 1,
      factory: () => {
        if (broken) throw value;
        return shop.factory();
      },
    });
    for (let i = 0; i < 3; i++) expect(await rejection(pool.acquire())).toBe(value);
    expect(pool.stats()).toMatchObject({ count: 0, waiting: 0, factoryFailures: 3 });
    broken = false;
    await settled(pool.acquire());
  });

  test.each(['destructor', 'healthcheck', 'beforeAcquire', 'beforeRelease'] as const)(
    '%s, is reported as an error, and loses no slot',
    async (hook) => {
      for (const fail of [
        () => {
          throw make();
        },
        () => Promise.reject(make()),
      ]) {
        let failures = 0;
        const pool = await open({
          ...workshop(),
          max: 1,
          healthcheckInterval: 5,
          [hook]: () => {
            failures++;
            return fail();
          },
        });
        const log = record(pool);
        for (let i = 0; i < 2; i++) {
          const thing = await settled(pool.acquire());
          i ? pool.release(thing) : pool.destroy(thing);
        }
        if (hook === 'healthcheck') await until(() => failures > 0);
        await settled(pool.acquire());
        expect(failures).toBeGreaterThan(0);
        await until(() => log.errors.length > 0);
        for (const error of log.errors) expect(Object.prototype.toString.call(error)).toBe('[object Error]');
      }
    },
  );

  test('a strategy, is reported as an error, and the pool goes on', async () => {
    const fail = () => {
      throw make();
    };
    const pool = await open({ ...workshop(), max: 1, circuitBreaker: { reportSuccess: fail, reportFailure: fail } });
    const log = record(pool);
    pool.release(await settled(pool.acquire()));
    pool.destroy(await settled(pool.acquire()));
    await settled(pool.acquire());
    expect(log.errors).toHaveLength(2);
  });
});

test('none of them crashes a process that has no listener', async () => {
  const { code, lines, stuck } = await child(`
    import vm from 'node:vm';
    import { createPool } from 'cenote';
    for (const thrown of [Object.create(null), { toString() { throw new Error('no'); } }, Symbol('thrown'), vm.runInNewContext('new Error("from elsewhere")')]) {
      const fail = () => { throw thrown; };
      const pool = await createPool({ max: 1, factory: () => ({}), destructor: fail, beforeRelease: fail, circuitBreaker: { reportSuccess: fail, reportFailure: fail } });
      pool.release(await pool.acquire());
      pool.destroy(await pool.acquire());
      await pool.acquire();
    }
    console.log('alive');
  `);
  expect(lines).toEqual(['alive']);
  expect(stuck).toBe(false);
  expect(code).toBe(0);
});

test('a thenable whose then throws is a hook that failed', async () => {
  const error = new Error('then throws');
  const thenable = {
    // biome-ignore lint/suspicious/noThenProperty: a PromiseLike is what this is about
    then() {
      throw error;
    },
  } as unknown as PromiseLike<void>;
  const pool = await open({ ...workshop(), max: 1, beforeRelease: () => thenable });
  const log = record(pool);
  pool.release(await pool.acquire());
  expect((await settled(pool.acquire())).id).toBe(2);
  expect(log.errors).toEqual([error]);
});

test('a strategy that is asynchronous, and rejects, is reported as an error', async () => {
  const error = new Error('later');
  const later = (): void => Promise.reject(error) as unknown as void;
  const pool = await open({ ...workshop(), max: 1, circuitBreaker: { reportSuccess: later, reportFailure: later } });
  const log = record(pool);
  pool.release(await pool.acquire());
  await until(() => log.errors.length === 1);
  expect(log.errors).toEqual([error]);
});
