/** Every public function with values of any kind: it works, or it says what is wrong with which option; and it never hangs. */
import type { PoolOptions } from 'cenote';
import { createPool } from 'cenote';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { open, workshop } from '../support/pools.ts';
import { outcome } from '../support/wait.ts';

const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};
const thrower = (): object =>
  new Proxy(
    {},
    {
      get() {
        throw new Error('no');
      },
    },
  );
const odd = fc.constantFrom<unknown>(-0, Number.NaN, 2 ** 53, -1, 1e308, Number.POSITIVE_INFINITY, 1n, Symbol('odd'), () => {}, null);
/** Makers of values: fast-check itself looks at the values, which a revoked proxy does not survive. */
const any: fc.Arbitrary<() => unknown> = fc.oneof(
  { weight: 4, arbitrary: fc.oneof(fc.anything(), odd).map((value) => () => value) },
  { weight: 1, arbitrary: fc.constantFrom(revoked, thrower) },
);

const runs = { numRuns: 300, seed: 11 };

/** TypeError or RangeError that names the option. */
function expectClear(error: unknown, option: string, value: unknown): void {
  expect(error, String(option)).toBeInstanceOf(Error);
  expect((error as Error).name).toMatch(/^(TypeError|RangeError)$/);
  expect((error as Error).message.length, typeof value).toBeLessThan(300);
  expect((error as Error).message).toContain(option);
}

/** All of them: the compiler counts. */
const OPTIONS = Object.keys({
  ...{ factory: 0, destructor: 0, name: 0, min: 0, max: 0, maxUses: 0, maxCreating: 0, budget: 0, maxWaiting: 0, maxThreads: 0 },
  ...{ acquireTimeout: 0, createTimeout: 0, checkTimeout: 0, idleTimeout: 0, maxLifetime: 0, leakDetectionThreshold: 0 },
  ...{ healthcheck: 0, healthcheckInterval: 0, beforeAcquire: 0, beforeRelease: 0, circuitBreaker: 0, recoveryProbes: 0 },
  ...{ expose: 0, share: 0, orphans: 0, strict: 0, ceiling: 0, maxHold: 0, cancel: 0, abort: 0 },
} satisfies Record<keyof PoolOptions<unknown>, 0>) as (keyof PoolOptions<unknown>)[];

test('createPool, each option', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...OPTIONS), any, async (option, make) => {
      const value = make();
      // Strategies and lists are the caller's own objects: what their properties throw is the caller's.
      if (option === 'circuitBreaker' || option === 'expose') fc.pre(typeof value !== 'object' || value === null);
      const { value: pool, error } = await outcome(createPool({ ...workshop(), [option]: value } as never));
      if (pool === undefined) {
        if (option === 'min' && typeof value === 'number') expect(String(error)).toContain('min');
        else expectClear(error, option, value);
      } else await outcome(pool.close());
    }),
    runs,
  );
});

test('acquire, use, lease, call, release, destroy, drain and events, on a pool that works on', async () => {
  const pool = await open({ ...workshop(), max: 2, acquireTimeout: 200 });
  const timeouts = (value: unknown) => ({ timeout: value }) as never;
  const signals = (value: unknown) => ({ signal: value }) as never;
  const acts: ((value: unknown) => unknown)[] = [
    async (value) => pool.release(await pool.acquire(value as never)),
    async (value) => pool.release(await pool.acquire(timeouts(value))),
    async (value) => pool.release(await pool.acquire(signals(value))),
    (value) => pool.use(value as never),
    (value) => pool.use(() => {}, value as never),
    async (value) => (await pool.lease(value as never)).release(),
    (value) => pool.call(value as never, [] as never),
    (value) => pool.call('toString' as never, value as never),
    (value) => pool.release(value as never),
    (value) => pool.destroy(value as never),
    (value) => pool.destroy({ id: 1 } as never, value as never),
    (value) => pool.setCircuitBreakerStrategy(value as never),
  ];
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: acts.length - 1 }), any, async (act, make) => {
      const value = make();
      const { error } = await outcome((async () => acts[act]!(value))());
      if (error !== undefined) expect(error).toBeInstanceOf(Error);
      expect(pool.activeCount()).toBe(0);
    }),
    runs,
  );
  pool.setCircuitBreakerStrategy(null);
  pool.activate();
  await pool.use(() => {});
});
