import { describe, expect, test } from 'vitest';
import { borrow, open, record, workshop } from '../support/pools.ts';
import { rejection, settled, sleep, staysPending, until } from '../support/wait.ts';

describe('drain', () => {
  test('closes an idle pool', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 2 });
    const log = record(pool);
    await settled(pool.drain());
    expect(pool.isClosed()).toBe(true);
    expect(shop.gone).toHaveLength(2);
    await until(() => log.closed === 1);
  });

  test('waits for every borrowed resource', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 2 });
    const [a, b] = await borrow(pool, 2);
    const draining = pool.drain();
    await staysPending(draining);
    pool.release(a!);
    await staysPending(draining);
    pool.release(b!);
    await settled(draining);
    expect(shop.gone).toHaveLength(2);
    expect(pool.count()).toBe(0);
  });

  test('refuses new acquires', async () => {
    const pool = await open({ ...workshop(), max: 2 });
    const thing = await pool.acquire();
    const draining = pool.drain();
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    pool.release(thing);
    await settled(draining);
  });

  test('serves those already in line, in order', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const order: number[] = [];
    const waiting = Array.from({ length: 5 }, async (_, i) => {
      const thing = await pool.acquire();
      order.push(i);
      await sleep(1);
      pool.release(thing);
    });
    await until(() => pool.waitingCount() === 5);
    const draining = pool.drain();
    pool.release(held);
    await settled(Promise.all(waiting));
    await settled(draining);
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  test('makes new resources for those already in line', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1 });
    const held = await pool.acquire();
    const waiting = pool.use((thing) => thing.id);
    await until(() => pool.waitingCount() === 1);
    const draining = pool.drain();
    pool.destroy(held);
    expect(await settled(waiting)).toBe(2);
    await settled(draining);
  });

  test('waits for a resource which is still being made for someone in line', async () => {
    const pool = await open({
      ...workshop(),
      factory: async () => {
        await sleep(20);
        return { id: 1 };
      },
    });
    const waiting = pool.use((thing) => thing.id);
    await until(() => pool.count() === 1);
    const draining = pool.drain();
    expect(await settled(waiting)).toBe(1);
    await settled(draining);
  });

  test('waits no longer than timeout, then closes', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1 });
    const held = await pool.acquire();
    const started = performance.now();
    await settled(pool.drain({ timeout: 40 }));
    expect(performance.now() - started).toBeGreaterThanOrEqual(38);
    expect(pool.isClosed()).toBe(true);
    expect(shop.gone).toEqual([]);
    pool.release(held);
    await until(() => shop.gone.length === 1);
  });

  test('rejects those who are still in line at the timeout with PoolClosedError', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    await pool.acquire();
    const waiting = rejection(pool.acquire());
    await until(() => pool.waitingCount() === 1);
    await settled(pool.drain({ timeout: 20 }));
    expect(await waiting).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });

  test('does not wait for the timeout when everything is back earlier', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const draining = pool.drain({ timeout: 600_000 });
    pool.release(held);
    await settled(draining);
  });

  test('can be cut short by close', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const waiting = rejection(pool.acquire());
    await until(() => pool.waitingCount() === 1);
    const draining = pool.drain();
    await settled(pool.close());
    expect(await waiting).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    pool.release(held);
    await settled(draining);
  });

  test('of a closed pool resolves', async () => {
    const pool = await open(workshop());
    await pool.close();
    await settled(pool.drain());
  });

  test("waiters that time out or are aborted meanwhile don't keep it", async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const controller = new AbortController();
    const waiting = [rejection(pool.acquire({ timeout: 20 })), rejection(pool.acquire({ signal: controller.signal }))];
    await until(() => pool.waitingCount() === 2);
    const draining = pool.drain();
    controller.abort();
    await Promise.all(waiting);
    pool.release(held);
    await settled(draining);
  });

  test('does not wait for a creation that nobody waits for any more', async () => {
    const pool = await open({ factory: () => new Promise<object>(() => {}) });
    await rejection(pool.acquire({ timeout: 10 }));
    await settled(pool.drain());
    expect(pool.isClosed()).toBe(true);
  });

  test('does not wait for a refill to min that hangs', async () => {
    const shop = workshop();
    let calls = 0;
    const pool = await open({ ...shop, min: 1, factory: () => (++calls === 1 ? shop.factory() : new Promise<never>(() => {})) });
    pool.destroy(await pool.acquire());
    await until(() => calls === 2);
    await settled(pool.drain());
  });

  test('in line with a failing factory: everyone is told, and it resolves', async () => {
    const shop = workshop();
    let broken = false;
    const pool = await open({
      ...shop,
      max: 1,
      factory: () => {
        if (broken) throw new Error('down');
        return shop.factory();
      },
    });
    const held = await pool.acquire();
    const waiting = Array.from({ length: 3 }, () => rejection(pool.acquire()));
    await until(() => pool.waitingCount() === 3);
    broken = true;
    const draining = pool.drain();
    pool.destroy(held);
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ message: 'down' });
    await settled(draining);
  });
});
