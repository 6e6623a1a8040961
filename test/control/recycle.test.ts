/** What exists is replaced while it is in use. */
import { PoolClosedError, RecycleTimeoutError } from 'cenote';
import { expect, test } from 'vitest';
import { open, workshop } from '../support/pools.ts';
import { thread } from '../support/thread.ts';
import { failureOf, gate, rejection, settled, staysPending, turns, until } from '../support/wait.ts';

const reasonsOf = (pool: Awaited<ReturnType<typeof open<object>>>): string[] => {
  const reasons: string[] = [];
  pool.on('destroy', (_, reason) => reasons.push(reason));
  return reasons;
};

test('idle ones go at once, borrowed ones when they come back, and it says how many', async () => {
  const shop = workshop();
  const pool = await open({ ...shop, min: 2, max: 4 });
  const reasons = reasonsOf(pool as never);
  const held = [await pool.acquire(), await pool.acquire(), await pool.acquire()];
  pool.release(held.pop()!);
  const recycled = pool.recycle();
  await turns();
  expect(shop.gone.map(({ id }) => id)).toEqual([3]);
  await staysPending(recycled);
  for (const thing of held) pool.release(thing);
  expect(await settled(recycled)).toBe(3);
  expect(reasons).toEqual(['recycled', 'recycled', 'recycled']);
  expect(pool.stats()).toMatchObject({ recycled: 3, count: 2 });
  expect((await pool.acquire()).id).toBeGreaterThan(3);
});

test('nothing to replace is nothing replaced; a closed pool is not recycled', async () => {
  const pool = await open({ ...workshop(), max: 2 });
  expect(await pool.recycle()).toBe(0);
  for (const options of [{ timeout: -1 }, { revokeAfter: 'x' }, { after: 1 }])
    expect(await failureOf(() => pool.recycle(options as never))).toBeInstanceOf(Error);
  const held = await pool.acquire();
  const pending = pool.recycle();
  await pool.close();
  for (const promise of [pending, pool.recycle()]) expect(await rejection(promise)).toBeInstanceOf(PoolClosedError);
  pool.release(held);
});

test('while there is room there is always one', async () => {
  const shop = workshop();
  const pool = await open({ ...shop, min: 1, max: 2 });
  let least = 1;
  pool.on('create', () => (least = Math.min(least, shop.made.length - shop.gone.length)));
  pool.on('destroy', () => (least = Math.min(least, shop.made.length - shop.gone.length)));
  expect(await settled(pool.recycle())).toBe(1);
  expect([least, pool.count()]).toEqual([1, 1]);
});

test('while the factory fails the old ones serve on; where there is no room, one is given up', async () => {
  for (const [max, left] of [
    [4, 3],
    [3, 2],
  ]) {
    let isDown = false;
    const pool = await open({
      factory: async () => {
        if (isDown) throw new Error('down');
        return {};
      },
      min: 3,
      max,
    });
    pool.on('error', () => {});
    isDown = true;
    const error = await rejection(pool.recycle({ timeout: 150 }));
    expect(error).toBeInstanceOf(RecycleTimeoutError);
    expect(error).toMatchObject({ code: 'ERR_POOL_RECYCLE_TIMEOUT' });
    expect(pool.idleCount()).toBe(left);
    pool.release(await settled(pool.acquire()));
    isDown = false;
    await until(() => pool.stats().recycled === 3 && pool.idleCount() === 3);
  }
});

test('calls overlap: each is about what there was', async () => {
  const pool = await open({ ...workshop(), max: 1 });
  const held = await pool.acquire();
  const recycled = [pool.recycle(), pool.recycle()];
  await staysPending(Promise.race(recycled));
  pool.release(held);
  expect(await settled(Promise.all(recycled))).toEqual([1, 1]);
});

test('revokeAfter takes back what is still out', async () => {
  const pool = await open({ ...workshop(), max: 1 });
  const reasons = reasonsOf(pool as never);
  const body = gate();
  const use = pool.use(() => body.promise);
  await turns();
  expect(await settled(pool.recycle({ revokeAfter: 20 }))).toBe(1);
  expect([reasons, pool.stats().revoked]).toEqual([['revoked'], 1]);
  body.open();
  expect(await rejection(use)).toMatchObject({ code: 'ERR_POOL_LEASE_REVOKED' });
});

test.each(['open', 'closed'])(
  'revokeAfter ends with its call: after its timeout nothing is taken back, in a pool that is %s',
  async (state) => {
    const pool = await open({ ...workshop(), max: 1 });
    const witness = await open({ ...workshop(), max: 1 });
    const [held] = [await pool.acquire(), await witness.acquire()];
    const revokeAfter = 60;
    const late = rejection(pool.recycle({ timeout: 10, revokeAfter }));
    // Its timer is the later one of two that are as long.
    const revoked = witness.recycle({ revokeAfter });
    expect(await late).toBeInstanceOf(RecycleTimeoutError);
    if (state === 'closed') await pool.close();
    expect(await settled(revoked)).toBe(1);
    expect(pool.stats()).toMatchObject({ revoked: 0, active: 1 });
    // Not a revoked one, for which this would do nothing.
    pool.release(held);
    expect(await failureOf(() => pool.release(held))).toMatchObject({ code: 'ERR_POOL_NOT_BORROWED' });
  },
);

test('with share and no abort nothing can be taken back', async () => {
  const pool = await open({ ...workshop(), max: 1, share: ({ id }) => id });
  const thing = await pool.acquire();
  expect(await failureOf(() => pool.recycle({ revokeAfter: 1 }))).toBeInstanceOf(TypeError);
  expect(await failureOf(() => pool.revoke(thing))).toBeInstanceOf(TypeError);
  expect(await failureOf(() => open({ ...workshop(), share: ({ id }) => id, maxHold: { revokeAfter: 1 } }))).toBeInstanceOf(TypeError);
  pool.release(thing);
});

test('under load from workers everything is replaced, and no acquire fails', async () => {
  const shop = workshop();
  const pool = await open({ ...shop, min: 1, max: 3 });
  const workers = await Promise.all([thread(pool), thread(pool)]);
  const done = workers.map((worker) =>
    worker.run(async ({ pool, flags }) => {
      let rounds = 0;
      while (Atomics.load(flags, 0) === 0) {
        await Promise.all([pool.use(() => rounds++), pool.use(() => rounds++)]);
        pool.useSync(() => rounds++);
        Atomics.store(flags, 1, rounds);
      }
    }),
  );
  await until(() => workers.every(({ flags }) => Atomics.load(flags, 1) > 0));
  for (let i = 0; i < 5; i++) {
    const last = shop.made.at(-1)!.id;
    await settled(pool.recycle());
    expect(shop.made.filter((thing) => thing.id <= last && !shop.gone.includes(thing))).toEqual([]);
  }
  for (const worker of workers) worker.raise(0);
  await settled(Promise.all(done));
});

test.each(['recycle first', 'suspend first'])('%s: while the pool is to become empty nothing is made to be destroyed', async (order) => {
  const shop = workshop();
  const pool = await open({ ...shop, max: 3 });
  const held = await pool.acquire();
  const recycle = () => pool.recycle();
  const suspend = () => pool.suspend({ until: 'empty' });
  const early = order === 'recycle first' ? recycle() : undefined;
  const suspended = suspend();
  const recycled = early ?? recycle();
  for (let n = 0; n < 50; n++) await turns();
  const { length } = shop.made;
  for (let n = 0; n < 50; n++) await turns();
  // One may have been made before the suspension had begun.
  expect([shop.made.length, length <= 2]).toEqual([length, true]);
  pool.release(held);
  expect(await settled(recycled)).toBe(1);
  (await settled(suspended)).resume();
  pool.release(await settled(pool.acquire()));
});

test.each([0, 2])('where a budget gives no more than there are, one goes first: min %i', async (min) => {
  let held = 0;
  const budget = {
    enter: () => ({
      granted: 2,
      get hasRoom() {
        return held < 2;
      },
      isAsking: false,
      excess: undefined,
      first: (count: number) => count,
      take: () => {
        held++;
        return { key: 'k', epoch: 1 };
      },
      leaving: () => {},
      gone: () => {
        held--;
      },
      end: () => {},
    }),
  };
  const shop = workshop();
  const pool = await open({ ...shop, min, max: 10, budget });
  for (const thing of await Promise.all([pool.acquire(), pool.acquire()])) pool.release(thing);
  expect(await settled(pool.recycle())).toBe(2);
  expect(shop.gone.map(({ id }) => id).sort()).toEqual([1, 2]);
});
