import { describe, expect, test } from 'vitest';
import { open, record, workshop } from '../support/pools.ts';
import { failureOf, rejection, settled, sleep, until } from '../support/wait.ts';

describe('use', () => {
  test('hands the resource to the body and returns what it returns', async () => {
    const shop = workshop();
    const pool = await open(shop);
    expect(await pool.use((thing) => thing.id + 41)).toBe(42);
    expect(await pool.use(async (thing) => thing)).toBe(shop.made[0]);
  });

  test('holds the resource until the body is done, then gives it back', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    await pool.use(async () => {
      await sleep(5);
      expect(pool.activeCount()).toBe(1);
    });
    expect(pool.stats()).toMatchObject({ idle: 1, active: 0, released: 1 });
  });

  test('gives it back when the body throws or rejects, and passes the error on', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const error = new Error('in the body');
    expect(
      await failureOf(() =>
        pool.use(() => {
          throw error;
        }),
      ),
    ).toBe(error);
    expect(await failureOf(() => pool.use(async () => Promise.reject(error)))).toBe(error);
    expect(pool.stats()).toMatchObject({ idle: 1, active: 0, count: 1 });
  });

  test('a body that released the resource itself is fine', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    expect(
      await pool.use((thing) => {
        pool.release(thing);
        return 'done';
      }),
    ).toBe('done');
    expect(pool.stats()).toMatchObject({ idle: 1, released: 1 });
  });

  test('a body that destroyed the resource itself is fine', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    expect(
      await pool.use((thing) => {
        pool.destroy(thing);
        return 'done';
      }),
    ).toBe('done');
    await until(() => pool.count() === 0);
  });

  test('a body that released it itself does not take it away from the next borrower', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    await pool.use(async (thing) => {
      pool.release(thing);
      expect(await pool.acquire()).toBe(thing);
    });
    expect(pool.stats()).toMatchObject({ idle: 0, active: 1 });
  });

  test('a body that released it itself and then throws: its own error arrives', async () => {
    const pool = await open(workshop());
    const error = new Error('in the body');
    expect(
      await failureOf(() =>
        pool.use((thing) => {
          pool.release(thing);
          throw error;
        }),
      ),
    ).toBe(error);
  });

  test('takes timeout and signal', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    await pool.acquire();
    let ran = false;
    const body = () => {
      ran = true;
    };
    expect(await rejection(pool.use(body, { timeout: 10 }))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
    expect(await rejection(pool.use(body, { signal: AbortSignal.abort('why') }))).toBe('why');
    expect(ran).toBe(false);
  });

  test('rejects when the pool is closed, without running the body', async () => {
    const pool = await open(workshop());
    await pool.close();
    let ran = false;
    expect(
      await rejection(
        pool.use(() => {
          ran = true;
        }),
      ),
    ).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(ran).toBe(false);
  });
});

describe('lease', () => {
  test('holds a resource', async () => {
    const shop = workshop();
    const pool = await open(shop);
    const lease = await pool.lease();
    expect(lease.resource).toBe(shop.made[0]);
    expect(pool.activeCount()).toBe(1);
  });

  test('release gives it back', async () => {
    const pool = await open(workshop());
    const lease = await pool.lease();
    lease.release();
    expect(pool.stats()).toMatchObject({ idle: 1, released: 1 });
  });

  test('destroy calls the destructor and reports the error', async () => {
    const shop = workshop();
    const errors: Error[] = [];
    const pool = await open({ ...shop, circuitBreaker: { reportSuccess() {}, reportFailure: (_, error) => void errors.push(error) } });
    const log = record(pool);
    const lease = await pool.lease();
    const error = new Error('reset');
    lease.destroy(error);
    await until(() => shop.gone.length === 1);
    expect(errors).toEqual([error]);
    expect(log.reasons()).toEqual(['destroyed']);
  });

  test('releases itself at the end of a using block', async () => {
    const pool = await open(workshop());
    const lease = await pool.lease();
    lease[Symbol.dispose]();
    expect(pool.stats()).toMatchObject({ idle: 1, released: 1 });
  });

  test('releases itself at the end of an await using block', async () => {
    const pool = await open(workshop());
    const lease = await pool.lease();
    await lease[Symbol.asyncDispose]();
    expect(pool.stats()).toMatchObject({ idle: 1, released: 1 });
  });

  test('that was released or destroyed in the block leaves it without a complaint', async () => {
    const pool = await open(workshop());
    const released = await pool.lease();
    released.release();
    released[Symbol.dispose]();
    await released[Symbol.asyncDispose]();
    const destroyed = await pool.lease();
    destroyed.destroy();
    destroyed[Symbol.dispose]();
    await destroyed[Symbol.asyncDispose]();
    await until(() => pool.count() === 0);
    expect(pool.stats()).toMatchObject({ acquired: 2, released: 2 });
  });

  test('that was released does not take the resource away from the next borrower', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const lease = await pool.lease();
    lease.release();
    const thing = await pool.acquire();
    expect(thing).toBe(lease.resource);
    lease[Symbol.dispose]();
    await lease[Symbol.asyncDispose]();
    expect(pool.stats()).toMatchObject({ active: 1, idle: 0 });
    pool.release(thing);
  });

  test('whose resource was released through the pool leaves the block without a complaint', async () => {
    const pool = await open(workshop());
    const lease = await pool.lease();
    pool.release(lease.resource);
    await lease[Symbol.asyncDispose]();
    expect(pool.stats()).toMatchObject({ idle: 1, released: 1 });
  });

  test('waits in line, takes timeout and signal', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const first = await pool.lease();
    expect(await rejection(pool.lease({ timeout: 10 }))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
    expect(await rejection(pool.lease({ signal: AbortSignal.abort('why') }))).toBe('why');
    const waiting = pool.lease();
    await until(() => pool.waitingCount() === 1);
    first.release();
    expect((await settled(waiting)).resource).toBe(first.resource);
  });
});

test('the pool itself can be used with await using: it is closed at the end', async () => {
  const shop = workshop();
  const pool = await open({ ...shop, min: 1 });
  await settled(pool[Symbol.asyncDispose]());
  expect(pool.isClosed()).toBe(true);
  expect(shop.gone).toEqual(shop.made);
});
