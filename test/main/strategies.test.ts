import { type CircuitBreaker, type CircuitBreakerState, type CircuitBreakerStrategy, consecutiveFailures, failureRate } from 'cenote';
import { describe, expect, test } from 'vitest';
import { consecutiveFailuresOn } from '../../dist/main/breaker/consecutive-failures.js';
import { failureRateOn } from '../../dist/main/breaker/failure-rate.js';
import { open, workshop } from '../support/pools.ts';
import { ownTime } from '../support/time.ts';
import { rejection, settled, until } from '../support/wait.ts';

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

  test('asks for a probe when resetTimeout is over, once, and not before', () => {
    let now = 0;
    const [strategy, source] = [consecutiveFailuresOn(() => now, { threshold: 1, resetTimeout: 30 }), breaker()];
    report(strategy, source, '-');
    now = 29.9;
    expect(strategy.shouldRecover!()).toBe(false);
    now = 30;
    expect(strategy.shouldRecover!()).toBe(true);
    expect(strategy.shouldRecover!()).toBe(false);
  });

  test('opened by hand: resetTimeout runs from the first question', () => {
    let now = 1000;
    const strategy = consecutiveFailuresOn(() => now, { resetTimeout: 30 });
    expect(strategy.shouldRecover!()).toBe(false);
    now = 1029;
    expect(strategy.shouldRecover!()).toBe(false);
    now = 1030;
    expect(strategy.shouldRecover!()).toBe(true);
  });

  test('opened again by a probe: resetTimeout begins anew', () => {
    let now = 0;
    const [strategy, source] = [consecutiveFailuresOn(() => now, { threshold: 1, resetTimeout: 30 }), breaker()];
    report(strategy, source, '-');
    now = 1000;
    expect(strategy.shouldRecover!()).toBe(true);
    source.recover();
    report(strategy, source, '-');
    expect(source.getState()).toBe('inactive');
    now = 1029;
    expect(strategy.shouldRecover!()).toBe(false);
    now = 1030;
    expect(strategy.shouldRecover!()).toBe(true);
  });

  test('measures the real time unless it is given a clock', async () => {
    const [strategy, source] = [consecutiveFailures({ threshold: 1, resetTimeout: 20 }), breaker()];
    const opened = performance.now();
    report(strategy, source, '-');
    await until(() => strategy.shouldRecover!());
    expect(performance.now() - opened).toBeGreaterThanOrEqual(20);
  });

  test('probes again after resetTimeout, and a success closes it', async () => {
    const time = ownTime();
    const shop = workshop();
    let broken = true;
    const pool = await open({
      ...shop,
      factory: () => {
        if (broken) throw error;
        return shop.factory();
      },
      circuitBreaker: consecutiveFailures({ threshold: 2, resetTimeout: 1500 }),
    });
    for (let i = 0; i < 2; i++) await rejection(pool.acquire());
    await until(() => pool.getState() === 'inactive');
    broken = false;
    // Asked every second.
    await time.pass(1999);
    expect(pool.getState()).toBe('inactive');
    await time.pass(1);
    expect(pool.getState()).toBe('recovering');
    for (let i = 0; i < 10 && pool.getState() !== 'active'; i++) pool.release(await settled(pool.acquire()));
    await until(() => pool.getState() === 'active');
  });

  test('probes again after resetTimeout, and a failure opens it again', async () => {
    const time = ownTime();
    const pool = await open<object>({
      factory: () => Promise.reject(error),
      circuitBreaker: consecutiveFailures({ threshold: 2, resetTimeout: 50 }),
    });
    for (let i = 0; i < 2; i++) await rejection(pool.acquire());
    await time.pass(1000);
    expect(pool.getState()).toBe('recovering');
    await rejection(pool.acquire());
    await until(() => pool.getState() === 'inactive');
    await time.pass(1000);
    expect(pool.getState()).toBe('recovering');
  });

  test('does not probe before resetTimeout', async () => {
    const time = ownTime();
    const pool = await open<object>({
      factory: () => Promise.reject(error),
      circuitBreaker: consecutiveFailures({ threshold: 1, resetTimeout: 60_000 }),
    });
    await rejection(pool.acquire());
    await time.holds(() => pool.getState() === 'inactive', 59_999);
    await time.pass(1);
    expect(pool.getState()).toBe('recovering');
  });
});

describe('failureRate', () => {
  test.each([0, 10, 1e6])('what it has forgotten counts no more, %d ms after its clock began', (began) => {
    let now = began;
    const [strategy, source] = [failureRateOn(() => now, { window: 100, minimum: 4, resetTimeout: 0 }), breaker()];
    report(strategy, source, '---');
    now += 10;
    report(strategy, source, '-');
    expect(source.getState()).toBe('inactive');
    source.recover();
    report(strategy, source, '+--');
    expect(source.getState()).toBe('active');
    report(strategy, source, '-');
    expect(source.getState()).toBe('inactive');
  });

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

  test('forgets what is older than window', () => {
    let now = 0;
    const [strategy, source] = [failureRateOn(() => now, { rate: 0.5, window: 80, minimum: 4 }), breaker()];
    report(strategy, source, '---');
    now = 80;
    report(strategy, source, '+++-');
    expect(source.getState()).toBe('active');
  });

  test('remembers what is not, to a tenth', () => {
    let now = 0;
    const [strategy, source] = [failureRateOn(() => now, { rate: 0.5, window: 80, minimum: 4 }), breaker()];
    report(strategy, source, '---');
    now = 79;
    report(strategy, source, '-');
    expect(source.getState()).toBe('inactive');
  });

  test('asks for a probe when resetTimeout is over, and measures the real time unless it is given a clock', async () => {
    let now = 0;
    const [strategy, source] = [failureRateOn(() => now, { minimum: 1, resetTimeout: 30 }), breaker()];
    report(strategy, source, '-');
    now = 29;
    expect(strategy.shouldRecover!()).toBe(false);
    now = 30;
    expect(strategy.shouldRecover!()).toBe(true);
    const real = failureRate({ minimum: 1, resetTimeout: 20 });
    const opened = performance.now();
    report(real, breaker(), '-');
    await until(() => real.shouldRecover!());
    expect(performance.now() - opened).toBeGreaterThanOrEqual(20);
  });

  test('works without options', () => {
    const [strategy, source] = [failureRate(), breaker()];
    report(strategy, source, '+'.repeat(10));
    expect(source.getState()).toBe('active');
    report(strategy, source, '-'.repeat(1000));
    expect(source.getState()).toBe('inactive');
  });

  test('on a pool: opens, probes again after resetTimeout, and a success closes it', async () => {
    const time = ownTime();
    const shop = workshop();
    const pool = await open({ ...shop, circuitBreaker: failureRate({ rate: 0.5, window: 10_000, minimum: 4, resetTimeout: 100 }) });
    for (let i = 0; i < 4; i++) {
      const thing = await pool.acquire();
      i % 2 ? pool.destroy(thing, error) : pool.release(thing);
    }
    await until(() => pool.getState() === 'inactive');
    await time.pass(1000);
    expect(pool.getState()).toBe('recovering');
    for (let i = 0; i < 10 && pool.getState() !== 'active'; i++) pool.release(await settled(pool.acquire()));
    await until(() => pool.getState() === 'active');
  });
});
