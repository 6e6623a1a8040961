import { PoolClosedError } from 'cenote';
import { describe, expect, test } from 'vitest';
import { borrow, open, record, type Thing, workshop } from '../support/pools.ts';
import { ownTime } from '../support/time.ts';
import { gate, rejection, settled, sleep, staysPending, turns, until } from '../support/wait.ts';

const closed = { name: 'PoolClosedError', code: 'ERR_POOL_CLOSED' };

describe('close', () => {
  test('destroys what is idle, and resolves then', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 3 });
    const log = record(pool);
    await settled(pool.close());
    expect(new Set(shop.gone)).toEqual(new Set(shop.made));
    expect(log.reasons()).toEqual(['closed', 'closed', 'closed']);
    expect(pool.stats()).toMatchObject({ closed: true, count: 0, destroyed: 3 });
  });

  test('waits for slow destructors', async () => {
    const slow = gate();
    let finished = 0;
    const pool = await open({
      ...workshop(),
      min: 2,
      destructor: async () => {
        await slow.promise;
        finished++;
      },
    });
    const closing = pool.close();
    await staysPending(closing);
    slow.open();
    await settled(closing);
    expect(finished).toBe(2);
  });

  test('rejects everyone in line with PoolClosedError', async () => {
    const pool = await open({ ...workshop(), name: 'db', max: 1 });
    await pool.acquire();
    const waiting = Array.from({ length: 5 }, () => rejection(pool.acquire()));
    await until(() => pool.waitingCount() === 5);
    await settled(pool.close());
    for (const error of await Promise.all(waiting)) {
      expect(error).toBeInstanceOf(PoolClosedError);
      expect(error).toMatchObject({ ...closed, pool: 'db' });
    }
    expect(pool.stats()).toMatchObject({ waiting: 0, rejected: 5 });
  });

  test('refuses new acquires from the first moment on', async () => {
    const pool = await open({ ...workshop(), name: 'db', min: 1, destructor: () => sleep(20) });
    const closing = pool.close();
    expect(pool.isClosed()).toBe(true);
    expect(await rejection(pool.acquire())).toMatchObject({ ...closed, pool: 'db' });
    await settled(closing);
    expect(await rejection(pool.acquire())).toMatchObject(closed);
    expect(await rejection(pool.lease())).toMatchObject(closed);
    expect(await pool.tryAcquire()).toBeNull();
  });

  test('what is refused counts in rejected', async () => {
    const pool = await open(workshop());
    await pool.close();
    await rejection(pool.acquire());
    await rejection(pool.acquire());
    expect(pool.stats().rejected).toBe(2);
  });

  test('does not wait for borrowed resources, which stay usable and are destroyed when they come back', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 2 });
    const log = record(pool);
    const thing = await pool.acquire();
    await settled(pool.close());
    expect(shop.gone).toHaveLength(1);
    expect(shop.gone).not.toContain(thing);
    expect(pool.stats()).toMatchObject({ count: 1, active: 1, idle: 0, closed: true });
    pool.release(thing);
    await until(() => shop.gone.includes(thing));
    expect(log.reasons()).toEqual(['closed', 'closed']);
    await until(() => pool.count() === 0);
  });

  test('lets destroy work on a borrowed resource, too', async () => {
    const shop = workshop();
    const pool = await open(shop);
    const log = record(pool);
    const thing = await pool.acquire();
    await pool.close();
    pool.destroy(thing);
    await until(() => shop.gone.includes(thing) && log.closed === 1);
  });

  test('lets a running use finish', async () => {
    const shop = workshop();
    const pool = await open(shop);
    const slow = gate();
    const using = pool.use(async (thing) => {
      await slow.promise;
      return thing.id;
    });
    await until(() => pool.activeCount() === 1);
    await settled(pool.close());
    slow.open();
    expect(await settled(using)).toBe(1);
    await until(() => shop.gone.length === 1);
  });

  test('is idempotent', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 2, destructor: (thing) => sleep(5).then(() => shop.destructor(thing)) });
    const log = record(pool);
    await settled(Promise.all([pool.close(), pool.close()]));
    await settled(pool.close());
    expect(shop.gone).toHaveLength(2);
    expect(log.closed).toBe(1);
  });

  test('a second close, too, resolves only when the idle ones are gone', async () => {
    const slow = gate();
    const pool = await open({ ...workshop(), min: 1, destructor: () => slow.promise });
    const first = pool.close();
    const second = pool.close();
    await staysPending(second);
    slow.open();
    await settled(Promise.all([first, second]));
  });

  test('does not refill to min', async () => {
    const time = ownTime();
    const shop = workshop();
    const pool = await open({ ...shop, min: 2 });
    await pool.close();
    await time.pass(60_000);
    expect(shop.made).toHaveLength(2);
  });

  test('stops the retries of a refill', async () => {
    const time = ownTime();
    const shop = workshop();
    let attempts = 0;
    let broken = false;
    const pool = await open({
      ...shop,
      min: 1,
      factory: () => {
        attempts++;
        if (broken) throw new Error('down');
        return shop.factory();
      },
    });
    const log = record(pool);
    broken = true;
    pool.destroy(await pool.acquire());
    await until(() => log.errors.length > 0);
    await settled(pool.close());
    const before = attempts;
    await time.pass(60_000);
    expect(attempts).toBe(before);
  });

  test('stops the healthcheck', async () => {
    const time = ownTime();
    let checks = 0;
    const pool = await open({ ...workshop(), min: 1, healthcheckInterval: 5, healthcheck: () => void checks++ });
    await time.pass(5);
    expect(checks).toBe(1);
    await settled(pool.close());
    const before = checks;
    await time.pass(60_000);
    expect(checks).toBe(before);
  });

  test('a double release afterwards still is an error', async () => {
    const pool = await open({ ...workshop(), name: 'db' });
    const thing = await pool.acquire();
    await pool.close();
    pool.release(thing);
    expect(() => pool.release(thing)).toThrow(expect.objectContaining({ code: 'ERR_POOL_NOT_BORROWED' }));
  });

  test('with a waiter that a slow factory works for: rejected, and what arrives is destroyed', async () => {
    const shop = workshop();
    const slow = gate<Thing>();
    let started = false;
    const pool = await open({
      ...shop,
      factory: () => {
        started = true;
        return slow.promise;
      },
    });
    const waiting = rejection(pool.acquire());
    await until(() => started);
    const closing = pool.close();
    expect(await waiting).toMatchObject(closed);
    const late = shop.factory();
    slow.open(late);
    await settled(closing);
    await until(() => shop.gone.includes(late));
  });

  test('all numbers can still be read', async () => {
    const pool = await open({ ...workshop(), name: 'db', min: 1 });
    await pool.close();
    expect([pool.count(), pool.idleCount(), pool.activeCount(), pool.waitingCount()]).toEqual([0, 0, 0, 0]);
    expect(pool.stats()).toMatchObject({ name: 'db', closed: true, created: 1, destroyed: 1 });
    expect(pool.name).toBe('db');
    expect(pool.getState()).toBeTypeOf('string');
  });
});

describe("'close'", () => {
  test('is emitted once, when everything is gone', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 3 });
    const log = record(pool);
    const things = await borrow(pool, 2);
    await settled(pool.close());
    pool.release(things[0]!);
    await until(() => shop.gone.length === 2);
    await turns();
    expect(log.closed).toBe(0);
    pool.release(things[1]!);
    await until(() => log.closed === 1);
    expect(shop.gone).toHaveLength(3);
    await turns();
    expect(log.closed).toBe(1);
  });

  test('waits for the last destructor', async () => {
    const slow = gate();
    const pool = await open({ ...workshop(), destructor: () => slow.promise });
    const log = record(pool);
    const thing = await pool.acquire();
    await settled(pool.close());
    pool.release(thing);
    await turns();
    expect(log.closed).toBe(0);
    slow.open();
    await until(() => log.closed === 1);
  });

  test('is emitted for a pool that never made anything', async () => {
    const pool = await open(workshop());
    const log = record(pool);
    await settled(pool.close());
    await until(() => log.closed === 1);
  });
});
