import { describe, expect, test } from 'vitest';
import { open, record } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { thread, threads } from '../support/thread.ts';
import { settled, until } from '../support/wait.ts';

describe('detach', () => {
  test('gives back everything that the thread holds, as it is', async () => {
    const pool = await open({ factory: service(), max: 3 });
    const log = record(pool);
    const t = await thread(pool);
    await t.hold(2);
    await t.run(({ pool, syncHeld }) => void syncHeld.push(pool.acquireSync()));
    await settled(t.run(({ pool }) => pool.detach()));
    await until(() => pool.idleCount() === 3);
    expect(log.destroyed).toEqual([]);
    expect(pool.stats()).toMatchObject({ count: 3, active: 0 });
  });

  test("is announced as 'detach' with the thread's id", async () => {
    const pool = await open({ factory: service() });
    const log = record(pool);
    const t = await thread(pool);
    const before = pool.stats().threads;
    await t.run(({ pool }) => pool.detach());
    await until(() => log.detached.length === 1);
    expect(log.detached[0]!.threadId).toBe(t.id);
    expect(pool.stats().threads).toBe(before - 1);
  });

  test('is announced once, although the thread ends later', async () => {
    const pool = await open({ factory: service() });
    const log = record(pool);
    const [a, b] = await threads(2, pool);
    await a!.run(({ pool }) => pool.detach());
    await until(() => log.detached.length === 1);
    await a!.terminate();
    await b!.terminate();
    await until(() => log.detached.some(({ threadId }) => threadId === b!.id));
    expect(log.detached).toHaveLength(2);
  });

  test('settles the acquires that wait', async () => {
    const pool = await open({ factory: service(), max: 1 });
    await pool.acquire();
    const t = await thread(pool);
    await t.run(async ({ pool, outcome, pending }) => {
      pending.a = outcome(pool.acquire().then(() => {}));
      pending.b = outcome(pool.use(() => {}));
    });
    await until(() => pool.waitingCount() === 2);
    await settled(t.run(({ pool }) => pool.detach()));
    expect(await settled(t.run(async ({ pending }) => Promise.all([pending.a, pending.b])))).toMatchObject([{ ok: false }, { ok: false }]);
    expect(pool.waitingCount()).toBe(0);
  });

  test('ends its part in the statistics: its counters may be another thread’s by now', async () => {
    const pool = await open({ factory: service(), maxThreads: 1 });
    const t = await thread(pool);
    await settled(t.run(({ pool }) => pool.detach()));
    await thread(pool);
    const { error } = await settled(t.run(({ pool, attempt }) => attempt(async () => void (await pool.acquire()))));
    expect(error).toMatchObject({ code: 'ERR_POOL_CLOSED', message: expect.stringContaining('detached') });
    expect(pool.stats().rejected).toBe(0);
  });

  test('passes what it held on to the next in line', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const [a, b] = await threads(2, pool);
    await a!.hold();
    const waiting = b!.hold();
    await until(() => pool.waitingCount() === 1);
    await a!.run(({ pool }) => pool.detach());
    await settled(waiting);
  });

  test('lets calls in flight settle, and the resource come back after them', async () => {
    const pool = await open<Service>({ factory: service(), max: 1 });
    const t = await thread(pool);
    await t.hold();
    await t.run(({ held: [remote], outcome, pending }) => void (pending.call = outcome(remote!.slow(50, 'finished'))));
    await until(() => pool.activeCount() === 1);
    const detached = t.run(({ pool }) => pool.detach());
    const resource = await settled(pool.acquire());
    expect(resource.running).toBe(0);
    await settled(detached);
    await settled(t.run(({ pending }) => pending.call));
  });

  test('afterwards release does nothing, and acquires are refused', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    await t.hold();
    const result = await t.run(async ({ pool, held, attempt }) => {
      await pool.detach();
      const release = await attempt(() => pool.release(held[0]!));
      const again = await attempt(() => pool.release(held[0]!));
      const acquire = await attempt(() => pool.acquire().then(() => 'got it'));
      const acquireSync = await attempt(() => void pool.acquireSync());
      return { release: release.ok, again: again.ok, acquire: acquire.ok, acquireSync: acquireSync.ok };
    });
    expect(result).toEqual({ release: true, again: true, acquire: false, acquireSync: false });
    await until(() => pool.idleCount() === 1);
  });

  test('afterwards the old remotes are dead', async () => {
    const pool = await open({ factory: service() });
    const t = await thread(pool);
    await t.hold();
    const { ok } = await settled(
      t.run(async ({ pool, held, attempt }) => {
        await pool.detach();
        return attempt(() => held[0]!.whoami());
      }),
    );
    expect(ok).toBe(false);
  });

  test('twice is fine', async () => {
    const pool = await open({ factory: service() });
    const log = record(pool);
    const t = await thread(pool);
    await settled(t.run(async ({ pool }) => void (await Promise.all([pool.detach(), pool.detach()]))));
    await settled(t.run(({ pool }) => pool.detach()));
    await until(() => log.detached.length === 1);
  });

  test('the thread may attach again', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const log = record(pool);
    const t = await thread(pool);
    for (let i = 0; i < 5; i++) {
      const id = await settled(
        t.run(async ({ handle, attachPool }) => {
          const pool = await attachPool(handle);
          const id = await pool.use((resource) => resource.whoami());
          await pool.detach();
          return id;
        }),
      );
      expect(id).toBe(1);
      await until(() => log.detached.length === i + 1);
    }
    expect(log.attached).toHaveLength(5);
    expect(pool.stats()).toMatchObject({ count: 1, active: 0 });
  });

  test('the thread may attach again while detach is still under way', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    const id = await settled(
      t.run(async ({ pool, handle, attachPool }) => {
        const leaving = pool.detach();
        const again = await attachPool(handle);
        await leaving;
        return again.use((resource) => resource.whoami());
      }),
    );
    expect(id).toBe(1);
  });

  test('of a closed pool resolves', async () => {
    const pool = await open({ factory: service() });
    const t = await thread(pool);
    await pool.close();
    await settled(t.run(({ pool }) => pool.detach()));
  });

  test('runs beforeRelease for what it gives back', async () => {
    const asked: number[] = [];
    const pool = await open<Service>({ factory: service(), beforeRelease: (resource) => void asked.push(resource.id) });
    const t = await thread(pool);
    await t.hold(2);
    await t.run(({ pool }) => pool.detach());
    await until(() => pool.idleCount() === 2);
    expect(asked.sort()).toEqual([1, 2]);
  });
});
