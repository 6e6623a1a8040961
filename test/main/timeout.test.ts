import { PoolError } from 'cenote';
import { describe, expect, test } from 'vitest';
import { expectWhole, open, workshop } from '../support/pools.ts';
import { ownTime } from '../support/time.ts';
import { outcome, rejection, settled, sleep, until } from '../support/wait.ts';

/** A pool of one, which is out. */
const exhausted = async (options: object = {}) => {
  const pool = await open({ ...workshop(), name: 'db', max: 1, ...options });
  return { pool, held: await pool.acquire() };
};

describe('the timeout of acquire', () => {
  test('rejects with AcquireTimeoutError', async () => {
    const { pool } = await exhausted();
    const error = await rejection(pool.acquire({ timeout: 20 }));
    expect(error).toBeInstanceOf(PoolError);
    expect(error).toMatchObject({ name: 'AcquireTimeoutError', code: 'ERR_POOL_ACQUIRE_TIMEOUT', pool: 'db' });
  });

  test('comes neither early nor late', async () => {
    const time = ownTime();
    const { pool } = await exhausted();
    const waiting = pool.acquire({ timeout: 80 });
    await time.pending(waiting, 79);
    await time.pass(1);
    await rejection(waiting);
  });

  test('defaults to acquireTimeout', async () => {
    const { pool } = await exhausted({ acquireTimeout: 20 });
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
  });

  test('overrides acquireTimeout', async () => {
    const { pool } = await exhausted({ acquireTimeout: 600_000 });
    expect(await rejection(pool.acquire({ timeout: 20 }))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
  });

  test('0 waits for ever, whatever acquireTimeout says', async () => {
    const time = ownTime();
    const { pool, held } = await exhausted({ acquireTimeout: 10 });
    const waiting = pool.acquire({ timeout: 0 });
    await time.pending(waiting, 3_600_000);
    pool.release(held);
    await settled(waiting);
  });

  test('undefined means the default', async () => {
    const { pool } = await exhausted({ acquireTimeout: 20 });
    expect(await rejection(pool.acquire({ timeout: undefined } as never))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
  });

  test('the default of acquireTimeout waits for ever', async () => {
    const time = ownTime();
    const { pool, held } = await exhausted();
    const waiting = pool.acquire();
    await time.pending(waiting, 3_600_000);
    pool.release(held);
    await settled(waiting);
  });

  test('takes the waiter out of the line', async () => {
    const { pool, held } = await exhausted();
    const waiting = rejection(pool.acquire({ timeout: 20 }));
    await until(() => pool.waitingCount() === 1);
    await waiting;
    expect(pool.waitingCount()).toBe(0);
    pool.release(held);
    expect(pool.idleCount()).toBe(1);
  });

  test('in the middle of the line leaves the others in order', async () => {
    const { pool, held } = await exhausted();
    const order: string[] = [];
    const join = (name: string, timeout = 0) =>
      pool.acquire({ timeout }).then(
        (thing) => {
          order.push(name);
          pool.release(thing);
        },
        () => order.push(`${name} left`),
      );
    const all = [join('a'), join('b', 20), join('c'), join('d', 20), join('e')];
    await until(() => order.length === 2);
    pool.release(held);
    await settled(Promise.all(all));
    expect(order).toEqual(['b left', 'd left', 'a', 'c', 'e']);
  });

  test('is no timeout once the resource is there', async () => {
    const time = ownTime();
    const pool = await open({ ...workshop(), max: 1 });
    const thing = await pool.acquire({ timeout: 20 });
    await time.pass(60_000);
    expect(pool.activeCount()).toBe(1);
    pool.release(thing);
  });

  test('counts in timedOut, not in rejected', async () => {
    const { pool } = await exhausted();
    await Promise.all([rejection(pool.acquire({ timeout: 10 })), rejection(pool.acquire({ timeout: 15 }))]);
    expect(pool.stats()).toMatchObject({ timedOut: 2, rejected: 0, acquired: 1 });
  });

  test('applies while a resource is being made, too', async () => {
    const pool = await open({ max: 1, factory: () => new Promise<object>(() => {}) });
    expect(await rejection(pool.acquire({ timeout: 20 }))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
  });

  test('says who holds and who waits: a thread that waits for itself can be seen', async () => {
    const { pool } = await exhausted();
    const error = (await rejection(pool.acquire({ timeout: 10 }))) as Error;
    expect(error.message).toMatch(/h[eo]ld|borrow|active|out\b|in use/i);
  });

  test('just when the resource comes back: it is either got or left, never lost', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    for (let i = 0; i < 30; i++) {
      const held = await pool.acquire();
      const waiting = outcome(pool.acquire({ timeout: 5 }));
      const end = performance.now() + 4 + (i % 3);
      await sleep(3);
      while (performance.now() < end);
      pool.release(held);
      const { value } = await waiting;
      if (value) pool.release(value);
      expect(pool.stats()).toMatchObject({ idle: 1, waiting: 0 });
    }
    await expectWhole(pool);
  });

  test('a patient waiter in front of many who time out is served', async () => {
    const { pool, held } = await exhausted({ maxWaiting: 20 });
    const patient = pool.acquire();
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 15 }, () => rejection(pool.acquire({ timeout: 1 }))));
      expect(pool.waitingCount()).toBe(1);
    }
    pool.release(held);
    expect(await settled(patient)).toBe(held);
  });
});
