import { NotBorrowedError, PoolError } from 'cenote';
import { describe, expect, test } from 'vitest';
import { borrow, open, record, workshop } from '../support/pools.ts';
import { rejection, settled, until } from '../support/wait.ts';

const notBorrowed = { name: 'NotBorrowedError', code: 'ERR_POOL_NOT_BORROWED', pool: 'db' };
const thrown = (body: () => void): unknown => {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error('should have thrown');
};

describe('release', () => {
  test('makes the resource available again', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const thing = await pool.acquire();
    expect(pool.stats()).toMatchObject({ idle: 0, active: 1 });
    pool.release(thing);
    await until(() => pool.idleCount() === 1);
    expect(await settled(pool.acquire())).toBe(thing);
  });

  test('returns undefined, at once', async () => {
    const pool = await open(workshop());
    expect(pool.release(await pool.acquire())).toBeUndefined();
  });

  test('twice: NotBorrowedError', async () => {
    const pool = await open({ ...workshop(), name: 'db' });
    const thing = await pool.acquire();
    pool.release(thing);
    const error = thrown(() => pool.release(thing));
    expect(error).toBeInstanceOf(NotBorrowedError);
    expect(error).toBeInstanceOf(PoolError);
    expect(error).toMatchObject(notBorrowed);
    expect(pool.stats()).toMatchObject({ idle: 1, active: 0, released: 1 });
  });

  test('of something that was never in the pool: NotBorrowedError', async () => {
    const pool = await open({ ...workshop(), name: 'db' });
    expect(thrown(() => pool.release({ id: 1 }))).toMatchObject(notBorrowed);
  });

  test('of an idle resource: NotBorrowedError', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, name: 'db', min: 1 });
    expect(thrown(() => pool.release(shop.made[0]!))).toMatchObject(notBorrowed);
    expect(pool.idleCount()).toBe(1);
  });

  test("of another pool's resource: NotBorrowedError", async () => {
    const [pool, other] = [await open({ ...workshop(), name: 'db' }), await open(workshop())];
    const thing = await other.acquire();
    await pool.acquire();
    expect(thrown(() => pool.release(thing))).toMatchObject(notBorrowed);
    other.release(thing);
  });

  test('after destroy: NotBorrowedError', async () => {
    const pool = await open({ ...workshop(), name: 'db' });
    const thing = await pool.acquire();
    pool.destroy(thing);
    expect(thrown(() => pool.release(thing))).toMatchObject(notBorrowed);
  });

  test('twice, with a beforeRelease that is still busy: NotBorrowedError', async () => {
    const pool = await open({ ...workshop(), name: 'db', beforeRelease: () => new Promise((resolve) => setTimeout(resolve, 20)) });
    const thing = await pool.acquire();
    pool.release(thing);
    expect(thrown(() => pool.release(thing))).toMatchObject(notBorrowed);
    await until(() => pool.idleCount() === 1);
  });

  test.each(['use', 'lease'] as const)('twice, and in between it has been lent by %s: which rejects', async (how) => {
    const pool = await open({ ...workshop(), name: 'db', max: 1 });
    const thing = await pool.acquire();
    let ran = false;
    const waiting = how === 'lease' ? pool.lease() : pool.use(() => void (ran = true));
    pool.release(thing);
    // The waiter is served in a microtask, and goes on in a later one.
    queueMicrotask(() => pool.release(thing));
    expect(await rejection(waiting)).toMatchObject(notBorrowed);
    expect(ran).toBe(false);
    expect(pool.stats()).toMatchObject({ idle: 1, active: 0, waiting: 0 });
  });

  test('of undefined or null throws and changes nothing', async () => {
    const pool = await open({ ...workshop(), name: 'db', min: 1 });
    expect(() => pool.release(undefined as never)).toThrow();
    expect(() => pool.release(null as never)).toThrow();
    expect(pool.stats()).toMatchObject({ idle: 1, released: 0 });
  });
});

describe('destroy', () => {
  test('destroys the resource, and its place may be filled again', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1 });
    const log = record(pool);
    const thing = await pool.acquire();
    pool.destroy(thing);
    expect(await settled(pool.acquire())).not.toBe(thing);
    expect(shop.gone).toEqual([thing]);
    expect(log.destroyed.map(({ resource, reason }) => [resource, reason])).toEqual([[thing, 'destroyed']]);
  });

  test('twice, or after release, or of something foreign: NotBorrowedError', async () => {
    const pool = await open({ ...workshop(), name: 'db' });
    const [a, b] = await borrow(pool, 2);
    pool.destroy(a!);
    pool.release(b!);
    for (const thing of [a!, b!, { id: 1 }]) expect(thrown(() => pool.destroy(thing))).toMatchObject(notBorrowed);
  });

  test('reports its error to the strategy', async () => {
    const errors: Error[] = [];
    const pool = await open({
      ...workshop(),
      circuitBreaker: { reportSuccess() {}, reportFailure: (_, error) => void errors.push(error) },
    });
    const error = new Error('connection reset');
    pool.destroy(await pool.acquire(), error);
    await until(() => errors.length === 1);
    expect(errors[0]).toBe(error);
    pool.destroy(await pool.acquire());
    await until(() => errors.length === 2);
    expect(errors[1]).toBeInstanceOf(Error);
  });

  test('serves the next in line with a new resource', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1 });
    const thing = await pool.acquire();
    const waiting = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    pool.destroy(thing);
    expect(await settled(waiting)).toBe(shop.made[1]);
  });

  test('serves the next in line with the error, when no new one can be made', async () => {
    const shop = workshop();
    const error = new Error('down');
    const pool = await open({
      ...shop,
      max: 1,
      factory: () => {
        if (shop.made.length) throw error;
        return shop.factory();
      },
    });
    const thing = await pool.acquire();
    const waiting = rejection(pool.acquire());
    await until(() => pool.waitingCount() === 1);
    pool.destroy(thing);
    expect(await waiting).toBe(error);
  });

  test('counts as released and as destroyed', async () => {
    const pool = await open(workshop());
    pool.destroy(await pool.acquire());
    await until(() => pool.count() === 0);
    expect(pool.stats()).toMatchObject({ acquired: 1, released: 1, created: 1, destroyed: 1 });
  });
});
