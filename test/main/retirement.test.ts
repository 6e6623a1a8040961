import { describe, expect, test } from 'vitest';
import { borrow, expectWhole, open, record, type Thing, workshop } from '../support/pools.ts';
import { ownTime } from '../support/time.ts';
import { settled, sleep, until } from '../support/wait.ts';

describe('idleTimeout', () => {
  test('destroys what has been idle for so long, not earlier', async () => {
    const time = ownTime();
    const shop = workshop();
    const pool = await open({ ...shop, idleTimeout: 60 });
    const log = record(pool);
    const things = await borrow(pool, 3);
    for (const thing of things) pool.release(thing);
    await time.holds(() => pool.count() === 3, 59);
    // Looked at four times in a timeout, and counted from the first look.
    await time.pass(31);
    expect(pool.count()).toBe(0);
    expect(log.reasons()).toEqual(['idle-timeout', 'idle-timeout', 'idle-timeout']);
    expect(new Set(shop.gone)).toEqual(new Set(things));
  });

  test('leaves min alone', async () => {
    const time = ownTime();
    const shop = workshop();
    const pool = await open({ ...shop, min: 2, idleTimeout: 20 });
    for (const thing of await borrow(pool, 5)) pool.release(thing);
    await time.pass(30);
    expect(pool.count()).toBe(2);
    await time.holds(() => pool.idleCount() === 2, 60_000);
    expect(shop.gone).toHaveLength(3);
  });

  test('does not touch what is borrowed', async () => {
    const time = ownTime();
    const shop = workshop();
    const pool = await open({ ...shop, idleTimeout: 20 });
    const thing = await pool.acquire();
    await time.pass(60_000);
    expect(shop.gone).toEqual([]);
    pool.release(thing);
    await time.pass(30);
    expect(shop.gone).toEqual([thing]);
  });

  test('counts from the last return', async () => {
    const time = ownTime();
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, idleTimeout: 500 });
    for (let i = 0; i < 35; i++) {
      pool.release(await pool.acquire());
      await time.pass(490);
    }
    expect(shop.gone).toHaveLength(0);
    await time.pass(260);
    expect(pool.count()).toBe(0);
  });

  test('however long, is looked at every second', async () => {
    const time = ownTime();
    const pool = await open({ ...workshop(), idleTimeout: 60_000 });
    pool.release(await pool.acquire());
    await time.pass(59_999);
    expect(pool.count()).toBe(1);
    // Counted from the first look that saw it idle, to the first after its time.
    await time.pass(2001);
    expect(pool.count()).toBe(0);
  });

  test('is not put off by health checks', async () => {
    const time = ownTime();
    let checks = 0;
    const pool = await open({ ...workshop(), idleTimeout: 100, healthcheckInterval: 10, healthcheck: () => void checks++ });
    pool.release(await pool.acquire());
    await time.pass(150);
    expect(pool.count()).toBe(0);
    expect(checks).toBeGreaterThanOrEqual(10);
  });

  test('0 means never', async () => {
    const time = ownTime();
    const shop = workshop();
    const pool = await open({ ...shop });
    pool.release(await pool.acquire());
    await time.holds(() => pool.idleCount() === 1, 3_600_000);
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
    const time = ownTime();
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, maxLifetime: 50 });
    const log = record(pool);
    const old = await pool.acquire();
    const waiting = pool.acquire();
    await time.pass(51);
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
    const time = ownTime();
    const shop = workshop();
    const pool = await open({ ...shop, maxLifetime: 20 });
    await pool.acquire();
    await time.pass(60_000);
    expect(shop.gone).toEqual([]);
  });

  test('does not retire a young one', async () => {
    const time = ownTime();
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, maxLifetime: 10_000 });
    for (let i = 0; i < 10; i++) pool.release(await pool.acquire());
    // A lifetime is up to 10 % shorter than asked for.
    await time.pass(8999);
    expect(shop.gone).toEqual([]);
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
    const time = ownTime();
    const pool = await open({ ...workshop(), max: 40, maxLifetime: 500 });
    const log = record(pool);
    for (const thing of await borrow(pool, 40)) pool.release(thing);
    await time.pass(449);
    expect(log.destroyed).toHaveLength(0);
    await time.pass(26);
    const half = log.destroyed.length;
    expect(half, 'not all at once').toBeGreaterThan(0);
    expect(half, 'not all at once').toBeLessThan(40);
    await time.pass(25);
    expect(log.destroyed).toHaveLength(40);
    expect(new Set(log.reasons())).toEqual(new Set(['max-lifetime']));
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
