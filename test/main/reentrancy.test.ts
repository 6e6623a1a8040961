import type { Pool } from 'cenote';
import { describe, expect, test } from 'vitest';
import { expectConsistent, expectWhole, open, record, type Thing, workshop } from '../support/pools.ts';
import { outcome, rejection, settled, sleep, until } from '../support/wait.ts';

describe('the pool may be used from inside', () => {
  test('its own hooks: they read stats, and these are consistent', async () => {
    let pool: Pool<Thing> | undefined;
    let looks = 0;
    const look = () => {
      if (!pool) return;
      looks++;
      expectConsistent(pool.stats());
    };
    const shop = workshop();
    pool = await open({
      factory: () => {
        look();
        return shop.factory();
      },
      destructor: look,
      beforeAcquire: look,
      beforeRelease: look,
      healthcheck: look,
      healthcheckInterval: 5,
      max: 2,
      min: 1,
    });
    const log = record(pool);
    for (let i = 0; i < 10; i++) {
      const thing = await pool.acquire();
      await sleep(1);
      i % 3 ? pool.release(thing) : pool.destroy(thing);
    }
    expect(looks).toBeGreaterThan(20);
    expect(log.errors).toEqual([]);
  });

  test("listeners of 'create' and 'destroy'", async () => {
    const pool = await open({ ...workshop(), max: 2 });
    const served: Promise<void>[] = [];
    pool.once('destroy', () => {
      served.push(pool.acquire().then((thing) => pool.release(thing)));
    });
    pool.once('create', () => {
      expectConsistent(pool.stats());
      served.push(pool.acquire().then((thing) => pool.release(thing)));
    });
    pool.destroy(await pool.acquire());
    await until(() => served.length === 2);
    await settled(Promise.all(served));
    await expectWhole(pool);
  });

  test('a destructor that borrows another resource', async () => {
    const shop = workshop();
    let pool: Pool<Thing> | undefined;
    const used: number[] = [];
    pool = await open({
      ...shop,
      min: 2,
      max: 2,
      checkTimeout: 500,
      destructor: async (thing: Thing) => {
        if (thing.id === 1) used.push(await pool!.use(({ id }) => id));
      },
    });
    const [a, b] = [await pool.acquire(), await pool.acquire()];
    const [one, two] = a.id === 1 ? [a, b] : [b, a];
    pool.destroy(one);
    pool.release(two);
    await until(() => used.length === 1);
    expect(used).toEqual([2]);
  });

  test('a strategy that borrows', async () => {
    let pool: Pool<Thing> | undefined;
    const probes: unknown[] = [];
    pool = await open({
      ...workshop(),
      max: 1,
      circuitBreaker: {
        reportSuccess() {},
        reportFailure() {
          if (probes.length === 0) probes.push(outcome(pool!.acquire()));
        },
      },
    });
    pool.destroy(await pool.acquire());
    await until(() => probes.length === 1);
    const { value } = (await probes[0]) as { value?: Thing };
    expect(value?.id).toBe(2);
  });

  test('a factory that closes the pool', async () => {
    const shop = workshop();
    let pool: Pool<Thing> | undefined;
    pool = await open({
      ...shop,
      factory: () => {
        void pool!.close();
        return shop.factory();
      },
    });
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    await until(() => shop.gone.length === 1 && pool.count() === 0);
  });

  test('a beforeRelease that closes the pool', async () => {
    const shop = workshop();
    let pool: Pool<Thing> | undefined;
    pool = await open({ ...shop, beforeRelease: () => void pool!.close() });
    const log = record(pool);
    pool.release(await pool.acquire());
    await until(() => log.closed === 1);
    expect(shop.gone).toEqual(shop.made);
  });

  test('a listener of state that changes the state', async () => {
    const pool = await open({ ...workshop(), min: 1 });
    pool.on('state', (next) => {
      if (next === 'inactive') pool.activate();
    });
    pool.deactivate();
    await until(() => pool.getState() === 'active');
    await expectWhole(pool);
  });

  test('a waiter that, once served, releases and acquires at once goes to the end of the line', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const order: string[] = [];
    const first = (async () => {
      pool.release(await pool.acquire());
      order.push('first');
      pool.release(await pool.acquire());
      order.push('first again');
    })();
    const second = pool.acquire().then((thing) => {
      order.push('second');
      pool.release(thing);
    });
    await until(() => pool.waitingCount() === 2);
    pool.release(held);
    await settled(Promise.all([first, second]));
    expect(order).toEqual(['first', 'second', 'first again']);
  });

  test('a factory that borrows before it awaits, and waits in vain: the acquire that has called it is served all the same', async () => {
    let pool: Pool<Thing> | undefined;
    let calls = 0;
    const shop = workshop();
    const factory = async (): Promise<Thing> => {
      if (++calls === 1) await pool!.use(() => {}, { timeout: 50 });
      return shop.factory();
    };
    pool = await open({ ...shop, factory, max: 2 });
    pool.on('error', () => {});
    const thing = await settled(pool.acquire());
    pool.release(thing);
    await until(() => pool!.waitingCount() === 0);
    await expectWhole(pool);
  });
});
