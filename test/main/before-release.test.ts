import type { CircuitBreakerStrategy } from 'cenote';
import { describe, expect, test } from 'vitest';
import { expectConsistent, expectWhole, open, record, type Thing, workshop } from '../support/pools.ts';
import { gate, settled, sleep, staysPending, until } from '../support/wait.ts';

describe('beforeRelease', () => {
  test('is called with the resource on return', async () => {
    const asked: Thing[] = [];
    const pool = await open({ ...workshop(), beforeRelease: (thing) => void asked.push(thing) });
    const thing = await pool.acquire();
    expect(asked).toEqual([]);
    pool.release(thing);
    await until(() => pool.idleCount() === 1);
    expect(asked).toEqual([thing]);
  });

  test('that is slow: release returns at once, and the resource is available after it', async () => {
    const slow = gate();
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, beforeRelease: () => slow.promise });
    const thing = await pool.acquire();
    pool.release(thing);
    const next = pool.acquire();
    await staysPending(next);
    expect(pool.stats()).toMatchObject({ count: 1, idle: 0, active: 1 });
    slow.open();
    expect(await settled(next)).toBe(thing);
  });

  test('that is slow does not keep others from being made or borrowed', async () => {
    const slow = gate();
    const pool = await open({ ...workshop(), max: 2, beforeRelease: () => slow.promise });
    pool.release(await pool.acquire());
    expect((await settled(pool.acquire())).id).toBe(2);
    slow.open();
  });

  test.each([
    ['false', () => false],
    ['a promise of false', async () => false],
    [
      'a throw',
      () => {
        throw new Error('dirty');
      },
    ],
    ['a rejection', () => Promise.reject(new Error('dirty'))],
  ])('%s destroys the resource', async (_, verdict) => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, beforeRelease: verdict });
    const log = record(pool);
    pool.release(await pool.acquire());
    await until(() => shop.gone.length === 1 && pool.count() === 0);
    expect(log.reasons()).toEqual(['rejected-on-release']);
    expect((await settled(pool.acquire())).id).toBe(2);
  });

  test.each([
    ['undefined', undefined],
    ['true', true],
    ['0', 0],
    ['null', null],
  ])('%s keeps the resource', async (_, verdict) => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, beforeRelease: () => verdict as boolean });
    pool.release(await pool.acquire());
    await until(() => pool.idleCount() === 1);
    expect(shop.gone).toEqual([]);
  });

  test("that throws is reported as 'error', not to whoever releases", async () => {
    const error = new Error('dirty');
    const pool = await open({
      ...workshop(),
      beforeRelease: () => {
        throw error;
      },
    });
    const log = record(pool);
    const thing = await pool.acquire();
    expect(() => pool.release(thing)).not.toThrow();
    await until(() => log.errors.includes(error));
  });

  test('that never settles counts as false after checkTimeout', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, checkTimeout: 30, beforeRelease: () => new Promise<boolean>(() => {}) });
    const log = record(pool);
    pool.release(await pool.acquire());
    expect((await settled(pool.acquire())).id).toBe(2);
    expect(log.reasons()).toEqual(['rejected-on-release']);
  });

  test('that rejects every return serves everyone in line all the same', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 2, beforeRelease: () => false });
    const order: number[] = [];
    await settled(
      Promise.all(
        Array.from({ length: 12 }, async (_, i) => {
          const thing = await pool.acquire();
          order.push(i);
          await sleep(1);
          pool.release(thing);
        }),
      ),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(shop.made).toHaveLength(12);
    expect(shop.most()).toBeLessThanOrEqual(2);
  });

  test('reports a rejected return to the breaker strategy as a failure', async () => {
    const reports: [string, unknown?][] = [];
    const strategy: CircuitBreakerStrategy = {
      reportSuccess: () => void reports.push(['success']),
      reportFailure: (_, error) => void reports.push(['failure', error]),
    };
    const error = new Error('dirty');
    const verdicts: (() => boolean)[] = [
      () => true,
      () => false,
      () => {
        throw error;
      },
    ];
    const pool = await open({ ...workshop(), max: 1, circuitBreaker: strategy, beforeRelease: () => verdicts.shift()!() });
    record(pool);
    for (let i = 1; i <= 3; i++) {
      pool.release(await pool.acquire());
      await until(() => reports.length === i);
    }
    expect(reports.map(([kind]) => kind)).toEqual(['success', 'failure', 'failure']);
    expect(reports[1]![1]).toBeInstanceOf(Error);
    expect(reports[2]![1]).toBe(error);
  });

  test('is finished before the return counts as clean', async () => {
    const slow = gate();
    let successes = 0;
    const pool = await open({
      ...workshop(),
      max: 1,
      circuitBreaker: { reportSuccess: () => void successes++, reportFailure() {} },
      beforeRelease: () => slow.promise,
    });
    pool.release(await pool.acquire());
    await sleep(10);
    expect(successes).toBe(0);
    slow.open();
    await until(() => successes === 1);
  });

  test('while it runs the pool can be closed, and the resource is destroyed', async () => {
    const shop = workshop();
    const slow = gate();
    const pool = await open({ ...shop, beforeRelease: () => slow.promise });
    const log = record(pool);
    pool.release(await pool.acquire());
    const closing = pool.close();
    slow.open();
    await settled(closing);
    await until(() => log.closed === 1);
    expect(shop.gone).toEqual(shop.made);
  });

  test('now and then bad, under load: no slot is lost, none handed out twice', async () => {
    const shop = workshop();
    let calls = 0;
    const out = new Set<Thing>();
    const pool = await open({
      ...shop,
      max: 3,
      beforeRelease: async (thing) => {
        expect(out.has(thing)).toBe(false);
        await sleep(calls % 2);
        if (calls++ % 4 === 0) throw new Error('now and then');
        return calls % 3 !== 0;
      },
    });
    record(pool);
    await settled(
      Promise.all(
        Array.from({ length: 8 }, async () => {
          for (let i = 0; i < 15; i++) {
            const thing = await pool.acquire();
            expect(out.has(thing)).toBe(false);
            out.add(thing);
            expectConsistent(pool.stats());
            await sleep(i % 2);
            out.delete(thing);
            pool.release(thing);
          }
        }),
      ),
    );
    expect(shop.most()).toBeLessThanOrEqual(3);
    await expectWhole(pool);
  });
});
