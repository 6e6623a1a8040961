import { type CircuitBreaker, type CircuitBreakerState, type CircuitBreakerStrategy, consecutiveFailures, failureRate } from 'cenote';
import { describe, expect, test } from 'vitest';
import { open, workshop } from '../support/pools.ts';
import { rejection, settled, sleep, until } from '../support/wait.ts';

/** A breaker to drive a strategy by hand. */
const breaker = () => {
  let state: CircuitBreakerState = 'active';
  const source: CircuitBreaker = {
    getState: () => state,
    activate() {
      state = 'active';
    },
    deactivate() {
      state = 'inactive';
    },
    recover() {
      state = 'recovering';
    },
  };
  return source;
};
const error = new Error('broken');
const report = (strategy: CircuitBreakerStrategy, source: CircuitBreaker, pattern: string) => {
  for (const each of pattern) each === '+' ? strategy.reportSuccess(source) : strategy.reportFailure(source, error);
};

describe('consecutiveFailures', () => {
  test('opens after threshold failures in a row', () => {
    const [strategy, source] = [consecutiveFailures({ threshold: 3 }), breaker()];
    report(strategy, source, '--');
    expect(source.getState()).toBe('active');
    report(strategy, source, '-');
    expect(source.getState()).toBe('inactive');
  });

  test('begins anew after a success', () => {
    const [strategy, source] = [consecutiveFailures({ threshold: 3 }), breaker()];
    report(strategy, source, '--+--+--');
    expect(source.getState()).toBe('active');
    report(strategy, source, '-');
    expect(source.getState()).toBe('inactive');
  });

  test('works without options', () => {
    const [strategy, source] = [consecutiveFailures(), breaker()];
    report(strategy, source, '+-+');
    expect(source.getState()).toBe('active');
    report(strategy, source, '-'.repeat(100));
    expect(source.getState()).toBe('inactive');
  });

  test('opens the breaker of a pool whose factory keeps failing', async () => {
    const pool = await open<object>({
      max: 1,
      factory: () => Promise.reject(error),
      circuitBreaker: consecutiveFailures({ threshold: 3, resetTimeout: 60_000 }),
    });
    for (let i = 0; i < 3; i++) expect(await rejection(pool.acquire())).toBe(error);
    await until(() => pool.getState() === 'inactive');
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_UNAVAILABLE' });
  });

  test('probes again after resetTimeout, and a success closes it', async () => {
    const shop = workshop();
    let broken = true;
    const pool = await open({
      ...shop,
      factory: () => {
        if (broken) throw error;
        return shop.factory();
      },
      circuitBreaker: consecutiveFailures({ threshold: 2, resetTimeout: 100 }),
    });
    for (let i = 0; i < 2; i++) await rejection(pool.acquire());
    await until(() => pool.getState() === 'inactive');
    broken = false;
    await until(() => pool.getState() === 'recovering', 4000);
    for (let i = 0; i < 10 && pool.getState() !== 'active'; i++) pool.release(await settled(pool.acquire(), 2000));
    await until(() => pool.getState() === 'active');
  });

  test('probes again after resetTimeout, and a failure opens it again', async () => {
    const pool = await open<object>({
      factory: () => Promise.reject(error),
      circuitBreaker: consecutiveFailures({ threshold: 2, resetTimeout: 50 }),
    });
    for (let i = 0; i < 2; i++) await rejection(pool.acquire());
    await until(() => pool.getState() === 'recovering', 4000);
    await rejection(pool.acquire());
    await until(() => pool.getState() === 'inactive');
  });

  test('does not probe before resetTimeout', async () => {
    const pool = await open<object>({
      factory: () => Promise.reject(error),
      circuitBreaker: consecutiveFailures({ threshold: 1, resetTimeout: 60_000 }),
    });
    await rejection(pool.acquire());
    await until(() => pool.getState() === 'inactive');
    await sleep(1500);
    expect(pool.getState()).toBe('inactive');
  });
});

describe('failureRate', () => {
  test('opens when enough of the reports failed', () => {
    const [strategy, source] = [failureRate({ rate: 0.5, window: 60_000, minimum: 4 }), breaker()];
    report(strategy, source, '++-');
    expect(source.getState()).toBe('active');
    report(strategy, source, '-');
    expect(source.getState()).toBe('inactive');
  });

  test('does not open on fewer than minimum reports', () => {
    const [strategy, source] = [failureRate({ rate: 0.5, window: 60_000, minimum: 10 }), breaker()];
    report(strategy, source, '---------');
    expect(source.getState()).toBe('active');
    report(strategy, source, '-');
    expect(source.getState()).toBe('inactive');
  });

  test('does not open below the rate', () => {
    const [strategy, source] = [failureRate({ rate: 0.5, window: 60_000, minimum: 4 }), breaker()];
    report(strategy, source, '++-'.repeat(50));
    expect(source.getState()).toBe('active');
  });

  test('forgets what is older than window', async () => {
    const [strategy, source] = [failureRate({ rate: 0.5, window: 80, minimum: 4 }), breaker()];
    report(strategy, source, '---');
    await sleep(130);
    report(strategy, source, '+++-');
    expect(source.getState()).toBe('active');
  });

  test('works without options', () => {
    const [strategy, source] = [failureRate(), breaker()];
    report(strategy, source, '+'.repeat(10));
    expect(source.getState()).toBe('active');
    report(strategy, source, '-'.repeat(1000));
    expect(source.getState()).toBe('inactive');
  });

  test('on a pool: opens, probes again after resetTimeout, and a success closes it', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, circuitBreaker: failureRate({ rate: 0.5, window: 10_000, minimum: 4, resetTimeout: 100 }) });
    for (let i = 0; i < 4; i++) {
      const thing = await pool.acquire();
      i % 2 ? pool.destroy(thing, error) : pool.release(thing);
    }
    await until(() => pool.getState() === 'inactive');
    await until(() => pool.getState() === 'recovering', 4000);
    for (let i = 0; i < 10 && pool.getState() !== 'active'; i++) pool.release(await settled(pool.acquire(), 2000));
    await until(() => pool.getState() === 'active');
  });
});
