import { describe, expect, test } from 'vitest';
import { borrow, expectWhole, open, record, type Thing, workshop } from '../support/pools.ts';
import { gate, settled, staysPending, until } from '../support/wait.ts';

describe('the destructor', () => {
  test('is called once with the resource', async () => {
    const shop = workshop();
    const pool = await open(shop);
    const thing = await pool.acquire();
    pool.destroy(thing);
    await until(() => shop.gone.length > 0);
    await settled(pool.close());
    expect(shop.gone).toEqual([thing]);
  });

  test('may be left out', async () => {
    const pool = await open({ factory: () => ({}), max: 1 });
    const log = record(pool);
    const first = await pool.acquire();
    pool.destroy(first);
    expect(await settled(pool.acquire())).not.toBe(first);
    expect(log.reasons()).toEqual(['destroyed']);
  });

  test('that is slow keeps the slot until it has finished', async () => {
    const shop = workshop();
    const slow = gate();
    const pool = await open({ ...shop, max: 1, destructor: () => slow.promise });
    pool.destroy(await pool.acquire());
    const next = pool.acquire();
    await staysPending(next);
    expect(shop.made).toHaveLength(1);
    slow.open();
    expect(await settled(next)).toBe(shop.made[1]);
  });

  test('that is slow does not keep the others from being borrowed', async () => {
    const slow = gate();
    const shop = workshop();
    const pool = await open({ ...shop, min: 2, max: 2, destructor: () => slow.promise });
    pool.destroy(await pool.acquire());
    const other = await settled(pool.acquire());
    expect(shop.made).toContain(other);
    slow.open();
  });

  test.each([
    [
      'throws',
      (error: Error) => {
        throw error;
      },
    ],
    ['rejects', (error: Error) => Promise.reject(error)],
  ])("that %s is reported as 'error', and the slot is free all the same", async (_, fail) => {
    const shop = workshop();
    const error = new Error('already gone');
    const pool = await open({ ...shop, max: 1, destructor: () => fail(error) });
    const log = record(pool);
    pool.destroy(await pool.acquire());
    await settled(pool.acquire());
    expect(log.errors).toEqual([error]);
    expect(pool.stats()).toMatchObject({ count: 1, created: 2, destroyed: 1 });
  });

  test("that never settles is reported as 'error' after checkTimeout, and the slot is free all the same", async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, checkTimeout: 30, destructor: () => new Promise(() => {}) });
    const log = record(pool);
    pool.destroy(await pool.acquire());
    await settled(pool.acquire());
    expect(log.errors).toHaveLength(1);
    expect(log.errors[0]).toBeInstanceOf(Error);
  });

  test('that never settles does not keep close waiting beyond checkTimeout', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 2, checkTimeout: 30, destructor: () => new Promise(() => {}) });
    const log = record(pool);
    await settled(pool.close());
    await until(() => log.closed === 1);
  });

  test('that fails for one leaves the rest of close() intact', async () => {
    const shop = workshop();
    const gone: Thing[] = [];
    const pool = await open({
      ...shop,
      min: 3,
      destructor: (thing) => {
        gone.push(thing);
        throw new Error('again');
      },
    });
    const log = record(pool);
    await settled(pool.close());
    expect(gone).toHaveLength(3);
    expect(log.errors).toHaveLength(3);
    await until(() => log.closed === 1);
  });

  test('that fails loses no slot', async () => {
    const shop = workshop();
    const pool = await open({
      ...shop,
      max: 3,
      destructor: () => {
        throw new Error('again');
      },
    });
    record(pool);
    for (let round = 0; round < 5; round++) for (const thing of await borrow(pool, 3)) pool.destroy(thing);
    await expectWhole(pool);
  });
});
