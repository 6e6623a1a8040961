import { describe, expect, test } from 'vitest';
import { open, record } from '../support/pools.ts';
import { type Service, service, services } from '../support/service.ts';
import { thread, threads } from '../support/thread.ts';
import { pendingUntil, rejection, settled, until } from '../support/wait.ts';

const closed = { name: 'PoolClosedError', code: 'ERR_POOL_CLOSED', pool: 'db' };

describe('close', () => {
  test('rejects everyone in line on every thread, sleepers included', async () => {
    const pool = await open({ factory: service(), name: 'db', max: 1 });
    await pool.acquire();
    const [a, b] = await threads(2, pool);
    const waiting = [
      rejection(pool.acquire()),
      rejection(a!.hold()),
      rejection(a!.run(({ pool }) => pool.use(() => {}))),
      rejection(b!.run(({ pool }) => void pool.acquireSync())),
    ];
    await until(() => pool.waitingCount() === 4);
    await settled(pool.close());
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject(closed);
    expect(pool.waitingCount()).toBe(0);
  });

  test.each([
    ['idle', false],
    ['blocked', true],
  ])('refuses, counts, and gives nothing to who only tries on a thread that is %s, though the pool ends at once', async (_, isBlocked) => {
    // Nothing is out, so the last that the thread hears of the pool may come before the bell.
    for (let times = 0; times < 5; times++) {
      const pool = await open<Service>({ factory: () => new Promise(() => {}), name: 'db', max: 2 });
      const t = await thread(pool);
      const waiting = t.run(({ pool, outcome }) => outcome(pool.acquire().then(() => 'got')));
      const trying = t.run(({ pool, outcome }) => outcome(pool.tryAcquire()));
      await until(() => pool.waitingCount() === 2);
      const block = isBlocked
        ? t.run(({ block, tell }) => {
            tell('blocks');
            block(0);
          })
        : undefined;
      if (isBlocked) await until(() => t.told.length === 1);
      await settled(pool.close());
      t.raise(0);
      await block;
      expect(await settled(waiting)).toMatchObject({ ok: false, error: closed });
      expect(await settled(trying)).toEqual({ ok: true, value: null });
      expect(pool.stats()).toMatchObject({ rejected: 1, waiting: 0 });
    }
  });

  test('is known on every thread at once', async () => {
    const pool = await open({ factory: service(), name: 'db', min: 1 });
    const t = await thread(pool);
    await pool.close();
    const result = await t.run(async ({ pool, attempt }) => ({
      closed: pool.isClosed(),
      stats: pool.stats().closed,
      acquire: await attempt(() => pool.acquire()),
      acquireSync: await attempt(() => void pool.acquireSync()),
      tryAcquire: (await pool.tryAcquire()) === null,
      tryAcquireSync: pool.tryAcquireSync() === null,
    }));
    expect(result).toMatchObject({
      closed: true,
      stats: true,
      acquire: { error: closed },
      acquireSync: { error: closed },
      tryAcquire: true,
      tryAcquireSync: true,
    });
  });

  test('lets a worker go on using what it has borrowed; it is destroyed when it comes back', async () => {
    const gone: number[] = [];
    const pool = await open<Service>({ factory: service(), name: 'db', destructor: (resource) => void gone.push(resource.id) });
    const log = record(pool);
    const t = await thread(pool);
    await t.hold();
    await settled(pool.close());
    expect(await t.run(({ held: [remote] }) => remote!.add(1, 2))).toBe(3);
    expect(gone).toEqual([]);
    expect(log.closed).toBe(0);
    await t.giveBack();
    await until(() => gone.length === 1 && log.closed === 1);
    expect(log.reasons()).toEqual(['closed']);
  });

  test('lets a synchronous borrower go on, too', async () => {
    const pool = await open({ factory: service(), name: 'db' });
    const log = record(pool);
    const t = await thread(pool);
    await t.run(({ pool, syncHeld }) => void syncHeld.push(pool.acquireSync()));
    await settled(pool.close());
    expect(await t.run(({ syncHeld: [remote] }) => remote!.add(1, 2))).toBe(3);
    await t.run(({ pool, syncHeld }) => pool.release(syncHeld.pop()!));
    await until(() => log.closed === 1);
  });

  test('with a call in flight: the call is answered', async () => {
    const { factory, made } = services();
    const pool = await open({ factory, name: 'db' });
    const t = await thread(pool);
    const call = t.run(({ pool }) => pool.use((resource) => resource.slow(60, 'finished')));
    await until(() => made[0]?.running === 1);
    await settled(pool.close());
    expect(await settled(call)).toBe('finished');
    await until(() => pool.count() === 0);
  });

  test("with a borrower that dies: 'close' comes all the same", async () => {
    const pool = await open({ factory: service(), name: 'db' });
    const log = record(pool);
    const t = await thread(pool);
    await t.hold();
    await settled(pool.close());
    await t.terminate();
    await until(() => log.closed === 1);
    expect(pool.count()).toBe(0);
  });

  test('does not wait for a worker that is blocked and cannot pick up what it was granted', async () => {
    const pool = await open({ factory: service(), name: 'db', max: 1 });
    const mine = await pool.acquire();
    const t = await thread(pool);
    const blocked = t.run(({ pool, pending, outcome, tell, block }) => {
      pending.late = outcome(pool.acquire().then((resource) => pool.release(resource)));
      tell('blocked');
      block(0);
    });
    await until(() => t.told.length > 0 && pool.waitingCount() === 1);
    pool.release(mine);
    await settled(pool.close());
    t.raise(0);
    await blocked;
    await settled(t.run(({ pending }) => pending.late));
    await until(() => pool.count() === 0);
  });

  test('releasing on a worker after that throws nothing', async () => {
    const pool = await open({ factory: service(), name: 'db', max: 2 });
    const t = await thread(pool);
    await t.hold(2);
    await pool.close();
    await t.giveBack();
    await t.run(({ pool, held }) => pool.destroy(held.pop()!));
    await until(() => pool.count() === 0);
  });
});

describe('drain', () => {
  test('waits for borrowers on every thread', async () => {
    const pool = await open({ factory: service(), max: 2 });
    const [a, b] = await threads(2, pool);
    await Promise.all([a!.hold(), b!.hold()]);
    const draining = pool.drain();
    await pendingUntil(
      a!.run(() => {}),
      draining,
    );
    await a!.giveBack();
    await pendingUntil(
      a!.run(() => {}),
      draining,
    );
    await b!.giveBack();
    await settled(draining);
    expect(pool.isClosed()).toBe(true);
  });

  test('serves those in line on every thread, sleepers included', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const mine = await pool.acquire();
    const [a, b] = await threads(2, pool);
    const waiting = [
      a!.run(({ pool }) => pool.use((resource) => resource.whoami())),
      b!.run(({ pool }) => pool.useSync((resource) => resource.whoami())),
    ];
    await until(() => pool.waitingCount() === 2);
    const draining = pool.drain();
    pool.release(mine);
    expect(await settled(Promise.all(waiting))).toEqual([1, 1]);
    await settled(draining);
  });

  test('refuses new acquires on every thread', async () => {
    const pool = await open({ factory: service(), name: 'db', max: 2 });
    const mine = await pool.acquire();
    const t = await thread(pool);
    const draining = pool.drain();
    expect(await rejection(t.hold())).toMatchObject(closed);
    expect(await rejection(t.run(({ pool }) => void pool.acquireSync()))).toMatchObject(closed);
    pool.release(mine);
    await settled(draining);
  });

  test('is finished by the death of the last borrower', async () => {
    const pool = await open({ factory: service() });
    const t = await thread(pool);
    await t.hold();
    const draining = pool.drain();
    await t.terminate();
    await settled(draining);
  });

  test('waits no longer than timeout for a worker that is blocked and cannot pick up what it was granted', async () => {
    const pool = await open({ factory: service(), name: 'db', max: 1 });
    const mine = await pool.acquire();
    const t = await thread(pool);
    const blocked = t.run(({ pool, pending, outcome, tell, block }) => {
      pending.late = outcome(pool.acquire().then((resource) => pool.release(resource)));
      tell('blocked');
      block(0);
    });
    await until(() => t.told.length > 0 && pool.waitingCount() === 1);
    pool.release(mine);
    await settled(pool.drain({ timeout: 50 }));
    t.raise(0);
    await blocked;
  });

  test('waits no longer than timeout for a worker', async () => {
    const pool = await open({ factory: service(), name: 'db', max: 1 });
    const [a, b] = await threads(2, pool);
    await a!.hold();
    const waiting = rejection(b!.hold());
    await until(() => pool.waitingCount() === 1);
    await settled(pool.drain({ timeout: 40 }));
    expect(await waiting).toMatchObject(closed);
    expect(await a!.run(({ held: [remote] }) => remote!.add(1, 2))).toBe(3);
  });
});
