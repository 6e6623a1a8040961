import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { expectWhole, open, workshop } from '../support/pools.ts';
import { gate, outcome, rejection, settled, sleep, until } from '../support/wait.ts';

const exhausted = async (options: object = {}) => {
  const pool = await open({ ...workshop(), max: 1, ...options });
  return { pool, held: await pool.acquire() };
};
const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

describe('a signal that is aborted already', () => {
  test('rejects with its reason', async () => {
    const pool = await open(workshop());
    const reason = new Error('too late');
    expect(await rejection(pool.acquire({ signal: AbortSignal.abort(reason) }))).toBe(reason);
  });

  test('takes nothing, not even what is idle', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 1 });
    await rejection(pool.acquire({ signal: AbortSignal.abort() }));
    expect(pool.stats()).toMatchObject({ idle: 1, active: 0, waiting: 0, acquired: 0 });
  });

  test('with the default reason: an AbortError', async () => {
    const pool = await open(workshop());
    expect(await rejection(pool.acquire({ signal: AbortSignal.abort() }))).toMatchObject({ name: 'AbortError' });
  });
});

describe('a signal that is aborted while waiting', () => {
  test('rejects with its reason, at once', async () => {
    const { pool } = await exhausted();
    const controller = new AbortController();
    const waiting = rejection(pool.acquire({ signal: controller.signal }));
    await until(() => pool.waitingCount() === 1);
    const reason = { any: 'thing' };
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    expect(pool.waitingCount()).toBe(0);
  });

  test.each(['a text', 0, null])('passes the reason %j through', async (reason) => {
    const { pool } = await exhausted();
    const controller = new AbortController();
    const waiting = rejection(pool.acquire({ signal: controller.signal }));
    controller.abort(reason);
    expect(await waiting).toBe(reason);
  });

  test('of AbortSignal.timeout gives its TimeoutError', async () => {
    const { pool } = await exhausted();
    expect(await rejection(pool.acquire({ signal: AbortSignal.timeout(15) }))).toMatchObject({ name: 'TimeoutError' });
  });

  test('counts neither as timed out nor as rejected', async () => {
    const { pool } = await exhausted();
    const controller = new AbortController();
    const waiting = rejection(pool.acquire({ signal: controller.signal }));
    controller.abort();
    await waiting;
    expect(pool.stats()).toMatchObject({ timedOut: 0, rejected: 0, acquired: 1 });
  });

  test('takes only its own waiter away', async () => {
    const { pool, held } = await exhausted();
    const controller = new AbortController();
    const [a, b, c] = [pool.acquire(), rejection(pool.acquire({ signal: controller.signal })), pool.acquire()];
    await until(() => pool.waitingCount() === 3);
    controller.abort();
    await b;
    pool.release(held);
    pool.release(await settled(a));
    pool.release(await settled(c));
  });

  test('may be shared by many waiters', async () => {
    const { pool } = await exhausted();
    const controller = new AbortController();
    const waiting = Array.from({ length: 5 }, () => rejection(pool.acquire({ signal: controller.signal })));
    controller.abort('all of you');
    expect(await Promise.all(waiting)).toEqual(Array(5).fill('all of you'));
    expect(pool.waitingCount()).toBe(0);
  });

  test('while a resource is being made: the waiter leaves at once, the creation goes on', async () => {
    const shop = workshop();
    const slow = gate();
    const pool = await open({
      ...shop,
      max: 1,
      factory: async () => {
        await slow.promise;
        return shop.factory();
      },
    });
    const controller = new AbortController();
    const waiting = rejection(pool.acquire({ signal: controller.signal }));
    await until(() => pool.count() === 1);
    controller.abort('no patience');
    expect(await waiting).toBe('no patience');
    slow.open();
    await until(() => pool.activeCount() === 0);
    expect(pool.count()).toBe(shop.made.length - shop.gone.length);
    await expectWhole(pool);
  });

  test.each(['factory', 'beforeAcquire'])('from the %s that it leads to: it is noticed', async (caller) => {
    const controller = new AbortController();
    const reason = new Error('from within');
    const never = new Promise<never>(() => {});
    const abortThenHang = () => {
      controller.abort(reason);
      return never;
    };
    const options = caller === 'factory' ? { factory: abortThenHang } : { ...workshop(), min: 1, beforeAcquire: abortThenHang };
    const pool = await open({ max: 1, ...options });
    expect(await rejection(pool.acquire({ signal: controller.signal }))).toBe(reason);
    expect(pool.waitingCount()).toBe(0);
    expect(listeners(controller.signal)).toBe(0);
  });

  test('just when the resource is granted: it is either got or passed on', async () => {
    const { pool, held } = await exhausted();
    let current = held;
    for (let i = 0; i < 50; i++) {
      const controller = new AbortController();
      const first = outcome(pool.acquire({ signal: controller.signal }));
      const second = pool.acquire();
      if (i % 2) {
        pool.release(current);
        controller.abort('late');
      } else {
        controller.abort('early');
        pool.release(current);
      }
      const { value } = await first;
      if (value) pool.release(value);
      current = await settled(second);
    }
    pool.release(current);
    expect(pool.stats()).toMatchObject({ idle: 1, active: 0, waiting: 0 });
  });

  test('just when the resource is granted: it was never borrowed, and no hook or strategy hears that it came back', async () => {
    const heard: string[] = [];
    const { pool, held } = await exhausted({
      beforeRelease: () => void heard.push('beforeRelease'),
      circuitBreaker: { reportSuccess: () => void heard.push('success'), reportFailure: () => void heard.push('failure') },
    });
    const controller = new AbortController();
    const waiting = rejection(pool.acquire({ signal: controller.signal }));
    pool.release(held);
    expect(pool.stats()).toMatchObject({ active: 1, waiting: 0 });
    controller.abort('late');
    expect(await waiting).toBe('late');
    expect(heard).toEqual(['beforeRelease', 'success']);
    expect(pool.stats()).toMatchObject({ idle: 1, acquired: 1, released: 1 });
    await expectWhole(pool);
  });

  test('just when it is granted as a probe: that proves nothing, and the next in line gets the probe', async () => {
    const pool = await open({ ...workshop(), max: 3, recoveryProbes: 2 });
    pool.recover();
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    const controller = new AbortController();
    const waiting = rejection(pool.acquire({ signal: controller.signal }));
    pool.release(a);
    controller.abort('late');
    expect(await waiting).toBe('late');
    expect(pool.getState()).toBe('recovering');
    const next = await settled(pool.acquire());
    pool.release(next);
    expect(pool.getState()).toBe('active');
    pool.release(b);
  });

  test('just when it is granted, and condemned: nobody gets it any more', async () => {
    const { pool, held } = await exhausted();
    const controller = new AbortController();
    const waiting = rejection(pool.acquire({ signal: controller.signal }));
    const next = pool.acquire();
    pool.release(held);
    pool.condemn(held);
    controller.abort('late');
    expect(await waiting).toBe('late');
    expect(await settled(next)).not.toBe(held);
  });

  test('a microtask after the release: it is either got or passed on', async () => {
    const { pool, held } = await exhausted();
    let current = held;
    for (let i = 0; i < 50; i++) {
      const controller = new AbortController();
      const first = outcome(pool.acquire({ signal: controller.signal }));
      const second = pool.acquire();
      await until(() => pool.waitingCount() === 2);
      pool.release(current);
      for (let ticks = i % 5; ticks > 0; ticks--) await undefined;
      controller.abort('late');
      const { value } = await first;
      if (value) pool.release(value);
      current = await settled(second);
    }
    pool.release(current);
  });
});

test('a signal that is aborted after the resource was handed out has no effect', async () => {
  const pool = await open(workshop());
  const controller = new AbortController();
  const thing = await pool.acquire({ signal: controller.signal });
  controller.abort();
  await sleep(5);
  expect(pool.activeCount()).toBe(1);
  pool.release(thing);
  expect(pool.idleCount()).toBe(1);
});

describe('no listener stays on the signal', () => {
  test('after an immediate hand-out', async () => {
    const pool = await open({ ...workshop(), min: 1 });
    const { signal } = new AbortController();
    for (let i = 0; i < 20; i++) pool.release(await pool.acquire({ signal }));
    expect(listeners(signal)).toBe(0);
  });

  test('after a hand-out that was waited for', async () => {
    const { pool, held } = await exhausted();
    const { signal } = new AbortController();
    const waiting = pool.acquire({ signal });
    await until(() => pool.waitingCount() === 1);
    expect(listeners(signal)).toBeGreaterThan(0);
    pool.release(held);
    await settled(waiting);
    expect(listeners(signal)).toBe(0);
  });

  test('after a timeout', async () => {
    const { pool } = await exhausted();
    const { signal } = new AbortController();
    await rejection(pool.acquire({ signal, timeout: 10 }));
    expect(listeners(signal)).toBe(0);
  });

  test('after an abort', async () => {
    const { pool } = await exhausted();
    const controller = new AbortController();
    const waiting = rejection(pool.acquire({ signal: controller.signal }));
    controller.abort();
    await waiting;
    expect(listeners(controller.signal)).toBe(0);
  });

  test('after a factory failure', async () => {
    const pool = await open<object>({ factory: () => Promise.reject(new Error('no')) });
    const { signal } = new AbortController();
    await rejection(pool.acquire({ signal }));
    expect(listeners(signal)).toBe(0);
  });

  test('after close', async () => {
    const { pool } = await exhausted();
    const { signal } = new AbortController();
    const waiting = rejection(pool.acquire({ signal }));
    await pool.close();
    await waiting;
    expect(listeners(signal)).toBe(0);
  });
});

test('timeout and signal together: whichever comes first', async () => {
  const { pool } = await exhausted();
  const controller = new AbortController();
  expect(await rejection(pool.acquire({ timeout: 10, signal: controller.signal }))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
  const waiting = rejection(pool.acquire({ timeout: 60_000, signal: controller.signal }));
  controller.abort('first');
  expect(await waiting).toBe('first');
});

test('many acquires may share a signal: one listener for all of them, none when they have been served', async () => {
  const { pool, held } = await exhausted();
  const controller = new AbortController();
  const waiting = Array.from({ length: 30 }, () => pool.acquire({ signal: controller.signal }));
  const rejections = waiting.slice(1).map((each) => rejection(each));
  expect(listeners(controller.signal)).toBe(1);
  pool.release(held);
  const first = await settled(waiting[0]!);
  controller.abort(new Error('enough'));
  expect(new Set(await Promise.all(rejections))).toEqual(new Set([controller.signal.reason]));
  expect(listeners(controller.signal)).toBe(0);
  pool.release(first);
  await expectWhole(pool);
});
