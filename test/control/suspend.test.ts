/** A pool that is suspended hands nothing out, on any thread, and loses no waiter. */
import { PoolClosedError, PoolSuspendedError, SuspendTimeoutError } from 'cenote';
import { inspect } from 'cenote/observe';
import { describe, expect, test } from 'vitest';
import { open, workshop } from '../support/pools.ts';
import { deafSignal, hastySignal, shySignal } from '../support/signals.ts';
import { thread } from '../support/thread.ts';
import { failureOf, pendingUntil, rejection, settled, staysPending, turns, until } from '../support/wait.ts';

describe('on the owner', () => {
  test('nothing is handed out, what comes back becomes idle, and the line is served in order when the pool goes on', async () => {
    const pool = await open({ ...workshop(), max: 2 });
    const held = await pool.acquire();
    const told: unknown[] = [];
    pool.on('suspend', (suspension) => told.push(suspension)).on('resume', () => told.push('resume'));
    const suspension = await pool.suspend({ label: 'backup' });
    expect([pool.suspended, pool.stats().suspended, pool.stats().suspendedBy]).toEqual([true, true, ['backup']]);
    const order: number[] = [];
    const waiting = [1, 2, 3].map((n) => pool.use(() => order.push(n)));
    expect(await pool.tryAcquire()).toBe(null);
    pool.release(held);
    await staysPending(Promise.race(waiting));
    expect(pool.stats()).toMatchObject({ idle: 1, active: 0, waiting: 3 });
    suspension.resume();
    suspension.resume();
    await settled(Promise.all(waiting));
    expect(order).toEqual([1, 2, 3]);
    expect(told).toEqual([{ label: 'backup', mode: 'wait' }, 'resume']);
    expect([pool.suspended, pool.stats().suspendedBy]).toEqual([false, []]);
  });

  test('the pool goes on when the last of several suspensions has ended', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    let resumed = 0;
    pool.on('resume', () => resumed++);
    const first = await pool.suspend({ label: 'a' });
    const second = await pool.suspend({ label: 'b', mode: 'refuse' });
    expect(pool.stats().suspendedBy).toEqual(['a', 'b']);
    first[Symbol.dispose]();
    expect([pool.suspended, resumed]).toEqual([true, 0]);
    await second[Symbol.asyncDispose]();
    expect([pool.suspended, resumed]).toEqual([false, 1]);
    pool.release(await settled(pool.acquire()));
  });

  test('waiters keep their timeouts, and the label is in what they are told', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    await pool.suspend({ label: 'failover' });
    expect(await rejection(pool.acquire({ timeout: 10 }))).toMatchObject({
      code: 'ERR_POOL_ACQUIRE_TIMEOUT',
      message: expect.stringContaining('the pool is suspended: "failover"'),
    });
  });

  test('refused are new acquires, and not those in line', async () => {
    const pool = await open({ ...workshop(), max: 1, acquireTimeout: 60_000 });
    const wait = await pool.suspend({ label: 'one' });
    const waiting = pool.acquire();
    const refuse = await pool.suspend({ label: 'two', mode: 'refuse' });
    for (const attempt of [pool.acquire(), pool.use(() => 1), pool.lease()]) {
      const error = await rejection(attempt);
      expect(error).toBeInstanceOf(PoolSuspendedError);
      expect(error).toMatchObject({ code: 'ERR_POOL_SUSPENDED', message: 'pool "pool" is suspended: "one", "two"' });
    }
    expect(await pool.tryAcquire()).toBe(null);
    expect(pool.stats().rejected).toBe(3);
    refuse.resume();
    await staysPending(waiting);
    wait.resume();
    pool.release(await settled(waiting));
  });

  test('what is out comes back while the breaker is open, and that is heard', async () => {
    const pool = await open({ ...workshop(), min: 2, max: 2 });
    const held = [await pool.acquire(), await pool.acquire()];
    pool.deactivate();
    const suspending = pool.suspend({ until: 'returned' });
    for (const each of held) {
      await staysPending(suspending);
      pool.release(each);
    }
    (await settled(suspending)).resume();
  });

  test('an open breaker refuses before that', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const suspension = await pool.suspend({ mode: 'refuse' });
    pool.deactivate();
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_UNAVAILABLE' });
    suspension.resume();
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_UNAVAILABLE' });
    pool.activate();
    pool.release(await pool.acquire());
  });

  test("'returned' waits for what is borrowed, 'empty' until nothing is there, and min rests", async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 1, max: 2 });
    const reasons: string[] = [];
    pool.on('destroy', (_, reason) => reasons.push(reason));
    const held = await pool.acquire();
    const returned = pool.suspend({ until: 'returned' });
    const empty = pool.suspend({ until: 'empty' });
    await staysPending(Promise.race([returned, empty]));
    pool.release(held);
    const [first, second] = await settled(Promise.all([returned, empty]));
    expect([pool.count(), reasons]).toEqual([0, ['suspended']]);
    first.resume();
    await turns();
    expect(pool.count()).toBe(0);
    second.resume();
    await until(() => pool.count() === 1);
  });

  test('what the factory brings meanwhile stays idle', async () => {
    let make = (): void => {};
    const pool = await open({ factory: () => new Promise<object>((resolve) => (make = () => resolve({}))), max: 1 });
    const waiting = pool.acquire();
    const suspension = await pool.suspend({ until: 'returned' });
    make();
    await until(() => pool.idleCount() === 1);
    await staysPending(waiting);
    suspension.resume();
    await settled(waiting);
  });

  test('a factory that fails meanwhile rejects no waiter', async () => {
    let fail = (): void => {};
    const pool = await open({
      factory: () =>
        new Promise<object>((resolve, reject) => (fail === undefined ? resolve({}) : (fail = () => reject(new Error('down'))))),
      max: 1,
    });
    const errors: string[] = [];
    pool.on('error', (error) => errors.push(error.message));
    const waiting = pool.acquire();
    const suspension = await pool.suspend();
    fail();
    await until(() => errors.length === 1);
    await staysPending(waiting);
    fail = undefined as never;
    suspension.resume();
    await settled(waiting);
  });

  test('a suspension that takes too long is over, and so is one whose signal aborts', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const late = await rejection(pool.suspend({ until: 'returned', timeout: 10, label: 'x' }));
    expect(late).toBeInstanceOf(SuspendTimeoutError);
    expect(late).toMatchObject({ code: 'ERR_POOL_SUSPEND_TIMEOUT', message: expect.stringContaining('"x"') });
    expect(pool.suspended).toBe(false);
    const controller = new AbortController();
    const aborted = pool.suspend({ until: 'returned', signal: controller.signal });
    controller.abort('enough');
    expect(await rejection(aborted)).toBe('enough');
    expect(await rejection(pool.suspend({ until: 'returned', maxDuration: 10 }))).toBeInstanceOf(SuspendTimeoutError);
    expect(pool.suspended).toBe(false);
    pool.release(held);
    const after = await pool.suspend({ signal: new AbortController().signal, maxDuration: 20 });
    expect(pool.suspended).toBe(true);
    await until(() => !pool.suspended);
    after.resume();
  });

  test.each([
    ['throws as it is listened to', deafSignal],
    ['aborts as soon as it is listened to', hastySignal],
    ['throws when it is asked again', (why: unknown) => shySignal(2, why)],
  ])('a signal that %s suspends nothing', async (_, signalOf) => {
    const pool = await open({ ...workshop(), max: 1 });
    const told: string[] = [];
    pool.on('suspend', () => told.push('suspend')).on('resume', () => told.push('resume'));
    const why = new Error('no');
    for (const until of ['now', 'returned'] as const) {
      expect(await rejection(pool.suspend({ signal: signalOf(why), until, timeout: 60_000, maxDuration: 60_000 }))).toBe(why);
      expect([pool.suspended, pool.stats().suspendedBy, told]).toEqual([false, [], []]);
    }
    pool.release(await settled(pool.acquire()));
  });

  test('close closes, and drain serves the line', async () => {
    const closing = await open({ ...workshop(), max: 1 });
    const held = await closing.acquire();
    const pending = closing.suspend({ until: 'returned' });
    const waiting = closing.acquire();
    await closing.close();
    for (const promise of [pending, waiting, closing.suspend()]) expect(await rejection(promise)).toBeInstanceOf(PoolClosedError);
    closing.release(held);

    const draining = await open({ ...workshop(), max: 1 });
    await draining.suspend();
    const served = draining.use((thing) => thing.id);
    const drained = draining.drain();
    expect(await settled(served)).toBe(1);
    await settled(drained);
  });

  test.each([
    [{ mode: 'stop' }, "mode must be 'wait' or 'refuse'"],
    [{ until: 'later' }, "until must be 'now', 'returned' or 'empty'"],
    [{ timeout: -1 }, 'timeout must be from 0'],
    [{ maxDuration: 'x' }, 'maxDuration must be a number'],
    [{ label: 7 }, 'label must be a string'],
    [{ signal: 7 }, 'signal must be an AbortSignal'],
    [{ lable: 'x' }, 'do you mean label?'],
    ['x', 'suspend takes options'],
  ])('%j is refused', async (options, why) => {
    const pool = await open({ ...workshop() });
    expect(String(await failureOf(() => pool.suspend(options as never)))).toContain(why);
    expect(pool.suspended).toBe(false);
  });

  test('after so long nobody who came later has anything, under load, with a hook or without', async () => {
    for (const hook of [undefined, async () => true]) {
      const pool = await open({ ...workshop(), max: 4, beforeAcquire: hook, beforeRelease: hook });
      let out = 0;
      let rounds = 0;
      let isOver = false;
      const borrow = async (): Promise<void> => {
        while (!isOver) {
          await pool.use(async () => {
            out++;
            await turns(1);
            rounds++;
            out--;
          });
        }
      };
      const borrowers = Array.from({ length: 8 }, borrow);
      for (let i = 0; i < 20; i++) {
        await turns(3);
        const suspension = await pool.suspend({ until: 'returned' });
        expect(out).toBe(0);
        const before = rounds;
        await turns(5);
        expect([out, rounds]).toEqual([0, before]);
        suspension.resume();
      }
      isOver = true;
      await settled(Promise.all(borrowers));
    }
  });
});

describe('on workers', () => {
  test('a worker sees it at once, tries in vain, is told the label, and goes on', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const worker = await thread(pool);
    await worker.run(({ pool }) => pool.use(() => 1));
    const suspension = await pool.suspend({ label: 'deploy', until: 'returned' });
    const seen = await worker.run(async ({ pool }) => [
      pool.suspended,
      pool.stats().suspendedBy,
      await pool.tryAcquire(),
      pool.tryAcquireSync(),
      await pool.acquire({ timeout: 10 }).catch((error) => error.message),
    ]);
    expect(seen.slice(0, 4)).toEqual([true, ['deploy'], null, null]);
    expect(seen[4]).toContain('the pool is suspended: "deploy"');
    const waiting = worker.run(({ pool }) => pool.useSync(() => 'served'));
    await until(() => pool.waitingCount() === 1);
    await staysPending(waiting);
    suspension.resume();
    expect(await settled(waiting)).toBe('served');
  });

  test('a thread that attaches meanwhile knows the label', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    await pool.suspend({ label: 'early', mode: 'refuse' });
    const worker = await thread(pool);
    expect(await worker.run(({ pool }) => pool.acquire().catch((error) => [error.code, error.message]))).toEqual([
      'ERR_POOL_SUSPENDED',
      'pool "pool" is suspended: "early"',
    ]);
    expect(await worker.run(({ pool }) => pool.call('x' as never, [] as never).catch((error: { code: string }) => error.code))).toBe(
      'ERR_POOL_SUSPENDED',
    );
  });

  test('refusing wakes a thread that sleeps in line, and no other waiter', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const asleep = await thread(pool);
    const awake = await thread(pool);
    const sleeping = asleep.run(({ pool }) => {
      try {
        return pool.acquireSync() && 'served';
      } catch (error) {
        return (error as { code: string }).code;
      }
    });
    await until(() => pool.waitingCount() === 1);
    const waiting = awake.run(({ pool }) => pool.use(() => 'served'));
    await until(() => pool.waitingCount() === 2);
    const suspension = await pool.suspend({ mode: 'refuse' });
    expect(await settled(sleeping)).toBe('ERR_POOL_SUSPENDED');
    await staysPending(waiting);
    suspension.resume();
    pool.release(held);
    expect(await settled(waiting)).toBe('served');
  });

  test('an acquire that has changed places with a sleeper of its thread is not taken for one that sleeps', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const worker = await thread(pool);
    await worker.run(({ pool, keep }) => void keep('first', pool.acquire()));
    await until(() => pool.waitingCount() === 1);
    // Its thread sleeps when the first is granted the resource: the sleeper takes that, and the first gets its place.
    const taken = worker.run(({ pool, syncHeld }) => void syncHeld.push(pool.acquireSync()));
    await until(() => pool.waitingCount() === 2);
    pool.release(held);
    await settled(taken);
    expect(inspect(pool).line).toMatchObject([{ threadId: worker.id, sync: false }]);
    const suspension = await pool.suspend({ mode: 'refuse' });
    const first = worker.run(async ({ pool, kept }) => pool.release(await kept<ReturnType<typeof pool.acquire>>('first')));
    await staysPending(first);
    await worker.run(({ pool, syncHeld }) => pool.release(syncHeld.pop()!));
    suspension.resume();
    await settled(first);
  });

  test("what borrows as fast as it can holds nothing once 'returned' has come", async () => {
    const pool = await open({ ...workshop(), max: 3 });
    const workers = await Promise.all([thread(pool), thread(pool)]);
    const done = workers.map((worker) =>
      worker.run(({ pool, flags }) => {
        const HAND_OUTS = 1;
        let rounds = 0;
        while (Atomics.load(flags, 0) === 0) {
          const one = pool.tryAcquireSync();
          if (one === null) continue;
          rounds++;
          Atomics.add(flags, HAND_OUTS, 1);
          pool.release(one);
        }
        return rounds;
      }),
    );
    const handOuts = (): number[] => workers.map(({ flags }) => Atomics.load(flags, 1));
    let last = handOuts();
    for (let i = 0; i < 50; i++) {
      // On a busy machine a thread may not run for a while.
      await pendingUntil(
        until(() => handOuts().every((n, of) => n > last[of])),
        Promise.all(done),
      );
      const suspension = await settled(pool.suspend({ until: 'returned' }));
      const before = handOuts();
      await turns(2);
      // A thread that has read the state before the suspension may take a slot, and undoes that: a look may see it, no borrower has it.
      await until(() => pool.stats().active === 0);
      expect(handOuts()).toEqual(before);
      last = before;
      suspension.resume();
    }
    for (const worker of workers) worker.raise(0);
    expect(Math.min(...(await settled(Promise.all(done))))).toBeGreaterThanOrEqual(50);
  });
});
