import type { MessagePort as Port } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { ABANDON } from '../../src/shared/wire/protocol.ts';
import { open, record } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { thread, threads } from '../support/thread.ts';
import { settled, turns, until } from '../support/wait.ts';

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

describe('a detach that waits for a call whose resource is taken back', () => {
  const hanging = (options: object = {}) => {
    const made: { hang(): Promise<never> }[] = [];
    let hung = 0;
    const factory = () => {
      made.push({
        hang: () => {
          hung++;
          return new Promise<never>(() => {});
        },
      });
      return made.at(-1)!;
    };
    return { made, hung: () => hung, pool: open({ factory, max: 1, ...options }) };
  };

  test.each(['a one-shot call', 'a call on what it has borrowed'] as const)('%s', async (kind) => {
    const { made, hung, pool: opening } = hanging();
    const pool = await opening;
    const t = await thread(pool);
    const said = t.run(async ({ pool, tell }, kind) => {
      const desk = kind === 'a one-shot call' ? undefined : await pool.acquire();
      const call = (desk === undefined ? pool.call('hang', []) : desk.hang()).catch((error: Error) => error.name);
      const left = pool.detach();
      tell('leaving');
      await left;
      return call;
    }, kind);
    await until(() => hung() === 1 && t.told.length === 1);
    await turns();
    expect(pool.revoke(made[0]!)).toBe(true);
    expect(await settled(said)).toBe('LeaseRevokedError');
    await until(() => pool.stats().threads === 0 && pool.count() === 0);
    await settled(pool.close());
  });

  test('a one-shot call that its caller has left behind, as a job that is cancelled does', async () => {
    const { pool: opening } = hanging();
    const pool = await opening;
    const t = await thread(pool);
    const left = t.run(async ({ pool }, abandon) => {
      const { postMessage } = MessagePort.prototype;
      let call: unknown;
      const sent = new Promise<Port>((resolve) => {
        MessagePort.prototype.postMessage = function (this: Port, requests: unknown[][]) {
          call = requests[0]![1];
          postMessage.call(this, requests);
          resolve(this);
        } as typeof postMessage;
      });
      pool.call('hang', []).catch(() => {});
      const port = await sent;
      MessagePort.prototype.postMessage = postMessage;
      port.postMessage([[abandon, call]]);
      await pool.detach();
    }, ABANDON);
    await settled(left);
    await until(() => pool.count() === 0);
  });

  test.each(['drain', 'close', 'suspend'] as const)('so does %s of the owner', async (end) => {
    const { hung, pool: opening } = hanging({ maxHold: { revokeAfter: 100 } });
    const pool = await opening;
    const t = await thread(pool);
    const said = t.run(({ pool }) => pool.call('hang', []).catch((error: Error) => error.name));
    await until(() => hung() === 1);
    await settled<unknown>(end === 'suspend' ? pool.suspend({ until: 'returned' }) : pool[end]());
    expect(await settled(said)).toBe('LeaseRevokedError');
  });
});
