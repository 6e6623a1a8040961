/** Leases that last too long: warned of, cancelled, taken back, on every thread and in every way of borrowing. */
import { threadId } from 'node:worker_threads';
import type { Pool } from 'cenote';
import { LeaseRevokedError, NotBorrowedError, RemoteCallError } from 'cenote';
import { describe, expect, test } from 'vitest';
import { open } from '../support/pools.ts';
import { thread } from '../support/thread.ts';
import { ownTime } from '../support/time.ts';
import { failureOf, gate, rejection, settled, staysPending, turns, until } from '../support/wait.ts';

class Desk {
  readonly id: number;
  cancels = 0;
  aborted = false;
  constructor(id: number) {
    this.id = id;
  }
  number(): number {
    return this.id;
  }
  hang(): Promise<never> {
    return new Promise(() => {});
  }
}

async function scene(options: object = {}) {
  const made: Desk[] = [];
  const pool = await open<Desk>({
    factory: () => {
      const desk = new Desk(made.length + 1);
      made.push(desk);
      return desk;
    },
    cancel: (desk) => {
      desk.cancels++;
    },
    abort: (desk) => {
      desk.aborted = true;
    },
    max: 1,
    ...options,
  });
  const reasons: string[] = [];
  pool.on('destroy', (_, reason) => reasons.push(reason));
  const overdue: { threadId: number; heldFor: number; stage: string; stack?: string }[] = [];
  pool.on('overdue', (one) => overdue.push(one));
  return { pool, made, reasons, overdue };
}

describe('on the owner', () => {
  test('warn, cancel and revoke, none of them early, each once', async () => {
    const { pool, made, reasons, overdue } = await scene({ maxHold: { warnAfter: 60, cancelAfter: 120, revokeAfter: 240 } });
    const started = performance.now();
    const lease = await pool.lease();
    const aborts: { at: number; code: unknown }[] = [];
    lease.signal.addEventListener('abort', () => aborts.push({ at: performance.now() - started, code: lease.signal.reason.code }));
    const next = pool.acquire();
    const other = await settled(next);
    const waited = performance.now() - started;
    expect(overdue.map(({ stage }) => stage)).toEqual(['warn', 'cancel', 'revoke']);
    expect(overdue.map(({ threadId }) => threadId)).toEqual([threadId, threadId, threadId]);
    for (const [index, limit] of [60, 120, 240].entries()) expect(overdue[index].heldFor).toBeGreaterThanOrEqual(limit);
    expect(waited).toBeGreaterThanOrEqual(239);
    expect(aborts).toEqual([{ at: expect.any(Number), code: 'ERR_POOL_LEASE_OVERDUE' }]);
    expect(aborts[0].at).toBeGreaterThanOrEqual(119);
    expect([made[0].cancels, made[0].aborted, reasons]).toEqual([1, true, ['revoked']]);
    expect(pool.stats()).toMatchObject({ cancelled: 1, revoked: 1, acquired: 2, released: 1 });
    // The first word of its borrower does nothing; the second is a mistake.
    lease.release();
    expect(await failureOf(() => lease.release())).toBeInstanceOf(NotBorrowedError);
    lease[Symbol.dispose]();
    pool.release(other);
  });

  test('use says so, unless its body has an error of its own', async () => {
    const { pool } = await scene();
    const one = await rejection(pool.use(() => new Promise((resolve) => setTimeout(resolve, 200)), { maxHold: 30 }));
    expect(one).toBeInstanceOf(LeaseRevokedError);
    expect(one).toBeInstanceOf(RemoteCallError);
    expect(one).toMatchObject({ code: 'ERR_POOL_LEASE_REVOKED', pool: 'pool', heldFor: expect.any(Number) });
    expect((one as LeaseRevokedError).heldFor).toBeGreaterThanOrEqual(30);
    const own = pool.use(() => new Promise((_, reject) => setTimeout(reject, 200, new Error('own'))), { maxHold: 30 });
    expect(await rejection(own)).toMatchObject({ message: 'own' });
  });

  test('revoke takes it back now, its error is the cause, and what is not out is not taken', async () => {
    const { pool, made } = await scene({ max: 2 });
    const lease = await pool.lease();
    const because = new Error('an operator');
    expect(pool.revoke(lease.resource, because)).toBe(true);
    expect(pool.revoke(lease.resource)).toBe(false);
    expect(lease.signal.reason).toBeInstanceOf(LeaseRevokedError);
    expect(lease.signal.reason).toMatchObject({ heldFor: 0, cause: because });
    pool.release(lease.resource);
    expect(await failureOf(() => pool.release(lease.resource))).toBeInstanceOf(NotBorrowedError);
    const idle = await pool.acquire();
    pool.release(idle);
    expect([pool.revoke(idle), pool.revoke(new Desk(9)), made[0].aborted]).toEqual([false, false, true]);
  });

  test.each([
    ['use', (pool: Pool<Desk>, borrowed: () => void) => pool.use(borrowed)],
    ['lease', (pool: Pool<Desk>, borrowed: () => void) => pool.lease().then(borrowed)],
    ['call', (pool: Pool<Desk>) => pool.call('number', [])],
  ])('%s says so if it is taken back before its caller comes to it', async (_, borrow) => {
    const { pool, made } = await scene();
    const desk = await pool.acquire();
    pool.release(desk);
    let had = 0;
    const refused = borrow(pool, () => had++);
    expect(pool.revoke(desk)).toBe(true);
    expect(await rejection(refused)).toBeInstanceOf(LeaseRevokedError);
    expect([had, made.length]).toEqual([0, 1]);
  });

  test('a number that is given back twice is a mistake, also where an earlier lease with that number was taken back', async () => {
    const numbers = [5, 1];
    const pool = await open<number>({ factory: () => numbers.shift()!, max: 1 });
    expect(pool.revoke(await pool.acquire())).toBe(true);
    const one = await settled(pool.acquire());
    pool.release(one);
    expect(await failureOf(() => pool.release(one))).toBeInstanceOf(NotBorrowedError);
  });

  test('ends no call of an earlier lease of its place, which the method has given back itself', async () => {
    const ended = gate<string>();
    const { pool } = await scene();
    const desk = await pool.acquire();
    Object.assign(desk, {
      work() {
        pool.release(desk);
        return ended.promise;
      },
    });
    pool.release(desk);
    const call = pool.call('work' as never, [] as never);
    await until(() => pool.idleCount() === 1);
    const later = await pool.acquire();
    expect(pool.revoke(later)).toBe(true);
    await staysPending(call);
    ended.open('done');
    expect(await settled(call)).toBe('done');
    pool.release(later);
  });

  test('renew: the limits count anew, and a cancel stays', async () => {
    const time = ownTime();
    const { pool, overdue } = await scene({ maxHold: { cancelAfter: 80, revokeAfter: 400 } });
    const lease = await pool.lease();
    for (let i = 0; i < 5; i++) {
      await time.pass(20);
      lease.renew();
    }
    await time.holds(() => overdue.length === 0, 75);
    await time.pass(50);
    expect([overdue.length, lease.signal.aborted]).toEqual([1, true]);
    lease.renew();
    await time.holds(() => overdue.length === 1, 390);
    await time.pass(50);
    expect(overdue.map(({ stage }) => stage)).toEqual(['cancel', 'revoke']);
    lease.release();
    lease.renew();
  });

  test('what comes back while its cancel is at work goes to no other borrower before that has ended', async () => {
    const cancelling = gate();
    const { pool, made } = await scene({ maxHold: { cancelAfter: 30 }, cancel: () => cancelling.promise });
    const lease = await pool.lease();
    await until(() => lease.signal.aborted);
    lease.release();
    const next = pool.acquire();
    await staysPending(next);
    cancelling.open();
    expect(await settled(next)).toBe(made[0]);
    pool.release(made[0]);
  });

  test('a cancel that fails is an event, and the resource is used on', async () => {
    const { pool, made } = await scene({
      maxHold: { cancelAfter: 30 },
      cancel: () => {
        throw new Error('no');
      },
    });
    const errors: string[] = [];
    pool.on('error', (error) => errors.push(error.message));
    const lease = await pool.lease();
    await until(() => errors.length === 1);
    lease.release();
    expect([await pool.acquire(), errors]).toEqual([made[0], ['no']]);
  });

  test('the breaker is not told, and a hook is not asked', async () => {
    const said: string[] = [];
    const { pool } = await scene({
      beforeRelease: () => {
        said.push('hook');
      },
      circuitBreaker: { reportSuccess: () => said.push('success'), reportFailure: () => said.push('failure') },
    });
    pool.revoke(await pool.acquire());
    await turns();
    expect([said, pool.getState()]).toEqual([[], 'active']);
  });

  test('call and tryAcquire take limits, too', async () => {
    const { pool } = await scene();
    expect(await rejection(pool.call('hang', [], { maxHold: 20 }))).toBeInstanceOf(LeaseRevokedError);
    expect(pool.stats().revoked).toBe(1);
    const tried = await pool.tryAcquire({ maxHold: { revokeAfter: 20 } });
    expect(tried).not.toBe(null);
    await until(() => pool.stats().revoked === 2);
    pool.release(tried!);
  });

  test('only shorter limits, in order, or RangeError', async () => {
    const { pool } = await scene({ maxHold: { warnAfter: 100, revokeAfter: 1000 } });
    for (const maxHold of [2000, 0, { revokeAfter: 1001 }, { warnAfter: 0 }, { warnAfter: 50, cancelAfter: 40 }, -1])
      for (const borrow of [
        pool.acquire({ maxHold }),
        pool.use(() => 1, { maxHold }),
        pool.lease({ maxHold }),
        pool.tryAcquire({ maxHold }),
      ])
        expect(await rejection(borrow)).toBeInstanceOf(RangeError);
    for (const maxHold of ['x', null, { revokeafter: 1 }])
      expect(await rejection(pool.acquire({ maxHold } as never))).toBeInstanceOf(TypeError);
    for (const maxHold of [1000, { revokeAfter: 1000, cancelAfter: 500 }, {}]) pool.release(await pool.acquire({ maxHold }));
    for (const maxHold of [{ warnAfter: 2, cancelAfter: 1 }, { cancelAfter: 2, revokeAfter: 1 }, { revokeAfter: -1 }])
      expect(await failureOf(() => scene({ maxHold }))).toBeInstanceOf(RangeError);
    for (const maxHold of [7, { warn: 1 }, { warnafter: 1 }]) expect(await failureOf(() => scene({ maxHold }))).toBeInstanceOf(TypeError);
    await scene({ maxHold: { warn: 1 }, strict: false });
  });

  test('who gives back in time is told nothing, however often the slot comes round', async () => {
    const { pool, overdue } = await scene({ maxHold: { warnAfter: 100, revokeAfter: 150 } });
    const end = performance.now() + 400;
    while (performance.now() < end) {
      for (let i = 0; i < 1000; i++) pool.release((await pool.tryAcquire())!);
      await turns(1);
    }
    expect(overdue).toEqual([]);
  });
});

describe('on workers', () => {
  const LIMITS = { maxHold: { cancelAfter: 100, revokeAfter: 200 } };

  test('use, lease, acquire and their signal: calls under way and later ones say LeaseRevokedError', async () => {
    const { pool, made, overdue } = await scene(LIMITS);
    const worker = await thread(pool);
    const seen = await settled(
      worker.run(async ({ pool }) => {
        const codes = (error: { code?: unknown }): unknown => error.code;
        const lease = await pool.lease();
        const order: unknown[] = [];
        lease.signal.addEventListener('abort', () => order.push((lease.signal.reason as { code: string }).code));
        order.push(await lease.resource.hang().catch(codes));
        order.push(await lease.resource.number().catch(codes));
        lease.release();
        try {
          lease.release();
        } catch (error) {
          order.push(codes(error as object));
        }
        order.push(await lease.resource.number().catch(codes));
        order.push(await pool.use((desk) => desk.hang()).catch(codes));
        const kept = await pool.acquire();
        order.push(await kept.hang().catch(codes));
        pool.destroy(kept);
        return order;
      }),
    );
    const revoked = 'ERR_POOL_LEASE_REVOKED';
    expect(seen).toEqual([...['ERR_POOL_LEASE_OVERDUE', revoked, revoked, 'ERR_POOL_NOT_BORROWED', revoked], ...[revoked, revoked]]);
    expect(overdue.map(({ threadId, stage }) => [threadId, stage])).toEqual(
      [1, 2, 3].flatMap(() => ['cancel', 'revoke'].map((stage) => [worker.id, stage])),
    );
    expect(made.map(({ cancels, aborted }) => [cancels, aborted])).toEqual([1, 2, 3].map(() => [1, true]));
    expect(pool.stats()).toMatchObject({ acquired: 3, released: 3, revoked: 3 });
  });

  test('a thread asleep in a call is woken, and the next borrower is served', async () => {
    const { pool } = await scene({ maxHold: { revokeAfter: 150 } });
    const worker = await thread(pool);
    const sleeping = worker.run(({ pool }) => {
      try {
        return pool.useSync((desk) => desk.hang());
      } catch (error) {
        return [(error as Error).name, (error as { heldFor: number }).heldFor];
      }
    });
    await until(() => pool.activeCount() === 1);
    const next = await settled(pool.acquire());
    expect(next.id).toBe(2);
    const [name, heldFor] = (await settled(sleeping)) as [string, number];
    expect(name).toBe('LeaseRevokedError');
    expect(heldFor).toBeGreaterThanOrEqual(150);
    pool.release(next);
  });

  test('every way to borrow takes limits of its own', async () => {
    const { pool } = await scene();
    const worker = await thread(pool);
    const seen = await settled(
      worker.run(async ({ pool }) => {
        const maxHold = 60;
        const name = (error: { name: string }): string => error.name;
        const sync = (body: () => unknown): unknown => {
          try {
            return body();
          } catch (error) {
            return name(error as Error);
          }
        };
        const hang = async (desk: { hang(): Promise<unknown> }): Promise<unknown> => {
          const said = await desk.hang().catch(name);
          pool.release(desk as never);
          return said;
        };
        return [
          await hang(await pool.acquire({ maxHold })),
          await hang((await pool.tryAcquire({ maxHold }))!),
          await hang((await pool.lease({ maxHold })).resource),
          await pool.use((desk) => desk.hang(), { maxHold }).catch(name),
          await pool.call('hang', [], { maxHold }).catch(name),
          sync(() => pool.useSync((desk) => desk.hang(), { maxHold })),
          sync(() => pool.acquireSync({ maxHold }).hang()),
          sync(() => pool.tryAcquireSync({ maxHold })?.hang()),
        ];
      }),
    );
    expect(seen).toEqual(seen.map(() => 'LeaseRevokedError'));
    expect(seen.length).toBe(8);
  });

  test('a body that computes while its resource is taken back is told so when it ends', async () => {
    const { pool, made } = await scene();
    const worker = await thread(pool);
    const done = worker.run(({ pool, block, flags }) => {
      try {
        return pool.useSync(() => {
          flags[1] = 1;
          block(0);
          return 'computed';
        });
      } catch (error) {
        return (error as Error).name;
      }
    });
    await until(() => worker.flags[1] === 1);
    expect(pool.revoke(made[0])).toBe(true);
    worker.raise(0);
    expect(await settled(done)).toBe('LeaseRevokedError');
  });

  test.each(['use', 'lease'] as const)('%s says so if it is taken back before its caller comes to it', async (how) => {
    const { pool, made } = await scene({ min: 1 });
    const worker = await thread(pool);
    const done = worker.run(({ pool, block, flags }, how) => {
      const borrowed = how === 'use' ? pool.use(() => 'had') : pool.lease();
      flags[1] = 1;
      block(0);
      // Takes all that lies in the port.
      (pool as unknown as { suspendedBy(): void }).suspendedBy();
      return borrowed.catch((error: Error) => error.name) as Promise<string>;
    }, how);
    await until(() => worker.flags[1] === 1);
    expect(pool.revoke(made[0])).toBe(true);
    worker.raise(0);
    expect(await settled(done)).toBe('LeaseRevokedError');
  });

  test('a number that is given back twice is a mistake, also where an earlier lease with that number was taken back', async () => {
    const numbers = [5, 1];
    const made: { number: number }[] = [];
    const factory = () => {
      made.push({ number: numbers.shift()! });
      return made.at(-1)!;
    };
    const pool = await open({ factory, share: ({ number }) => number, abort: () => {}, max: 1 });
    const worker = await thread(pool);
    const seen = worker.run(async ({ pool, flags, sleep }) => {
      const lost = (await pool.acquire()) as unknown as number;
      flags[1] = 1;
      while (pool.stats().revoked === 0) await sleep(1);
      // Takes all that lies in the port.
      (pool as unknown as { suspendedBy(): void }).suspendedBy();
      const one = (await pool.acquire()) as unknown as number;
      pool.release(one as never);
      try {
        pool.release(one as never);
        return [lost, one, 'twice'];
      } catch (error) {
        return [lost, one, (error as Error).name];
      }
    });
    await until(() => worker.flags[1] === 1);
    expect(pool.revoke(made[0])).toBe(true);
    expect(await settled(seen)).toEqual([5, 1, 'NotBorrowedError']);
  });

  test('a slot that the same thread borrows again before it has heard is two leases', async () => {
    const { pool, made } = await scene();
    const worker = await thread(pool);
    const done = worker.run(async ({ pool, block, flags }) => {
      const old = pool.acquireSync();
      flags[1] = 1;
      block(0);
      const fresh = pool.acquireSync();
      const call = (desk: { number(): number }): unknown => {
        try {
          return desk.number();
        } catch (error) {
          return (error as Error).name;
        }
      };
      const seen = [call(old), call(fresh)];
      pool.release(old);
      seen.push(call(fresh));
      pool.release(fresh);
      return seen;
    });
    await until(() => worker.flags[1] === 1);
    expect(pool.revoke(made[0])).toBe(true);
    worker.raise(0);
    expect(await settled(done)).toEqual(['LeaseRevokedError', 2, 2]);
  });

  test('so it is where the new resource has the word that the thread left in another slot', async () => {
    const { pool, made } = await scene({ min: 2, max: 2 });
    const worker = await thread(pool);
    await worker.run(({ pool }) => {
      for (let times = 0; times < 2; times++) pool.release(pool.acquireSync());
    });
    const mine = await pool.acquire();
    expect(mine).toBe(made[0]);
    const done = worker.run(({ pool, block, flags }) => {
      const why = (body: () => unknown): unknown => {
        try {
          return body();
        } catch (error) {
          return (error as Error).name;
        }
      };
      return why(() =>
        pool.useSync(() => {
          Atomics.store(flags, 1, 1);
          block(0);
          pool.release(pool.acquireSync());
          return 'computed';
        }),
      );
    });
    await until(() => Atomics.load(worker.flags, 1) === 1);
    expect(pool.revoke(made[1])).toBe(true);
    await until(() => pool.idleCount() === 1);
    worker.raise(0);
    expect(await settled(done)).toBe('LeaseRevokedError');
    pool.release(mine);
    await until(() => pool.activeCount() === 0);
    const { acquired, released } = pool.stats();
    expect(released).toBe(acquired);
  });

  test('an old lease released with a call under way is taken back, too, and its call ends', async () => {
    const { pool } = await scene({ maxHold: { revokeAfter: 100 } });
    const worker = await thread(pool);
    const seen = await settled(
      worker.run(async ({ pool }) => {
        const desk = await pool.acquire();
        const call = desk.hang().catch((error: Error) => error.name);
        pool.release(desk);
        return call;
      }),
    );
    expect(seen).toBe('LeaseRevokedError');
    await until(() => pool.count() === 0);
  });

  test('renew from a worker counts, and longer limits than the pool’s are refused there', async () => {
    const time = ownTime();
    const { pool, overdue } = await scene({ maxHold: { revokeAfter: 300 } });
    const worker = await thread(pool);
    await settled(worker.run(async ({ pool, keep }) => void keep('lease', await pool.lease())));
    for (let i = 0; i < 6; i++) {
      await time.pass(160);
      const renewed = worker.run(async ({ kept }) => {
        const lease = kept<{ renew(): void; resource: { number(): Promise<number> } }>('lease');
        lease.renew();
        // The owner has heard of it when it has answered this.
        await lease.resource.number();
      });
      await settled(renewed);
    }
    const seen = await settled(
      worker.run(async ({ pool, kept }) => {
        const lease = kept<Awaited<ReturnType<typeof pool.lease>>>('lease');
        const alive = await lease.resource.number();
        lease.release();
        const names: string[] = [];
        for (const maxHold of [301, { revokeAfter: 0 }])
          for (const borrow of [
            () => pool.acquire({ maxHold }),
            async () => pool.acquireSync({ maxHold }),
            () => pool.call('number', [], { maxHold }),
          ])
            await borrow().catch((error: Error) => names.push(error.name));
        return [alive, ...names];
      }),
    );
    expect(seen).toEqual([1, ...Array.from({ length: 6 }, () => 'RangeError')]);
    expect(overdue).toEqual([]);
  });

  test('with share, abort ends it, and the value is of no use for giving back, once', async () => {
    const { pool, made } = await scene({ share: ({ id }: Desk) => `desk ${id}`, maxHold: { revokeAfter: 80 } });
    const worker = await thread(pool);
    const seen = await settled(
      worker.run(async ({ pool, sleep }) => {
        const value = (await pool.acquire()) as unknown as string;
        while (pool.stats().revoked === 0) await sleep(10);
        await sleep(20);
        pool.release(value as never);
        try {
          pool.release(value as never);
          return [value, 'twice'];
        } catch (error) {
          return [value, (error as Error).name];
        }
      }),
    );
    expect([seen, made[0].aborted]).toEqual([['desk 1', 'NotBorrowedError'], true]);
  });

  test('a thread that dies while its resource is cancelled leaves nothing behind', async () => {
    const cancelling = gate();
    const { pool } = await scene({ maxHold: { cancelAfter: 40 }, orphans: 'release', cancel: () => cancelling.promise });
    const worker = await thread(pool);
    await worker.hold();
    await until(() => pool.stats().cancelled === 1);
    const exited = worker.exited;
    await worker.terminate();
    await exited;
    const next = pool.acquire();
    await staysPending(next);
    cancelling.open();
    pool.release(await settled(next));
    expect(pool.stats()).toMatchObject({ idle: 1, active: 0 });
  });

  test('an overdue event has the stack of the borrower where leaks are traced', async () => {
    // So that the owner does not stop waiting for the stack, however long the worker takes to say it.
    const time = ownTime();
    const { pool, overdue } = await scene({ maxHold: { warnAfter: 40 }, leakDetectionThreshold: 60_000 });
    const worker = await thread(pool);
    await worker.run(async function borrowsForTooLong({ pool, held }) {
      held.push(await pool.acquire());
    });
    await time.pass(200);
    await until(() => overdue.length === 1);
    expect(overdue[0]).toMatchObject({ threadId: worker.id, stage: 'warn', stack: expect.stringContaining('borrowsForTooLong') });
    await worker.giveBack();
  });
});
