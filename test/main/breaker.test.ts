import { type CircuitBreaker, CircuitBreakerState, type CircuitBreakerStrategy, ServiceUnavailableError } from 'cenote';
import { describe, expect, test } from 'vitest';
import { borrow, expectWhole, open, record, workshop } from '../support/pools.ts';
import { ownTime } from '../support/time.ts';
import { failureOf, outcome, rejection, settled, staysPending, turns, until } from '../support/wait.ts';

const unavailable = { name: 'ServiceUnavailableError', code: 'ERR_POOL_UNAVAILABLE' };

/** Writes down what it is told and does nothing. */
const recorder = () => {
  const reports: { kind: 'success' | 'failure'; source: CircuitBreaker; error?: Error }[] = [];
  const strategy: CircuitBreakerStrategy = {
    reportSuccess: (source) => void reports.push({ kind: 'success', source }),
    reportFailure: (source, error) => void reports.push({ kind: 'failure', source, error }),
  };
  return { reports, strategy, kinds: () => reports.map(({ kind }) => kind) };
};

test('CircuitBreakerState has the three states', () => {
  expect(CircuitBreakerState).toMatchObject({ ACTIVE: 'active', INACTIVE: 'inactive', RECOVERING: 'recovering' });
});

describe('a pool', () => {
  test('is ACTIVE at first', async () => {
    const pool = await open(workshop());
    expect(pool.getState()).toBe(CircuitBreakerState.ACTIVE);
  });

  test('changes its state at once', async () => {
    const pool = await open(workshop());
    pool.deactivate();
    expect(pool.getState()).toBe('inactive');
    pool.recover();
    expect(pool.getState()).toBe('recovering');
    pool.activate();
    expect(pool.getState()).toBe('active');
  });
});

describe('INACTIVE', () => {
  test('refuses acquire at once with ServiceUnavailableError', async () => {
    const pool = await open({ ...workshop(), name: 'db', min: 1 });
    pool.deactivate();
    const error = await failureOf(() => pool.acquire());
    expect(error).toBeInstanceOf(ServiceUnavailableError);
    expect(error).toMatchObject({ ...unavailable, pool: 'db' });
    expect(pool.stats().rejected).toBe(1);
  });

  test('rejects everyone already in line', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    await pool.acquire();
    const waiting = Array.from({ length: 4 }, () => rejection(pool.acquire()));
    await until(() => pool.waitingCount() === 4);
    pool.deactivate();
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject(unavailable);
    expect(pool.stats()).toMatchObject({ waiting: 0, rejected: 4 });
  });

  test('lets borrowed resources be used and come back', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const thing = await pool.acquire();
    pool.deactivate();
    pool.release(thing);
    await until(() => pool.activeCount() === 0);
    expect(pool.getState()).toBe('inactive');
    pool.activate();
    await expectWhole(pool);
  });

  test('a pool that is closed meanwhile says so', async () => {
    const pool = await open(workshop());
    pool.deactivate();
    await settled(pool.close());
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });

  test('activate serves again', async () => {
    const pool = await open({ ...workshop(), min: 1 });
    pool.deactivate();
    await rejection(pool.acquire());
    pool.activate();
    await expectWhole(pool);
  });

  test('stays so without a strategy', async () => {
    const time = ownTime();
    const pool = await open(workshop());
    pool.deactivate();
    await time.holds(() => pool.getState() === 'inactive', 3_600_000);
  });
});

describe('RECOVERING', () => {
  test('hands out recoveryProbes at a time; the others wait in line', async () => {
    const pool = await open({ ...workshop(), max: 5, recoveryProbes: 2, circuitBreaker: recorder().strategy });
    pool.recover();
    const probes = await settled(borrow(pool, 2));
    const third = pool.acquire();
    await staysPending(third);
    expect(pool.waitingCount()).toBe(1);
    expect(pool.activeCount()).toBe(2);
    pool.release(probes[0]!);
    await settled(third);
  });

  test('lets 1 through by default', async () => {
    const pool = await open({ ...workshop(), min: 3 });
    pool.recover();
    const probe = await settled(pool.acquire());
    const next = pool.acquire();
    await staysPending(next);
    pool.release(probe);
    await settled(next);
  });

  test('without a strategy: recoveryProbes successes in a row activate', async () => {
    const pool = await open({ ...workshop(), max: 5, recoveryProbes: 3 });
    pool.deactivate();
    pool.recover();
    for (let i = 0; i < 2; i++) pool.release(await settled(pool.acquire()));
    await turns();
    expect(pool.getState()).toBe('recovering');
    pool.release(await settled(pool.acquire()));
    await until(() => pool.getState() === 'active');
  });

  test('without a strategy: everyone in line is served after the activation', async () => {
    const pool = await open({ ...workshop(), max: 5 });
    pool.recover();
    const probe = await settled(pool.acquire());
    const waiting = Array.from({ length: 4 }, () => pool.acquire());
    await until(() => pool.waitingCount() === 4);
    pool.release(probe);
    const things = await settled(Promise.all(waiting));
    expect(pool.getState()).toBe('active');
    for (const thing of things) pool.release(thing);
  });

  test('without a strategy: one failure deactivates, and everyone in line is told', async () => {
    const pool = await open({ ...workshop(), max: 5 });
    pool.recover();
    const probe = await settled(pool.acquire());
    const waiting = Array.from({ length: 3 }, () => rejection(pool.acquire()));
    await until(() => pool.waitingCount() === 3);
    pool.destroy(probe, new Error('still broken'));
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject(unavailable);
    expect(pool.getState()).toBe('inactive');
  });

  test('without a strategy: a failure of the factory deactivates', async () => {
    const pool = await open<object>({ factory: () => Promise.reject(new Error('still down')) });
    pool.recover();
    expect(await rejection(pool.acquire())).toBeInstanceOf(Error);
    await until(() => pool.getState() === 'inactive');
  });

  test('without a strategy: a rejected return deactivates', async () => {
    const pool = await open({ ...workshop(), beforeRelease: () => false });
    pool.recover();
    pool.release(await settled(pool.acquire()));
    await until(() => pool.getState() === 'inactive');
  });

  test('without a strategy: successes from before it do not count', async () => {
    const pool = await open({ ...workshop(), max: 5, recoveryProbes: 2 });
    for (let i = 0; i < 5; i++) pool.release(await pool.acquire());
    pool.deactivate();
    pool.recover();
    pool.release(await settled(pool.acquire()));
    await turns();
    expect(pool.getState()).toBe('recovering');
    pool.release(await settled(pool.acquire()));
    await until(() => pool.getState() === 'active');
  });

  test('with a strategy it decides: successes alone change nothing', async () => {
    const { strategy, reports } = recorder();
    const pool = await open({ ...workshop(), max: 5, circuitBreaker: strategy });
    pool.recover();
    for (let i = 0; i < 5; i++) pool.release(await settled(pool.acquire()));
    await until(() => reports.length === 5);
    expect(pool.getState()).toBe('recovering');
  });

  test('with a strategy it decides: failures alone change nothing', async () => {
    const { strategy, reports } = recorder();
    const pool = await open({ ...workshop(), max: 5, circuitBreaker: strategy });
    pool.recover();
    for (let i = 0; i < 3; i++) pool.destroy(await settled(pool.acquire()));
    await until(() => reports.length === 3);
    expect(pool.getState()).toBe('recovering');
  });

  test('a waiter that times out is gone, and probes go on', async () => {
    const pool = await open({ ...workshop(), max: 5, circuitBreaker: recorder().strategy });
    pool.recover();
    const probe = await settled(pool.acquire());
    expect(await rejection(pool.acquire({ timeout: 15 }))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
    pool.release(probe);
    await settled(pool.acquire());
  });

  test('activate serves everyone in line', async () => {
    const pool = await open({ ...workshop(), max: 3, circuitBreaker: recorder().strategy });
    pool.recover();
    await settled(pool.acquire());
    const waiting = borrow(pool, 2);
    await until(() => pool.waitingCount() === 2);
    pool.activate();
    await settled(waiting);
  });

  test('deactivate rejects everyone in line', async () => {
    const pool = await open({ ...workshop(), max: 3 });
    pool.recover();
    await settled(pool.acquire());
    const waiting = rejection(pool.acquire());
    await until(() => pool.waitingCount() === 1);
    pool.deactivate();
    expect(await waiting).toMatchObject(unavailable);
  });
});

describe('a strategy', () => {
  test('is told of each clean return', async () => {
    const { strategy, kinds } = recorder();
    const pool = await open({ ...workshop(), circuitBreaker: strategy });
    for (let i = 0; i < 3; i++) pool.release(await pool.acquire());
    await until(() => kinds().length === 3);
    expect(kinds()).toEqual(['success', 'success', 'success']);
  });

  test("is told of each factory failure, with the factory's error", async () => {
    const { strategy, reports } = recorder();
    const error = new Error('down');
    const pool = await open<object>({ factory: () => Promise.reject(error), circuitBreaker: strategy });
    await rejection(pool.acquire());
    await until(() => reports.length === 1);
    expect(reports[0]).toMatchObject({ kind: 'failure', error });
    expect(reports[0]!.error).toBe(error);
  });

  test('is told of a factory that takes too long', async () => {
    const { strategy, reports } = recorder();
    const pool = await open({ createTimeout: 15, factory: () => new Promise<object>(() => {}), circuitBreaker: strategy });
    await rejection(pool.acquire());
    await until(() => reports.length === 1);
    expect(reports[0]!.error).toMatchObject({ code: 'ERR_POOL_CREATE_TIMEOUT' });
  });

  test('is told of each destroy', async () => {
    const { strategy, kinds } = recorder();
    const pool = await open({ ...workshop(), circuitBreaker: strategy });
    pool.destroy(await pool.acquire());
    await until(() => kinds().length === 1);
    expect(kinds()).toEqual(['failure']);
  });

  test('gets a source through which it can act', async () => {
    const pool = await open({
      ...workshop(),
      circuitBreaker: {
        reportSuccess() {},
        reportFailure(source) {
          expect(source.getState()).toBe('active');
          source.deactivate();
        },
      },
    });
    const log = record(pool);
    pool.destroy(await pool.acquire());
    await until(() => pool.getState() === 'inactive');
    expect(log.errors).toEqual([]);
  });

  test('can activate from RECOVERING', async () => {
    const pool = await open({
      ...workshop(),
      circuitBreaker: {
        reportSuccess: (source) => source.getState() === 'recovering' && source.activate(),
        reportFailure() {},
      } as CircuitBreakerStrategy,
    });
    pool.recover();
    pool.release(await settled(pool.acquire()));
    await until(() => pool.getState() === 'active');
  });

  test('is called on the strategy object itself', async () => {
    class Counting implements CircuitBreakerStrategy {
      successes = 0;
      failures = 0;
      reportSuccess() {
        this.successes++;
      }
      reportFailure() {
        this.failures++;
      }
    }
    const strategy = new Counting();
    const pool = await open({ ...workshop(), circuitBreaker: strategy });
    pool.release(await pool.acquire());
    pool.destroy(await pool.acquire());
    await until(() => strategy.successes === 1 && strategy.failures === 1);
  });

  test("that throws is reported as 'error', and the pool goes on", async () => {
    const error = new Error('the strategy is broken');
    const fail = () => {
      throw error;
    };
    const pool = await open({ ...workshop(), max: 2, circuitBreaker: { reportSuccess: fail, reportFailure: fail } });
    const log = record(pool);
    pool.release(await pool.acquire());
    await until(() => log.errors.length === 1);
    pool.destroy(await pool.acquire());
    await until(() => log.errors.length === 2);
    expect(log.errors).toEqual([error, error]);
    await expectWhole(pool);
  });

  test('that throws on a factory failure does not keep the error from the waiter', async () => {
    const error = new Error('down');
    const pool = await open<object>({
      factory: () => Promise.reject(error),
      circuitBreaker: {
        reportSuccess() {},
        reportFailure() {
          throw new Error('the strategy is broken');
        },
      },
    });
    const log = record(pool);
    expect(await rejection(pool.acquire())).toBe(error);
    await until(() => log.errors.some(({ message }) => message === 'the strategy is broken'));
  });

  test('whose shouldRecover says true while INACTIVE moves the pool to RECOVERING', async () => {
    const time = ownTime();
    let ready = false;
    let asked = 0;
    const pool = await open({
      ...workshop(),
      circuitBreaker: {
        reportSuccess() {},
        reportFailure() {},
        shouldRecover() {
          asked++;
          return ready;
        },
      },
    });
    await time.pass(60_000);
    expect(asked).toBe(0);
    pool.deactivate();
    await time.pass(1000);
    expect(asked).toBe(1);
    expect(pool.getState()).toBe('inactive');
    ready = true;
    await time.pass(1000);
    expect(pool.getState()).toBe('recovering');
    await time.pass(60_000);
    expect(asked).toBe(2);
  });

  test("whose shouldRecover throws is reported as 'error', and asked again", async () => {
    const time = ownTime();
    let asked = 0;
    const error = new Error('cannot tell');
    const pool = await open({
      ...workshop(),
      circuitBreaker: {
        reportSuccess() {},
        reportFailure() {},
        shouldRecover() {
          if (++asked === 1) throw error;
          return true;
        },
      },
    });
    const log = record(pool);
    pool.deactivate();
    await time.pass(2000);
    expect(pool.getState()).toBe('recovering');
    expect(log.errors).toEqual([error]);
  });

  test('that opens the breaker while others wait: they are told', async () => {
    const pool = await open({
      ...workshop(),
      max: 1,
      circuitBreaker: { reportSuccess() {}, reportFailure: (source) => source.deactivate() },
    });
    const thing = await pool.acquire();
    const waiting = Array.from({ length: 3 }, () => outcome(pool.acquire()));
    await until(() => pool.waitingCount() === 3);
    pool.destroy(thing);
    const results = await Promise.all(waiting);
    for (const { error } of results) expect(error).toMatchObject(unavailable);
  });
});

describe('setCircuitBreakerStrategy', () => {
  test('does the same as the option', async () => {
    const { strategy, kinds } = recorder();
    const pool = await open(workshop());
    pool.setCircuitBreakerStrategy(strategy);
    pool.release(await pool.acquire());
    pool.destroy(await pool.acquire());
    await until(() => kinds().length === 2);
    expect(kinds()).toEqual(['success', 'failure']);
  });

  test('replaces the one before', async () => {
    const [before, after] = [recorder(), recorder()];
    const pool = await open({ ...workshop(), circuitBreaker: before.strategy });
    pool.setCircuitBreakerStrategy(after.strategy);
    pool.release(await pool.acquire());
    await until(() => after.reports.length === 1);
    expect(before.reports).toEqual([]);
  });

  test('null takes it away: then recovery works without a strategy', async () => {
    const { strategy, reports } = recorder();
    const pool = await open({ ...workshop(), circuitBreaker: strategy });
    pool.setCircuitBreakerStrategy(null);
    pool.recover();
    pool.release(await settled(pool.acquire()));
    await until(() => pool.getState() === 'active');
    expect(reports).toEqual([]);
  });

  test('refuses what is no strategy', async () => {
    const pool = await open(workshop());
    expect(() => pool.setCircuitBreakerStrategy({} as never)).toThrow(TypeError);
    expect(() => pool.setCircuitBreakerStrategy('closed' as never)).toThrow(TypeError);
  });
});
