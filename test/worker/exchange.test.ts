/** A thread that is about to sleep in line while something for it lies ready elsewhere. */
import { expect, test } from 'vitest';
import { expectWhole, open } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { thread } from '../support/thread.ts';
import { gate, settled, until } from '../support/wait.ts';

test('a sleeper takes what another acquire of its thread was granted, which gets its place: nobody waits for a slot that lies ready', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const held = await pool.acquire();
  const t = await thread(pool);
  await t.run(({ pool, keep }) => void keep('first', pool.acquire()));
  await until(() => pool.waitingCount() === 1);
  const both = t.run(async ({ pool, kept, tell }) => {
    tell('asleep soon');
    // The first was in line before. Its thread cannot pick it up while it sleeps here.
    const second = pool.acquireSync({ timeout: 60_000 });
    const id = second.whoami();
    pool.release(second);
    const first = (await kept<Promise<{ whoami(): Promise<number> }>>('first')) as never as { whoami(): Promise<number> };
    return [id, await first.whoami()];
  });
  await until(() => pool.waitingCount() === 2);
  pool.release(held);
  expect(await settled(both)).toEqual([1, 1]);
});

test('somebody who only tries has no place to give: the acquire in line is not told that there is nothing', async () => {
  const pool = await open<Service>({ factory: service(), max: 3, min: 3, recoveryProbes: 1 });
  const t = await thread(pool);
  pool.recover();
  const served = t.run(async ({ pool, keep, block, tell }) => {
    const first = keep('first', pool.acquire());
    tell('in line');
    block(0);
    const tried = pool.tryAcquireSync();
    if (tried !== null) pool.release(tried);
    const remote = await first;
    const id = await remote.whoami();
    pool.release(remote);
    return id;
  });
  await until(() => t.told.length === 1 && pool.activeCount() === 1);
  Atomics.store(t.flags, 0, 1);
  Atomics.notify(t.flags, 0);
  expect(await settled(served)).toBeGreaterThan(0);
  await expectWhole(pool);
});

test('a sleeper that takes what a try of its thread was granted leaves its own place: nothing is granted to nobody', async () => {
  const made = gate<Service>();
  const make = service();
  const pool = await open<Service>({ factory: () => made.promise, max: 1 });
  const t = await thread(pool);
  await t.run(({ pool, keep }) => void keep('tried', pool.tryAcquire()));
  await until(() => pool.waitingCount() === 1);
  const slept = t.run(async ({ pool, kept }) => {
    const remote = pool.acquireSync({ timeout: 60_000 });
    pool.release(remote);
    return kept('tried');
  });
  await until(() => pool.waitingCount() === 2);
  made.open(make());
  expect(await settled(slept)).toBeNull();
  await expectWhole(pool);
});
