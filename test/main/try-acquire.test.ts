import { describe, expect, test } from 'vitest';
import { borrow, expectWhole, open, type Thing, workshop } from '../support/pools.ts';
import { gate, rejection, settled, sleep, until } from '../support/wait.ts';

describe('tryAcquire', () => {
  test('gives what is idle', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 1 });
    expect(await pool.tryAcquire()).toBe(shop.made[0]);
  });

  test('makes one when nothing is idle and there is room', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 2 });
    await pool.acquire();
    expect(await settled(pool.tryAcquire())).toBe(shop.made[1]);
  });

  test('makes one when there is room, also while others are being made for those in line', async () => {
    const made: ((thing: Thing) => void)[] = [];
    const pool = await open({ max: 2, factory: () => new Promise<Thing>((resolve) => made.push(resolve)) });
    const waiting = pool.acquire();
    await until(() => made.length === 1);
    const trying = pool.tryAcquire();
    await until(() => made.length === 2);
    made[0]!({ id: 1 });
    made[1]!({ id: 2 });
    expect(await settled(waiting)).not.toBeNull();
    expect(await settled(trying)).not.toBeNull();
  });

  test('gives what becomes idle while the owner is in the middle of a turn', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 2, beforeAcquire: () => true });
    const first = await pool.acquire();
    let tried: Promise<Thing | null> | undefined;
    pool.on('create', () => {
      pool.release(first);
      tried = pool.tryAcquire();
    });
    expect(await settled(pool.acquire())).toBe(shop.made[1]);
    expect(await settled(tried!)).toBe(first);
  });

  test('waits for a slow factory', async () => {
    const pool = await open({
      ...workshop(),
      factory: async () => {
        await sleep(30);
        return { id: 1 };
      },
    });
    expect(await settled(pool.tryAcquire())).toEqual({ id: 1 });
  });

  test('gives null when everything is out', async () => {
    const pool = await open({ ...workshop(), max: 2 });
    await borrow(pool, 2);
    expect(await settled(pool.tryAcquire())).toBeNull();
    expect(pool.stats()).toMatchObject({ waiting: 0, rejected: 0, timedOut: 0, acquired: 2 });
  });

  test('gives null when everything else is still being made', async () => {
    const slow = gate<Thing>();
    const pool = await open({ max: 1, factory: () => slow.promise });
    const waiting = pool.acquire();
    await until(() => pool.count() === 1);
    expect(await settled(pool.tryAcquire())).toBeNull();
    slow.open({ id: 1 });
    await settled(waiting);
  });

  test('gives null when the pool is closed', async () => {
    const pool = await open({ ...workshop(), min: 1 });
    await pool.close();
    expect(await settled(pool.tryAcquire())).toBeNull();
  });

  test('gives null when the breaker is INACTIVE', async () => {
    const pool = await open({ ...workshop(), min: 1 });
    pool.deactivate();
    expect(await settled(pool.tryAcquire())).toBeNull();
    pool.activate();
    expect(await settled(pool.tryAcquire())).not.toBeNull();
  });

  test('gives null when all probes of a RECOVERING pool are out', async () => {
    const pool = await open({ ...workshop(), min: 2, recoveryProbes: 1 });
    pool.recover();
    const probe = await settled(pool.tryAcquire());
    expect(probe).not.toBeNull();
    expect(await settled(pool.tryAcquire())).toBeNull();
    pool.release(probe!);
  });

  test("rejects with the factory's error", async () => {
    const error = new Error('down');
    const pool = await open<object>({ factory: () => Promise.reject(error) });
    expect(await rejection(pool.tryAcquire())).toBe(error);
    expect(pool.stats()).toMatchObject({ count: 0, factoryFailures: 1 });
  });

  test('rejects with the TypeError when the factory gives nothing', async () => {
    const pool = await open({ factory: () => undefined as unknown as object });
    expect(await rejection(pool.tryAcquire())).toBeInstanceOf(TypeError);
  });

  test('does not pass the line', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const waiting = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    pool.release(held);
    expect(await settled(pool.tryAcquire())).toBeNull();
    expect(await settled(waiting)).toBe(held);
  });

  test('asks beforeAcquire, and takes the next when it says no', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 2, max: 2, beforeAcquire: async (thing) => thing.id !== 1 });
    const first = await settled(pool.tryAcquire());
    expect(first).not.toBeNull();
    expect(first!.id).not.toBe(1);
  });

  test('with beforeAcquire and everything out gives null', async () => {
    const pool = await open({ ...workshop(), min: 1, max: 1, beforeAcquire: async () => true });
    await pool.acquire();
    expect(await settled(pool.tryAcquire())).toBeNull();
  });

  test('what it gave counts as acquired and can be released', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const thing = await pool.tryAcquire();
    expect(pool.stats()).toMatchObject({ acquired: 1, active: 1 });
    pool.release(thing!);
    expect(pool.stats()).toMatchObject({ released: 1, idle: 1 });
  });

  test('many at once never get the same resource, nor more than max', async () => {
    const pool = await open({ ...workshop(), max: 3 });
    const got = (await settled(Promise.all(Array.from({ length: 10 }, () => pool.tryAcquire())))).filter((thing) => thing !== null);
    expect(new Set(got).size).toBe(3);
    expect(got).toHaveLength(3);
    for (const thing of got) pool.release(thing);
    await expectWhole(pool);
  });
});
