/** The owner's side of the breaker, with a timer that ticks when a test says so: when a strategy is asked whether to try again. */
import type { CircuitBreaker, CircuitBreakerStrategy } from 'cenote';
import { expect, test } from 'vitest';
import { consecutiveFailuresOn } from '../../dist/main/breaker/consecutive-failures.js';
import { BreakerController } from '../../dist/main/breaker/controller.js';
import { ControlBlock } from '../../dist/shared/words/control-block.js';
import * as states from '../../dist/shared/words/state.js';

const NAMES = { [states.ACTIVE]: 'active', [states.INACTIVE]: 'inactive', [states.RECOVERING]: 'recovering' } as const;

function setUp(strategy: CircuitBreakerStrategy) {
  const { state } = ControlBlock.create({
    poolId: 1,
    min: 0,
    max: 1,
    maxThreads: 1,
    maxWaiting: 1,
    acquireTimeout: 0,
    maxUses: 0,
    features: 0,
  });
  const move = (to: states.Breaker) => () => void state.moveBreaker(to);
  const breaker: CircuitBreaker = {
    getState: () => NAMES[states.breakerOf(state.load())],
    activate: move(states.ACTIVE),
    deactivate: move(states.INACTIVE),
    recover: move(states.RECOVERING),
  };
  const ticking: { ms: number; body: () => void }[] = [];
  const failed: Error[] = [];
  const guard = new BreakerController(
    breaker,
    state,
    1,
    { changed() {}, failed: (error: Error) => void failed.push(error) },
    (ms: number, body: () => void) => {
      const each = { ms, body };
      ticking.push(each);
      return () => void ticking.splice(ticking.indexOf(each), 1);
    },
  );
  guard.strategy = strategy;
  return {
    breaker,
    guard,
    ticking,
    failed,
    state: () => breaker.getState(),
    /** Moved by anybody; the owner hears of it in its next turn. */
    move(to: 'activate' | 'deactivate' | 'recover') {
      breaker[to]();
      guard.announce();
    },
    tick() {
      for (const { body } of [...ticking]) body();
      guard.announce();
    },
  };
}

const asked = (answer: () => boolean) => {
  const strategy = {
    times: 0,
    reportSuccess() {},
    reportFailure() {},
    shouldRecover() {
      strategy.times++;
      return answer();
    },
  };
  return strategy;
};

test('a strategy is asked every second while the breaker is open, and not otherwise', () => {
  const strategy = asked(() => false);
  const { ticking, move, tick } = setUp(strategy);
  expect(ticking).toEqual([]);
  move('deactivate');
  expect(ticking.map(({ ms }) => ms)).toEqual([1000]);
  for (let i = 0; i < 3; i++) tick();
  expect(strategy.times).toBe(3);
  move('recover');
  expect(ticking).toEqual([]);
  move('deactivate');
  move('activate');
  expect(ticking).toEqual([]);
});

test('true moves it to RECOVERING, and ends the questions', () => {
  let answer = false;
  const { ticking, state, move, tick } = setUp(asked(() => answer));
  move('deactivate');
  tick();
  expect(state()).toBe('inactive');
  answer = true;
  tick();
  expect(state()).toBe('recovering');
  expect(ticking).toEqual([]);
});

test('it is not asked when the breaker has been closed, and the owner has not heard of it yet', () => {
  const strategy = asked(() => true);
  const { breaker, state, move, ticking } = setUp(strategy);
  move('deactivate');
  breaker.activate();
  for (const { body } of [...ticking]) body();
  expect(strategy.times).toBe(0);
  expect(state()).toBe('active');
});

test('one that throws is reported, and asked again', () => {
  const error = new Error('cannot tell');
  let broken = true;
  const { failed, state, move, tick } = setUp(
    asked(() => {
      if (broken) throw error;
      return true;
    }),
  );
  move('deactivate');
  tick();
  expect(failed).toEqual([error]);
  expect(state()).toBe('inactive');
  broken = false;
  tick();
  expect(state()).toBe('recovering');
});

test('one without shouldRecover is not asked, nor one that was replaced, nor any when the pool has ended', () => {
  const { guard, ticking, move } = setUp({ reportSuccess() {}, reportFailure() {} });
  move('deactivate');
  expect(ticking).toEqual([]);
  guard.strategy = asked(() => false);
  expect(ticking).toHaveLength(1);
  guard.strategy = undefined;
  expect(ticking).toEqual([]);
  guard.strategy = asked(() => false);
  guard.end();
  expect(ticking).toEqual([]);
  guard.strategy = asked(() => false);
  expect(ticking).toEqual([]);
});

test('with a strategy on the same clock: open for resetTimeout, and again after a failed probe', () => {
  let now = 0;
  const { guard, state, move, tick } = setUp(consecutiveFailuresOn(() => now, { threshold: 1, resetTimeout: 2500 }));
  const seen: string[] = [];
  guard.failure(new Error('down'), false);
  guard.announce();
  for (now = 1000; now <= 7000; now += 1000) {
    tick();
    seen.push(state());
    // The probe fails.
    if (state() === 'recovering') guard.failure(new Error('still down'), true);
    guard.announce();
  }
  expect(seen).toEqual(['inactive', 'inactive', 'recovering', 'inactive', 'inactive', 'recovering', 'inactive']);
  move('recover');
  guard.success(true);
  expect(state()).toBe('active');
});
