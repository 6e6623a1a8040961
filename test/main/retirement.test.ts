import { describe, expect, test, vi } from 'vitest';
import { reachTheCore } from '../support/core-time.ts';
import { borrow, expectWhole, open, record, type Thing, workshop } from '../support/pools.ts';
import { settled, sleep, stays, until } from '../support/wait.ts';

/** Time passes only when it is told to. */
async function onAClockOfOurs(body: (pass: (ms: number) => Promise<unknown>) => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  reachTheCore();
  try {
    await body((ms) => vi.advanceTimersByTimeAsync(ms));
  } finally {
    vi.useRealTimers();
    reachTheCore();
  }
}

describe('idleTimeout', () => {
  test('destroys what has been idle for so long, not earlier', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, idleTimeout: 60 });
    const log = record(pool);
    const things = await borrow(pool, 3);
    const released = performance.now();
    for (const thing of things) pool.release(thing);
    await until(() => pool.count() === 0);
    expect(log.reasons()).toEqual(['idle-timeout', 'idle-timeout', 'idle-timeout']);
    for (const { at } of log.destroyed) expect(at - released).toBeGreaterThanOrEqual(55);
    expect(new Set(shop.gone)).toEqual(new Set(things));
  });

  test('leaves min alone', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 2, idleTimeout: 20 });
    for (const thing of await borrow(pool, 5)) pool.release(thing);
    await until(() => pool.count() === 2);
    await stays(() => pool.idleCount() === 2, 100);
    expect(shop.gone).toHaveLength(3);
  });

  test('does not touch what is borrowed', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, idleTimeout: 20 });
    const thing = await pool.acquire();
    await stays(() => shop.gone.length === 0, 100);
    pool.release(thing);
    await until(() => shop.gone.includes(thing));
  });

  test('counts from the last return', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, idleTimeout: 500 });
    for (let i = 0; i < 35; i++) {
      pool.release(await pool.acquire());
      await sleep(20);
    }
    expect(shop.gone).toHaveLength(0);
    await until(() => pool.count() === 0);
  });

  test('however long, is looked at every second', async () => {
    await onAClockOfOurs(async (pass) => {
      const pool = await open({ ...workshop(), idleTimeout: 60_000 });
      pool.release(await pool.acquire());
      await pass(59_999);
      expect(pool.count()).toBe(1);
      // Counted from the first look that saw it idle, to the first after its time.
      await pass(2001);
      expect(pool.count()).toBe(0);
    });
  });

  test('is not put off by health checks', async () => {
    let checks = 0;
    const pool = await open({ ...workshop(), idleTimeout: 100, healthcheckInterval: 10, healthcheck: () => void checks++ });
    pool.release(await pool.acquire());
    await until(() => pool.count() === 0, 3000);
    expect(checks).toBeGreaterThan(0);
  });

  test('0 means never', async () => {
    const shop = workshop();
    const pool = await open({ ...shop });
    pool.release(await pool.acquire());
    await stays(() => pool.idleCount() === 1, 60);
  });

  test('after it, acquire makes a new one', async () => {
    const pool = await open({ ...workshop(), idleTimeout: 20 });
    pool.release(await pool.acquire());
    await until(() => pool.count() === 0);
    expect((await settled(pool.acquire())).id).toBe(2);
  });
});

describe('maxLifetime', () => {
  test('retires a resource on return, even if somebody waits: the waiter gets a new one', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, maxLifetime: 50 });
    const log = record(pool);
    const old = await pool.acquire();
    const waiting = pool.acquire();
    await sleep(80);
    pool.release(old);
    const next = await settled(waiting);
    expect(next).not.toBe(old);
    expect(shop.gone).toEqual([old]);
    expect(log.reasons()).toEqual(['max-lifetime']);
  });

  test('retires one that is idle', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, maxLifetime: 50 });
    const log = record(pool);
    pool.release(await pool.acquire());
    await until(() => pool.count() === 0);
    expect(log.reasons()).toEqual(['max-lifetime']);
  });

  test('does not touch what is borrowed', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, maxLifetime: 20 });
    await pool.acquire();
    await stays(() => shop.gone.length === 0, 80);
  });

  test('does not retire a young one', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, maxLifetime: 10_000 });
    for (let i = 0; i < 10; i++) pool.release(await pool.acquire());
    await stays(() => shop.gone.length === 0);
    expect(shop.made).toHaveLength(1);
  });

  test('keeps min alive: the retired are replaced', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 2, maxLifetime: 60 });
    await until(() => shop.gone.length >= 2);
    await until(() => pool.idleCount() === 2);
    expect(shop.made.length - shop.gone.length).toBe(2);
  });

  test('differs by up to 10 % between resources, rolled once for each', async () => {
    await onAClockOfOurs(async (pass) => {
      const pool = await open({ ...workshop(), max: 40, maxLifetime: 500 });
      const log = record(pool);
      for (const thing of await borrow(pool, 40)) pool.release(thing);
      await pass(449);
      expect(log.destroyed).toHaveLength(0);
      await pass(26);
      const half = log.destroyed.length;
      expect(half, 'not all at once').toBeGreaterThan(0);
      expect(half, 'not all at once').toBeLessThan(40);
      await pass(25);
      expect(log.destroyed).toHaveLength(40);
      expect(new Set(log.reasons())).toEqual(new Set(['max-lifetime']));
    });
  });

  test('loses no slot', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 3, maxLifetime: 10 });
    await settled(
      Promise.all(
        Array.from({ length: 6 }, async () => {
          for (let i = 0; i < 20; i++) {
            const thing = await pool.acquire();
            await sleep(2);
            pool.release(thing);
          }
        }),
      ),
      10_000,
    );
    expect(shop.most()).toBeLessThanOrEqual(3);
    expect(shop.gone.length).toBeGreaterThan(3);
    await expectWhole(pool);
  });
});

describe('maxUses', () => {
  test('retires a resource when it is returned from its last hand-out', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, maxUses: 3 });
    const log = record(pool);
    const seen: number[] = [];
    for (let i = 0; i < 7; i++) {
      const thing = await settled(pool.acquire());
      seen.push(thing.id);
      pool.release(thing);
    }
    expect(seen).toEqual([1, 1, 1, 2, 2, 2, 3]);
    await until(() => shop.gone.length === 2);
    expect(log.reasons()).toEqual(['max-uses', 'max-uses']);
  });

  test('of 1 gives everyone a new one, in order', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 2, maxUses: 1 });
    const order: number[] = [];
    const seen = new Set<Thing>();
    await settled(
      Promise.all(
        Array.from({ length: 10 }, async (_, i) => {
          const thing = await pool.acquire();
          order.push(i);
          expect(seen.has(thing)).toBe(false);
          seen.add(thing);
          await sleep(1);
          pool.release(thing);
        }),
      ),
    );
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(shop.most()).toBeLessThanOrEqual(2);
  });

  test('keeps min alive', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 1, maxUses: 1 });
    pool.release(await pool.acquire());
    await until(() => shop.gone.length === 1 && pool.idleCount() === 1);
  });

  test('counts hand-outs of each resource for itself', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 2, maxUses: 2 });
    const [a, b] = await borrow(pool, 2);
    pool.release(a!);
    await until(() => pool.idleCount() === 1);
    const again = await pool.acquire();
    expect(again).toBe(a);
    pool.release(again);
    pool.release(b!);
    await until(() => shop.gone.length > 0 && pool.idleCount() === 1);
    expect(shop.gone).toEqual([a]);
  });
});
