/** Things that went wrong once, each found by somebody who looked for it. */
import { consecutiveFailures } from 'cenote';
import { expect, test } from 'vitest';
import { expectWhole, open, record, workshop } from '../support/pools.ts';
import { ownTime } from '../support/time.ts';
import { gate, rejection, settled, sleep, until } from '../support/wait.ts';

test('whoever acquires from a callback that an abort led to does not get the place of the one who leaves', async () => {
  const nested: Promise<unknown>[] = [];
  let reported = 0;
  const pool = await open({
    ...workshop(),
    max: 1,
    circuitBreaker: {
      reportSuccess: () => {
        if (reported++ < 2) nested.push(pool.acquire().then((thing) => pool.release(thing)));
      },
      reportFailure: () => {},
    },
  });
  const held = await pool.acquire();
  const controller = new AbortController();
  const waiting = rejection(pool.acquire({ signal: controller.signal }));
  pool.release(held);
  controller.abort();
  await settled(Promise.all([waiting, ...nested]));
  await settled(Promise.all(nested));
  await expectWhole(pool);
});

test.each(['close', 'destroy'] as const)('close() from a %s listener resolves', async (event) => {
  const pool = await open({ ...workshop(), min: 1 });
  let again: Promise<void> | undefined;
  pool.on(event, () => {
    again = pool.close();
  });
  const first = pool.close();
  await settled(first);
  await settled(again!);
  expect(again).toBe(first);
});

test('idleTimeout leaves min alone while destructors are slow', async () => {
  const time = ownTime();
  const shop = workshop();
  const gone = gate();
  const pool = await open({ ...shop, min: 1, max: 3, idleTimeout: 20, destructor: () => gone.promise });
  const log = record(pool);
  const three = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
  for (const thing of three) pool.release(thing);
  await time.pass(30);
  expect(pool.idleCount()).toBe(1);
  await time.holds(() => pool.idleCount() === 1, 60_000);
  gone.open();
  await until(() => log.destroyed.length === 2);
  expect(shop.made).toHaveLength(3);
});

test('two tries at two idle resources both get one, though a hook takes its time', async () => {
  const pool = await open({ ...workshop(), min: 2, max: 2, beforeAcquire: () => sleep(10) });
  const tried = await settled(Promise.all([pool.tryAcquire(), pool.tryAcquire()]));
  expect(tried).not.toContain(null);
});

test('a breaker that was opened by hand stays open for resetTimeout', async () => {
  const time = ownTime();
  const pool = await open({ ...workshop(), circuitBreaker: consecutiveFailures({ resetTimeout: 60_000 }) });
  pool.deactivate();
  // The time runs from the first question, after a second.
  await time.holds(() => pool.getState() === 'inactive', 60_999);
  await time.pass(1);
  expect(pool.getState()).toBe('recovering');
});
