import { describe, expect, test } from 'vitest';
import { borrow, expectConsistent, expectWhole, open, record, type Thing, workshop } from '../support/pools.ts';
import { gate, outcome, rejection, settled, sleep, until } from '../support/wait.ts';

describe('beforeAcquire', () => {
  test('is asked about an idle resource before it is handed out', async () => {
    const asked: Thing[] = [];
    const pool = await open({ ...workshop(), min: 1, beforeAcquire: (thing) => void asked.push(thing) });
    const thing = await pool.acquire();
    expect(asked).toEqual([thing]);
  });

  test('is not asked about a resource made for this very acquire', async () => {
    const asked: Thing[] = [];
    const pool = await open({ ...workshop(), beforeAcquire: (thing) => void asked.push(thing) });
    const thing = await pool.acquire();
    expect(asked).toEqual([]);
    pool.release(thing);
    await until(() => pool.idleCount() === 1);
    await pool.acquire();
    expect(asked).toEqual([thing]);
  });

  test.each([
    ['false', () => false],
    ['a promise of false', async () => false],
    [
      'a throw',
      () => {
        throw new Error('stale');
      },
    ],
    ['a rejection', () => Promise.reject(new Error('stale'))],
  ])('%s destroys the resource and takes the next', async (_, verdict) => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 2, max: 2, beforeAcquire: (thing) => (thing.id === 1 ? verdict() : true) });
    const log = record(pool);
    const [a, b] = await settled(borrow(pool, 2));
    expect([a!.id, b!.id]).not.toContain(1);
    await until(() => shop.gone.length === 1);
    expect(log.destroyed.map(({ resource, reason }) => [resource.id, reason])).toEqual([[1, 'rejected-on-acquire']]);
  });

  test('that rejects everything idle: one is made, and nobody asks about it', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 3, max: 3, beforeAcquire: () => false });
    const thing = await settled(pool.acquire());
    expect(thing.id).toBeGreaterThan(3);
    expect(shop.gone).not.toContain(thing);
  });

  test.each([
    ['undefined', undefined],
    ['true', true],
    ['0', 0],
    ['null', null],
  ])('%s lets the resource pass', async (_, verdict) => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 1, beforeAcquire: () => verdict as boolean });
    expect(await settled(pool.acquire())).toBe(shop.made[0]);
  });

  test('that hangs counts as false after checkTimeout', async () => {
    const shop = workshop();
    const pool = await open({
      ...shop,
      min: 1,
      max: 1,
      checkTimeout: 30,
      beforeAcquire: (thing) => (thing.id === 1 ? new Promise<boolean>(() => {}) : true),
    });
    const log = record(pool);
    expect(await settled(pool.acquire())).toBe(shop.made[1]);
    expect(log.reasons()).toEqual(['rejected-on-acquire']);
  });

  test('that hangs does not make the acquire outlast its timeout', async () => {
    const pool = await open({ ...workshop(), min: 1, max: 1, checkTimeout: 600_000, beforeAcquire: () => new Promise<boolean>(() => {}) });
    expect(await rejection(pool.acquire({ timeout: 30 }))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
  });

  test('that hangs on one resource does not hold up whoever gets another', async () => {
    const pool = await open({
      ...workshop(),
      min: 2,
      max: 2,
      checkTimeout: 600_000,
      beforeAcquire: (thing) => (thing.id === 1 ? new Promise<boolean>(() => {}) : true),
    });
    const [a, b] = [pool.acquire(), pool.acquire()];
    const first = await settled(Promise.race([a, b]));
    expect(first.id).toBe(2);
  });

  test('when the waiter times out during it, the good resource stays in the pool', async () => {
    const shop = workshop();
    const slow = gate<boolean>();
    let asked = 0;
    const pool = await open({
      ...shop,
      min: 1,
      max: 1,
      beforeAcquire: () => {
        asked++;
        return asked === 1 ? slow.promise : true;
      },
    });
    expect(await rejection(pool.acquire({ timeout: 20 }))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
    slow.open(true);
    await until(() => pool.idleCount() === 1);
    expect(await settled(pool.acquire())).toBe(shop.made[0]);
  });

  test('when the waiter is aborted during it, the good resource stays in the pool', async () => {
    const shop = workshop();
    const slow = gate<boolean>();
    let asked = 0;
    const pool = await open({
      ...shop,
      min: 1,
      max: 1,
      beforeAcquire: () => {
        asked++;
        return asked === 1 ? slow.promise : true;
      },
    });
    const controller = new AbortController();
    const waiting = rejection(pool.acquire({ signal: controller.signal }));
    await until(() => asked === 1);
    controller.abort('changed my mind');
    expect(await waiting).toBe('changed my mind');
    slow.open(true);
    await until(() => pool.idleCount() === 1);
    expect(await settled(pool.acquire())).toBe(shop.made[0]);
    expect(shop.gone).toEqual([]);
  });

  test('when the waiter leaves during it, the next in line gets the resource', async () => {
    const shop = workshop();
    const slow = gate<boolean>();
    let asked = 0;
    const pool = await open({
      ...shop,
      min: 1,
      max: 1,
      beforeAcquire: () => {
        asked++;
        return asked === 1 ? slow.promise : true;
      },
    });
    const first = rejection(pool.acquire({ timeout: 20 }));
    await until(() => asked === 1);
    const second = pool.acquire();
    await first;
    slow.open(true);
    expect(await settled(second)).toBe(shop.made[0]);
  });

  test('keeps the line in order', async () => {
    const order: number[] = [];
    const pool = await open({
      ...workshop(),
      min: 1,
      max: 1,
      beforeAcquire: async () => {
        await sleep(1);
      },
    });
    const held = await pool.acquire();
    const done = Array.from({ length: 5 }, async (_, i) => {
      const thing = await pool.acquire();
      order.push(i);
      pool.release(thing);
    });
    pool.release(held);
    await settled(Promise.all(done));
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  test('never asks about a resource that somebody has', async () => {
    const out = new Set<Thing>();
    let wrong = 0;
    const pool = await open({
      ...workshop(),
      max: 3,
      beforeAcquire: async (thing) => {
        if (out.has(thing)) wrong++;
        await sleep(1);
        if (out.has(thing)) wrong++;
      },
    });
    await Promise.all(
      Array.from({ length: 6 }, async () => {
        for (let i = 0; i < 20; i++) {
          const thing = await pool.acquire();
          if (out.has(thing)) wrong++;
          out.add(thing);
          expectConsistent(pool.stats());
          await sleep(i % 2);
          out.delete(thing);
          pool.release(thing);
        }
      }),
    );
    expect(wrong).toBe(0);
  });

  test('that fails again and again loses no slot and no waiter', async () => {
    const shop = workshop();
    let asked = 0;
    const pool = await open({
      ...shop,
      max: 3,
      beforeAcquire: async () => {
        await sleep(asked % 2);
        if (asked++ % 3 === 0) throw new Error('now and then');
        return asked % 2 === 0;
      },
    });
    record(pool);
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const { value } = await outcome(pool.acquire());
        expect(value).toBeDefined();
        await sleep(1);
        pool.release(value!);
      }),
    );
    expect(shop.most()).toBeLessThanOrEqual(3);
    await expectWhole(pool);
  });

  test('and a replacement that fails: the waiter gets the error of the factory', async () => {
    const shop = workshop();
    const error = new Error('down');
    const pool = await open({
      ...shop,
      max: 1,
      factory: () => {
        if (shop.made.length === 1) throw error;
        return shop.factory();
      },
      beforeAcquire: () => false,
    });
    record(pool);
    pool.release(await pool.acquire());
    expect(await rejection(pool.acquire())).toBe(error);
    expect(pool.count()).toBe(0);
  });
});
