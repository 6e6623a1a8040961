/** A call that blocks its thread has no other way out than its timeout. */
import { expect, test } from 'vitest';
import { open } from '../support/pools.ts';
import { Service, service, services } from '../support/service.ts';
import { thread } from '../support/thread.ts';
import { gate, settled, spinUntil, staysPending, until } from '../support/wait.ts';

test('useSync ends at its timeout, also while it waits for an answer; the resource is destroyed', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const first = await pool.acquire();
  pool.release(first);
  const t = await thread(pool);
  const seen = await settled(
    t.run(async ({ pool, attempt }) => {
      const started = performance.now();
      const { error } = await attempt(() => pool.useSync((resource) => resource.hang(), { timeout: 1000 }));
      return { name: error?.name, code: error?.code, took: performance.now() - started };
    }),
  );
  expect(seen).toMatchObject({ name: 'CallTimeoutError', code: 'ERR_POOL_CALL_TIMEOUT' });
  expect(seen.took).toBeGreaterThanOrEqual(1000);
  const next = await settled(pool.acquire());
  expect(next.id).not.toBe(first.id);
  pool.release(next);
  expect(first.running).toBe(1);
});

test('all calls of the body share the timeout; when it is over nothing more is called', async () => {
  const { factory, made } = services();
  const pool = await open<Service>({ factory, min: 1, max: 1 });
  const t = await thread(pool);
  const codes = await settled(
    t.run(({ pool }) => {
      const codes: unknown[] = [];
      pool.useSync(
        (resource) => {
          const calls = [() => resource.push('before'), () => resource.hang(), () => resource.push('after')];
          for (const call of calls)
            try {
              codes.push(call());
            } catch (error) {
              codes.push((error as { code: string }).code);
            }
        },
        { timeout: 3000 },
      );
      return codes;
    }),
  );
  expect(codes).toEqual([1, 'ERR_POOL_CALL_TIMEOUT', 'ERR_POOL_CALL_TIMEOUT']);
  // The body has minded, but the method still runs.
  await until(() => pool.stats().destroyed === 1);
  expect(made[0]!.log).toEqual(['before']);
});

test('while the owner is busy, too', async () => {
  const pool = await open<Service>({ factory: service(), min: 1, max: 1 });
  const t = await thread(pool);
  const done = t.run(async ({ pool, flags, attempt }) => {
    while (Atomics.load(flags, 0) === 0);
    const { error } = await attempt(() => pool.useSync((resource) => resource.add(1, 2), { timeout: 30 }));
    Atomics.store(flags, 1, 1);
    return error?.code;
  });
  t.raise(0);
  expect(spinUntil(t.flags, 1), 'it ended while the owner was busy').toBe(true);
  expect(await settled(done)).toBe('ERR_POOL_CALL_TIMEOUT');
});

test('`synchronous` with a timeout: the late answer is dropped, and nobody gets the resource while the method runs', async () => {
  const late = gate();
  class Late extends Service {
    override async slow(): Promise<string> {
      this.running++;
      await late.promise;
      this.running--;
      return 'late';
    }
  }
  const pool = await open<Service>({ factory: () => new Late(1), max: 1 });
  const t = await thread(pool);
  const seen = t.run(async ({ pool, attempt }) => {
    const resource = pool.acquireSync();
    const bounded = pool.synchronous(resource, { timeout: 30 });
    const seen: unknown[] = [(await attempt(() => bounded.slow(0))).error?.code];
    // Others are not taken for it, whether they block or not.
    seen.push(pool.synchronous(resource).add(1, 2), await pool.asynchronous(resource).add(3, 4));
    pool.release(bounded);
    return seen;
  });
  await until(() => pool.activeCount() === 1);
  const next = pool.acquire();
  expect(await settled(seen)).toEqual(['ERR_POOL_CALL_TIMEOUT', 3, 7]);
  await staysPending(next);
  late.open();
  expect((await settled(next)).running).toBe(0);
  const wrong = await t.run(({ pool, attempt }) => attempt(() => void pool.synchronous({} as never, { timeout: -1 })));
  expect(wrong.error?.name).toBe('RangeError');
});
