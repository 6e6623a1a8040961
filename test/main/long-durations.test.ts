import { createPool, type Pool, type PoolOptions } from 'cenote';
import { describe, expect, test } from 'vitest';
import { open, record, workshop } from '../support/pools.ts';
import { ownTime } from '../support/time.ts';
import { outcome, rejection, settled, sleep } from '../support/wait.ts';

/** Timers of Node fire after 1 ms when asked for more than 2^31 - 1. Thirty days are more than that, and so is Infinity. */
const long = [2 ** 31, 30 * 24 * 3600 * 1000, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY];

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** The pool, or nothing when the option was refused: that is all right, too, if it is done with a RangeError. */
const openOrRefused = async <T>(options: PoolOptions<T>): Promise<Pool<T> | undefined> => {
  const { value, error } = await outcome(createPool(options));
  if (!value) {
    expect(error).toBeInstanceOf(RangeError);
    return undefined;
  }
  await value.close();
  return open(options);
};

describe.each(long)('a duration of %d ms is either refused or long:', (ms) => {
  test('acquireTimeout', async () => {
    const time = ownTime();
    const pool = await openOrRefused({ ...workshop(), max: 1, acquireTimeout: ms });
    if (!pool) return;
    const held = await pool.acquire();
    const waiting = pool.acquire();
    await time.pending(waiting, DAY);
    pool.release(held);
    await settled(waiting);
  });

  test('timeout of acquire', async () => {
    const time = ownTime();
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const waiting = outcome(pool.acquire({ timeout: ms }));
    await time.pass(DAY);
    pool.release(held);
    const { error } = await waiting;
    if (error) expect(error).toBeInstanceOf(RangeError);
  });

  test('createTimeout', async () => {
    const pool = await openOrRefused({ createTimeout: ms, factory: () => sleep(20).then(() => ({})) });
    if (pool) await settled(pool.acquire());
  });

  test('checkTimeout', async () => {
    const shop = workshop();
    const pool = await openOrRefused({ ...shop, min: 1, max: 1, checkTimeout: ms, beforeAcquire: () => sleep(20) });
    if (!pool) return;
    const made = shop.made.length;
    await settled(pool.acquire());
    expect(shop.made).toHaveLength(made);
  });

  test('idleTimeout, maxLifetime', async () => {
    const time = ownTime();
    for (const option of ['idleTimeout', 'maxLifetime']) {
      const pool = await openOrRefused({ ...workshop(), [option]: ms });
      if (!pool) continue;
      pool.release(await pool.acquire());
      await time.holds(() => pool.idleCount() === 1, HOUR);
    }
  });

  test('healthcheckInterval', async () => {
    const time = ownTime();
    let checks = 0;
    const pool = await openOrRefused({ ...workshop(), min: 1, healthcheckInterval: ms, healthcheck: () => void checks++ });
    if (!pool) return;
    await time.pass(DAY);
    expect(checks).toBe(0);
  });

  test('leakDetectionThreshold', async () => {
    const time = ownTime();
    const pool = await openOrRefused({ ...workshop(), leakDetectionThreshold: ms });
    if (!pool) return;
    const log = record(pool);
    await pool.acquire();
    await time.pass(HOUR);
    expect(log.leaks).toEqual([]);
  });

  test('timeout of drain', async () => {
    const time = ownTime();
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const draining = outcome(pool.drain({ timeout: ms }));
    await time.pass(DAY);
    pool.release(held);
    const { error } = await draining;
    if (error) expect(error).toBeInstanceOf(RangeError);
    else expect(pool.stats().active).toBe(0);
  });
});

test('a refused acquire leaves nothing behind', async () => {
  const pool = await open({ ...workshop(), max: 1 });
  const held = await pool.acquire();
  for (const ms of long) {
    const { error } = await outcome(pool.acquire({ timeout: ms, signal: AbortSignal.timeout(5) }));
    expect(error).toBeDefined();
  }
  expect(pool.waitingCount()).toBe(0);
  pool.release(held);
  await rejection(pool.acquire({ signal: AbortSignal.abort() }));
  expect(pool.idleCount()).toBe(1);
});
