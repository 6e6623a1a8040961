import { describe, expect, test } from 'vitest';
import { borrow, expectConsistent, expectWhole, open, record, type Thing, workshop } from '../support/pools.ts';
import { ownTime } from '../support/time.ts';
import { gate, settled, sleep, until } from '../support/wait.ts';

describe('the healthcheck', () => {
  test('is off without healthcheckInterval', async () => {
    const time = ownTime();
    let checks = 0;
    await open({ ...workshop(), min: 2, healthcheck: () => void checks++ });
    await time.pass(3_600_000);
    expect(checks).toBe(0);
  });

  test('asks about every idle resource, again and again', async () => {
    const shop = workshop();
    const asked: Thing[] = [];
    await open({ ...shop, min: 3, healthcheckInterval: 10, healthcheck: (thing) => void asked.push(thing) });
    await until(() => shop.made.every((thing) => asked.filter((each) => each === thing).length >= 2));
  });

  test('is never called on a borrowed resource', async () => {
    const shop = workshop();
    const out = new Set<Thing>();
    let wrong = 0;
    let checks = 0;
    const pool = await open({
      ...shop,
      min: 3,
      max: 3,
      healthcheckInterval: 2,
      healthcheck: async (thing) => {
        checks++;
        if (out.has(thing)) wrong++;
        await sleep(1);
        if (out.has(thing)) wrong++;
      },
    });
    await Promise.all(
      Array.from({ length: 2 }, async () => {
        for (let i = 0; i < 40; i++) {
          const thing = await pool.acquire();
          out.add(thing);
          await sleep(i % 3);
          out.delete(thing);
          pool.release(thing);
        }
      }),
    );
    expect(checks).toBeGreaterThan(0);
    expect(wrong).toBe(0);
  });

  test('is not called on one that is borrowed all the time', async () => {
    const asked: Thing[] = [];
    const pool = await open({ ...workshop(), min: 2, healthcheckInterval: 5, healthcheck: (thing) => void asked.push(thing) });
    const mine = await pool.acquire();
    const before = asked.filter((thing) => thing === mine).length;
    await until(() => asked.filter((thing) => thing !== mine).length > 3);
    expect(asked.filter((thing) => thing === mine)).toHaveLength(before);
  });

  test.each([
    ['false', () => false],
    ['a promise of false', async () => false],
    [
      'a throw',
      () => {
        throw new Error('ping failed');
      },
    ],
    ['a rejection', () => Promise.reject(new Error('ping failed'))],
  ])('%s condemns the resource, and min is made again', async (_, verdict) => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 2, healthcheckInterval: 10, healthcheck: (thing) => (thing.id === 1 ? verdict() : true) });
    const log = record(pool);
    await until(() => shop.gone.length === 1 && pool.idleCount() === 2);
    expect(shop.gone).toEqual([shop.made[0]]);
    expect(log.reasons()).toEqual(['unhealthy']);
    expect(shop.made).toHaveLength(3);
  });

  test.each([
    ['undefined', undefined],
    ['true', true],
    ['0', 0],
    ['null', null],
    ['an empty string', ''],
  ])('%s does not condemn the resource', async (_, verdict) => {
    const shop = workshop();
    let checks = 0;
    const pool = await open({
      ...shop,
      min: 1,
      healthcheckInterval: 5,
      healthcheck: () => {
        checks++;
        return verdict as boolean;
      },
    });
    await until(() => checks >= 3);
    expect(shop.gone).toHaveLength(0);
    expect(pool.count()).toBe(1);
  });

  test("that throws is reported as 'error'", async () => {
    const error = new Error('ping failed');
    let once = true;
    const pool = await open({
      ...workshop(),
      min: 1,
      healthcheckInterval: 20,
      healthcheck: () => {
        if (once) {
          once = false;
          throw error;
        }
      },
    });
    const log = record(pool);
    await until(() => log.errors.includes(error));
  });

  test('that hangs counts as false after checkTimeout', async () => {
    const shop = workshop();
    const pool = await open({
      ...shop,
      min: 1,
      healthcheckInterval: 10,
      checkTimeout: 30,
      healthcheck: (thing) => (thing.id === 1 ? new Promise<boolean>(() => {}) : true),
    });
    const log = record(pool);
    await until(() => pool.idleCount() === 1 && shop.made.length === 2);
    expect(log.reasons()).toEqual(['unhealthy']);
  });

  test('that hangs does not keep the other resources from being borrowed', async () => {
    const shop = workshop();
    let checking = false;
    const pool = await open({
      ...shop,
      min: 3,
      max: 3,
      healthcheckInterval: 10,
      checkTimeout: 600_000,
      healthcheck: () => {
        checking = true;
        return new Promise<boolean>(() => {});
      },
    });
    await until(() => checking);
    await settled(borrow(pool, 2));
  });

  test('that is slow gives its resource to whoever waits when it is done', async () => {
    const shop = workshop();
    const slow = gate<boolean>();
    let checking = false;
    const pool = await open({
      ...shop,
      min: 1,
      max: 1,
      healthcheckInterval: 10,
      healthcheck: () => {
        checking = true;
        return slow.promise;
      },
    });
    await until(() => checking);
    const waiting = pool.acquire();
    slow.open(true);
    expect(await settled(waiting)).toBe(shop.made[0]);
  });

  test('that fails with somebody waiting: a new one is made for the waiter', async () => {
    const shop = workshop();
    const slow = gate<boolean>();
    let checking = false;
    const pool = await open({
      ...shop,
      max: 1,
      healthcheckInterval: 10,
      healthcheck: () => {
        checking = true;
        return slow.promise;
      },
    });
    pool.release(await pool.acquire());
    await until(() => checking);
    const waiting = pool.acquire();
    slow.open(false);
    expect(await settled(waiting)).toBe(shop.made[1]);
  });

  test('while it runs the counts stay consistent, with the checked one among the active', async () => {
    const slow = gate<boolean>();
    let checking = false;
    const pool = await open({
      ...workshop(),
      min: 1,
      max: 1,
      healthcheckInterval: 10,
      healthcheck: () => {
        checking = true;
        return slow.promise;
      },
    });
    await until(() => checking);
    expectConsistent(pool.stats());
    expect(pool.stats()).toMatchObject({ count: 1, idle: 0, active: 1 });
    slow.open(true);
    await until(() => pool.idleCount() === 1);
  });

  test('does not resurrect a pool that is closed meanwhile', async () => {
    const shop = workshop();
    const slow = gate<boolean>();
    let checking = false;
    const pool = await open({
      ...shop,
      min: 1,
      healthcheckInterval: 10,
      healthcheck: () => {
        checking = true;
        return slow.promise;
      },
    });
    const log = record(pool);
    await until(() => checking);
    const closing = pool.close();
    slow.open(true);
    await settled(closing);
    await until(() => log.closed === 1);
    expect(shop.gone).toEqual(shop.made);
    expect(pool.count()).toBe(0);
  });

  test('under load loses no slot, whatever it says', async () => {
    const shop = workshop();
    let checks = 0;
    const pool = await open({
      ...shop,
      max: 4,
      min: 2,
      healthcheckInterval: 3,
      healthcheck: async () => {
        await sleep(checks % 2);
        if (checks++ % 5 === 0) throw new Error('now and then');
        return checks % 3 !== 0;
      },
    });
    record(pool);
    await Promise.all(
      Array.from({ length: 6 }, async () => {
        for (let i = 0; i < 40; i++) {
          const thing = await pool.acquire({ timeout: 60_000 });
          expectConsistent(pool.stats());
          await sleep(i % 2);
          pool.release(thing);
          await sleep(0);
        }
      }),
    );
    expect(shop.most()).toBeLessThanOrEqual(4);
    await expectWhole(pool);
  });
});
