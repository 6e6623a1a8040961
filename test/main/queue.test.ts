import { PoolError } from 'cenote';
import { describe, expect, test } from 'vitest';
import { open, workshop } from '../support/pools.ts';
import { outcome, rejection, settled, until } from '../support/wait.ts';

describe('maxWaiting', () => {
  test('refuses the next acquire with QueueFullError, at once', async () => {
    const pool = await open({ ...workshop(), name: 'db', max: 1, maxWaiting: 2 });
    const held = await pool.acquire();
    const waiting = [pool.acquire(), pool.acquire()];
    await until(() => pool.waitingCount() === 2);
    const error = await rejection(pool.acquire());
    expect(error).toBeInstanceOf(PoolError);
    expect(error).toMatchObject({ name: 'QueueFullError', code: 'ERR_POOL_QUEUE_FULL', pool: 'db' });
    pool.release(held);
    for (const each of waiting) pool.release(await settled(each));
  });

  test('the refused count in rejected', async () => {
    const pool = await open({ ...workshop(), max: 1, maxWaiting: 1 });
    const held = await pool.acquire();
    const waiting = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    for (let i = 0; i < 3; i++) await rejection(pool.acquire());
    expect(pool.stats()).toMatchObject({ rejected: 3, waiting: 1, timedOut: 0 });
    pool.release(held);
    await settled(waiting);
  });

  test('a place that becomes free may be taken', async () => {
    const pool = await open({ ...workshop(), max: 1, maxWaiting: 1 });
    const held = await pool.acquire();
    await rejection(pool.acquire({ timeout: 10 }));
    const waiting = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_QUEUE_FULL' });
    pool.release(held);
    await settled(waiting);
  });

  test('0: nobody waits', async () => {
    const pool = await open({ ...workshop(), min: 1, max: 1, maxWaiting: 0 });
    const held = await pool.acquire();
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_QUEUE_FULL' });
    pool.release(held);
    pool.release(await settled(pool.acquire()));
  });

  test('of a burst on one thread exactly the surplus is refused', async () => {
    const pool = await open({ ...workshop(), min: 2, max: 2, maxWaiting: 5 });
    const results = Array.from({ length: 10 }, () => pool.acquire());
    const settledOnes = Promise.all(results.map((result) => outcome(result.then((thing) => pool.release(thing)))));
    const errors = (await settledOnes).flatMap(({ error }) => (error ? [error] : []));
    expect(errors).toHaveLength(3);
    for (const error of errors) expect(error).toMatchObject({ code: 'ERR_POOL_QUEUE_FULL' });
  });

  test('is 1024 by default', async () => {
    const pool = await open({ ...workshop(), min: 1, max: 1 });
    const held = await pool.acquire();
    const waiting = Array.from({ length: 1024 }, () => pool.acquire().then((thing) => pool.release(thing)));
    await until(() => pool.waitingCount() === 1024);
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_QUEUE_FULL' });
    pool.release(held);
    await settled(Promise.all(waiting));
  });

  test('does not concern tryAcquire', async () => {
    const pool = await open({ ...workshop(), min: 1, max: 1, maxWaiting: 0 });
    const held = await pool.tryAcquire();
    expect(held).not.toBeNull();
    expect(await pool.tryAcquire()).toBeNull();
  });
});
