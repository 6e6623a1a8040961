/** pool.condemn: a resource that is known to be broken is had by nobody any more. */
import { consecutiveFailures } from 'cenote';
import { expect, test } from 'vitest';
import { open, record, Thing, workshop } from '../support/pools.ts';
import { thread } from '../support/thread.ts';
import { gate, settled, until } from '../support/wait.ts';

test('idle: destroyed at once, and replaced up to min', async () => {
  const shop = workshop();
  const pool = await open({ ...shop, min: 1, max: 2 });
  const log = record(pool);
  expect(pool.condemn(shop.made[0], new Error('cut'))).toBe(true);
  expect(shop.gone).toEqual([shop.made[0]]);
  expect(log.reasons()).toEqual(['unhealthy']);
  await until(() => pool.idleCount() === 1);
  expect(shop.made).toHaveLength(2);
});

test('borrowed: its borrower keeps it, and when it is back it goes to nobody else', async () => {
  const shop = workshop();
  const released: Thing[] = [];
  const pool = await open({ ...shop, max: 1, beforeRelease: (thing: Thing) => void released.push(thing) });
  const log = record(pool);
  const thing = await pool.acquire();
  expect(pool.condemn(thing)).toBe(true);
  expect(shop.gone).toEqual([]);
  const next = pool.acquire();
  pool.release(thing);
  expect((await settled(next)).id).toBe(2);
  expect(log.reasons()).toEqual(['unhealthy']);
  expect(released).toEqual([]);
});

test('borrowed by a worker: the same', async () => {
  const shop = workshop();
  const pool = await open({ ...shop, max: 1 });
  const log = record(pool);
  const worker = await thread(pool);
  await worker.hold();
  pool.condemn(shop.made[0]);
  await worker.giveBack();
  expect((await settled(pool.acquire())).id).toBe(2);
  expect(log.reasons()).toEqual(['unhealthy']);
});

test('being checked, granted or just made: it is not had either', async () => {
  const shop = workshop();
  const checked = gate();
  const pool = await open({ ...shop, max: 1, beforeAcquire: () => checked.promise });
  pool.release(await pool.acquire());
  const next = pool.acquire();
  pool.condemn(shop.made[0]);
  checked.open();
  expect((await settled(next)).id).toBe(2);

  const second = workshop();
  const other = await open({ ...second, max: 1 });
  other.once('create', (thing) => other.condemn(thing));
  expect((await settled(other.acquire())).id).toBe(2);
  expect(second.gone).toEqual([second.made[0]]);
});

test.each(['destroyed', 'refused by beforeRelease', 'refused by beforeAcquire', 'used up', 'given back to a closed pool'])(
  '%s: the reason is still that it is broken',
  async (how) => {
    const checked = gate();
    const no = () => checked.promise.then(() => false);
    const shop = workshop();
    const pool = await open({
      ...shop,
      max: 1,
      ...(how === 'used up' && { maxUses: 1 }),
      ...(how === 'refused by beforeRelease' && { beforeRelease: no }),
      ...(how === 'refused by beforeAcquire' && { min: 1, beforeAcquire: no }),
    });
    const log = record(pool);
    if (how === 'refused by beforeAcquire') {
      const waiting = pool.acquire();
      pool.condemn(shop.made[0]);
      checked.open();
      await settled(waiting);
    } else {
      const thing = await pool.acquire();
      if (how === 'refused by beforeRelease') pool.release(thing);
      pool.condemn(thing);
      if (how === 'destroyed') pool.destroy(thing);
      if (how === 'used up') pool.release(thing);
      if (how === 'given back to a closed pool') {
        await pool.close();
        pool.release(thing);
      }
      checked.open();
    }
    await until(() => log.reasons().length > 0);
    expect(log.reasons()).toEqual(['unhealthy']);
  },
);

test('while beforeRelease looks at it: one failure, and no success', async () => {
  const checked = gate();
  const reports: string[] = [];
  const pool = await open({
    ...workshop(),
    max: 1,
    beforeRelease: () => checked.promise,
    circuitBreaker: { reportSuccess: () => void reports.push('success'), reportFailure: () => void reports.push('failure') },
  });
  const log = record(pool);
  const thing = await pool.acquire();
  pool.release(thing);
  pool.condemn(thing);
  checked.open();
  await until(() => log.reasons().length > 0);
  expect(log.reasons()).toEqual(['unhealthy']);
  expect(reports).toEqual(['failure']);
});

test('counts as one failure for the breaker, however often it is said and whatever its borrower says', async () => {
  const pool = await open({ ...workshop(), max: 1, circuitBreaker: consecutiveFailures({ threshold: 2 }) });
  const thing = await pool.acquire();
  expect(pool.condemn(thing, new Error('cut'))).toBe(true);
  expect(pool.condemn(thing, new Error('cut'))).toBe(false);
  pool.destroy(thing, new Error('cut'));
  await until(() => pool.count() === 0);
  expect(pool.getState()).toBe('active');
  pool.condemn(await pool.acquire());
  expect(pool.getState()).toBe('inactive');
});

test('a probe that is condemned closes the door again', async () => {
  const pool = await open({ ...workshop(), max: 1 });
  pool.recover();
  const thing = await pool.acquire();
  pool.condemn(thing);
  expect(pool.getState()).toBe('inactive');
  pool.release(thing);
  await until(() => pool.count() === 0);
});

test('what is not one of the pool’s, or not any more, is left alone', async () => {
  const shop = workshop();
  const pool = await open({ ...shop, max: 1 });
  expect(pool.condemn(new Thing(7))).toBe(false);
  pool.destroy(await pool.acquire());
  await until(() => pool.count() === 0);
  expect(pool.condemn(shop.made[0])).toBe(false);
  expect((await pool.acquire()).id).toBe(2);
});

test('close and drain do not wait for it twice', async () => {
  const shop = workshop();
  const pool = await open({ ...shop, max: 2 });
  const [one, two] = await Promise.all([pool.acquire(), pool.acquire()]);
  pool.condemn(one);
  const drained = pool.drain();
  pool.release(one);
  pool.condemn(two);
  pool.release(two);
  await settled(drained);
  expect(shop.gone).toHaveLength(2);
});

test('one of two equal values: the other one is still there to be condemned', async () => {
  const pool = await open({ factory: () => 'a seat', max: 2 });
  const log = record(pool);
  const [seat] = await Promise.all([pool.acquire(), pool.acquire()]);
  expect(pool.condemn(seat)).toBe(true);
  pool.destroy(seat);
  await until(() => log.reasons().length === 1);
  expect(pool.condemn(seat)).toBe(true);
});
