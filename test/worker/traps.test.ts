/** Things that went wrong once, each found by somebody who looked for it. */
import { expect, test } from 'vitest';
import { open, record } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { thread } from '../support/thread.ts';
import { settled, until } from '../support/wait.ts';

test('a thread that has detached moves the breaker without harm to whoever has its number now', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const held = await pool.acquire();
  const first = await thread(pool);
  await first.run(({ pool }) => pool.detach());
  await until(() => pool.stats().threads === 0);
  const second = await thread(pool);
  const waiting = second.run(({ pool, attempt }) => attempt(() => pool.acquire()));
  await until(() => pool.waitingCount() === 1);
  await first.run(({ pool }) => pool.deactivate());
  expect((await settled(waiting)).error).toMatchObject({ code: 'ERR_POOL_UNAVAILABLE' });
  pool.release(held);
});

test('detach waits for the calls made before it, however long they take', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const log = record(pool);
  const t = await thread(pool);
  const said = t.run(async ({ pool }) => {
    const remote = await pool.acquire();
    const call = remote.slow(1300, 'finished');
    pool.release(remote);
    await pool.detach();
    return call;
  });
  expect(await settled(said)).toBe('finished');
  await until(() => log.detached.length === 1);
  expect(log.detached[0]!.reclaimed).toBe(0);
  expect(log.destroyed).toEqual([]);
});

test('a thread whose Error is frozen borrows and gives back, however long', async () => {
  const pool = await open<Service>({ factory: service(), max: 2 });
  const t = await thread(pool);
  const rounds = await settled(
    t.run(async ({ pool, sleep }) => {
      Object.freeze(Error);
      let rounds = 0;
      // Long enough for this thread to look after its owner several times, from a borrow, from a return and asleep.
      for (const end = performance.now() + 1000; performance.now() < end; rounds++) {
        pool.release(pool.acquireSync());
        pool.useSync((resource) => resource.add(1, 2));
        await pool.use((resource) => resource.add(1, 2));
        if (rounds % 50 === 0) await sleep(1);
      }
      return rounds;
    }),
  );
  expect(rounds).toBeGreaterThan(0);
  expect(pool.stats()).toMatchObject({ active: 0 });
  await until(() => pool.stats().acquired === pool.stats().released);
});

test('a one-shot call is cancelled at once, though its thread computes from then on', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const held = await pool.acquire();
  const t = await thread(pool);
  await t.run(({ pool, pending, keep, outcome }) => {
    const controller = keep('controller', new AbortController());
    pending.call = outcome(pool.call('add', [1, 2], { signal: controller.signal }));
  });
  await until(() => pool.waitingCount() === 1);
  const busy = t.run(({ kept, block, pending }) => {
    kept<AbortController>('controller').abort(new Error('not any more'));
    block(0);
    return pending.call as Promise<{ error?: { message: string } }>;
  });
  await until(() => pool.waitingCount() === 0);
  t.raise(0);
  expect((await settled(busy)).error).toMatchObject({ message: 'not any more' });
  pool.release(held);
});
