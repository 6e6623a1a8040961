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
