import { describe, expect, test } from 'vitest';
import { borrow, expectConsistent, expectWhole, open, type Thing, workshop } from '../support/pools.ts';
import { outcome, rejection, settled, sleep, staysPending, until } from '../support/wait.ts';

describe('acquire', () => {
  test('gives what the factory made, itself', async () => {
    const shop = workshop();
    const pool = await open(shop);
    expect(await pool.acquire()).toBe(shop.made[0]);
  });

  test('gives an idle resource rather than making one', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 1 });
    expect(await pool.acquire()).toBe(shop.made[0]);
    expect(shop.made).toHaveLength(1);
  });

  test('never gives the same resource to two borrowers', async () => {
    const pool = await open({ ...workshop(), max: 5 });
    const out = new Set<Thing>();
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        for (let round = 0; round < 10; round++) {
          const thing = await pool.acquire();
          expect(out.has(thing)).toBe(false);
          out.add(thing);
          expect(out.size).toBeLessThanOrEqual(5);
          await sleep((i + round) % 2);
          out.delete(thing);
          pool.release(thing);
        }
      }),
    );
    expect(pool.stats()).toMatchObject({ idle: 5, active: 0, waiting: 0 });
  });

  test('waits when everything is out', async () => {
    const pool = await open({ ...workshop(), max: 2 });
    const [a] = await borrow(pool, 2);
    const third = pool.acquire();
    await staysPending(third);
    expect(pool.waitingCount()).toBe(1);
    pool.release(a!);
    expect(await settled(third)).toBe(a);
    expect(pool.waitingCount()).toBe(0);
  });

  test('serves in the order of joining', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const order: number[] = [];
    const done = Array.from({ length: 30 }, async (_, i) => {
      const thing = await pool.acquire();
      order.push(i);
      pool.release(thing);
    });
    pool.release(held);
    await settled(Promise.all(done));
    expect(order).toEqual([...order.keys()]);
    expect(order).toHaveLength(30);
  });

  test('a latecomer does not pass the line', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const order: string[] = [];
    const first = pool.acquire().then((thing) => {
      order.push('first');
      pool.release(thing);
    });
    pool.release(held);
    const late = pool.acquire().then((thing) => {
      order.push('late');
      pool.release(thing);
    });
    await settled(Promise.all([first, late]));
    expect(order).toEqual(['first', 'late']);
  });

  test('a tight acquire and release loop does not starve the line', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    let running = true;
    let rounds = 0;
    const loop = (async () => {
      while (running) {
        const thing = await pool.acquire();
        rounds++;
        pool.release(thing);
        if (rounds % 100 === 0) await sleep(0);
      }
    })();
    let most = 0;
    for (let i = 0; i < 50; i++) {
      const before = rounds;
      const thing = await settled(pool.acquire());
      most = Math.max(most, rounds - before);
      pool.release(thing);
    }
    running = false;
    await settled(loop);
    expect(most, 'times that the loop was served first').toBeLessThanOrEqual(2);
  });

  test('serves as many waiters as there are resources that come back', async () => {
    const pool = await open({ ...workshop(), max: 3 });
    const held = await borrow(pool, 3);
    const waiting = Array.from({ length: 3 }, () => pool.acquire());
    await until(() => pool.waitingCount() === 3);
    for (const thing of held) pool.release(thing);
    expect(new Set(await settled(Promise.all(waiting)))).toEqual(new Set(held));
  });

  test('leaves the surplus open for others', async () => {
    const pool = await open({ ...workshop(), max: 3 });
    const held = await borrow(pool, 3);
    const waiting = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    for (const thing of held) pool.release(thing);
    await settled(waiting);
    expect(pool.idleCount()).toBe(2);
    expect(await pool.tryAcquire()).not.toBeNull();
    expect(await pool.tryAcquire()).not.toBeNull();
  });

  test('with every connection broken on return still serves everyone', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 2 });
    await settled(
      Promise.all(
        Array.from({ length: 20 }, async () => {
          const thing = await pool.acquire();
          await sleep(1);
          pool.destroy(thing, new Error('broken'));
        }),
      ),
    );
    expect(shop.made).toHaveLength(20);
    expect(shop.most()).toBeLessThanOrEqual(2);
    await expectWhole(pool);
  });

  test('with a factory that always fails and every connection broken: each of more waiters than slots is told', async () => {
    const shop = workshop();
    let broken = false;
    const pool = await open({
      ...shop,
      max: 2,
      factory: async () => {
        if (broken) throw new Error('down');
        return shop.factory();
      },
    });
    const held = await borrow(pool, 2);
    const waiting = Array.from({ length: 8 }, () => outcome(pool.acquire()));
    await until(() => pool.waitingCount() === 8);
    broken = true;
    for (const thing of held) pool.destroy(thing);
    for (const { error } of await Promise.all(waiting)) expect(error).toMatchObject({ message: 'down' });
    expect(pool.stats()).toMatchObject({ count: 0, waiting: 0 });
  });

  test('counts stay consistent at every instant', async () => {
    const pool = await open({
      ...workshop(),
      max: 3,
      factory: async () => {
        await sleep(1);
        return { id: 0 };
      },
    });
    let running = true;
    const watch = (async () => {
      while (running) {
        expectConsistent(pool.stats());
        await sleep(0);
      }
    })();
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        for (let round = 0; round < 10; round++) {
          const thing = await pool.acquire();
          expectConsistent(pool.stats());
          await sleep(round % 2);
          if (i % 3 === 0) pool.destroy(thing);
          else pool.release(thing);
          expectConsistent(pool.stats());
        }
      }),
    );
    running = false;
    await watch;
  });
});

test('many pools in one process do not disturb each other', async () => {
  const pools = await Promise.all(
    Array.from({ length: 60 }, (_, i) => open({ ...workshop(), name: `pool-${i}`, max: 1 + (i % 3), min: i % 2 })),
  );
  await Promise.all(
    pools.map(async (pool, i) => {
      expect(pool.stats()).toMatchObject({ name: `pool-${i}`, max: 1 + (i % 3), count: i % 2 });
      await expectWhole(pool);
      if (i % 2) await pool.close();
    }),
  );
  for (const [i, pool] of pools.entries()) {
    expect(pool.isClosed()).toBe(i % 2 === 1);
    if (i % 2) expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_CLOSED', pool: `pool-${i}` });
    else await expectWhole(pool);
  }
});

test('two pools of the same name are two pools', async () => {
  const [a, b] = [await open({ ...workshop(), name: 'same', max: 1 }), await open({ ...workshop(), name: 'same', max: 1 })];
  const thing = await a.acquire();
  expect(() => b.release(thing)).toThrow();
  expect(await b.tryAcquire()).not.toBeNull();
  a.release(thing);
});

test('a large max works', async () => {
  const shop = workshop();
  const pool = await open({ ...shop, max: 500 });
  const all = await settled(borrow(pool, 500));
  expect(new Set(all).size).toBe(500);
  expect(await pool.tryAcquire()).toBeNull();
  for (const thing of all) pool.release(thing);
  expect(pool.idleCount()).toBe(500);
});

test('a line of a thousand is served in order', async () => {
  const pool = await open({ ...workshop(), max: 1 });
  const held = await pool.acquire();
  const order: number[] = [];
  const done = Array.from({ length: 1000 }, async (_, i) => {
    const thing = await pool.acquire();
    order.push(i);
    pool.release(thing);
  });
  await until(() => pool.waitingCount() === 1000);
  pool.release(held);
  await settled(Promise.all(done));
  expect(order).toEqual([...Array(1000).keys()]);
});
