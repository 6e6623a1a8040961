/** The owner's side of the breaker, with a timer that ticks when a test says so: when a strategy is asked whether to try again. */
import type { CircuitBreaker, CircuitBreakerStrategy } from 'cenote';
import { expect, test } from 'vitest';
import { consecutiveFailuresOn } from '../../dist/main/breaker/consecutive-failures.js';
import { BreakerController } from '../../dist/main/breaker/controller.js';
import { Events } from '../../dist/main/events.js';
import { ControlBlock } from '../../dist/shared/words/control-block.js';
import * as states from '../../dist/shared/words/state.js';

const NAMES = { [states.ACTIVE]: 'active', [states.INACTIVE]: 'inactive', [states.RECOVERING]: 'recovering' } as const;

/** `probes`: how many have to succeed where there is no strategy. */
function setUp(strategy?: CircuitBreakerStrategy, probes = 1) {
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
  const events = new Events<unknown>();
  events.on('error', (error) => void failed.push(error));
  const guard = new BreakerController(breaker, state, probes, events, (ms: number, body: () => void) => {
    const each = { ms, body };
    ticking.push(each);
    return () => void ticking.splice(ticking.indexOf(each), 1);
  });
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

test.each([
  ['a promise', async () => true],
  ['a promise', async () => Promise.reject(new Error('told once'))],
  ['1', () => 1],
  ['"yes"', () => 'yes'],
])('one that answers with %s is told that this counts as false, and is asked again', async (shown, answer) => {
  const { failed, state, move, tick } = setUp(asked(answer as unknown as () => boolean));
  move('deactivate');
  tick();
  // What the promise comes to changes nothing, and no rejection of it goes unhandled.
  await new Promise((resolve) => setImmediate(resolve));
  expect(state()).toBe('inactive');
  tick();
  expect(failed.map((error) => error.constructor)).toEqual([TypeError, TypeError]);
  expect(failed[0]!.message).toContain(`must return true or false, not ${shown}: it counts as false`);
});

test('one that answers with nothing means false', () => {
  const { failed, state, move, tick } = setUp(asked(() => undefined as unknown as boolean));
  move('deactivate');
  tick();
  expect([state(), failed]).toEqual(['inactive', []]);
});

test('without a strategy: a good probe that comes back after a bad one in the same turn does not close the breaker again', () => {
  const { guard, move, state } = setUp();
  move('deactivate');
  move('recover');
  guard.failure(new Error('down'), true);
  guard.success(true);
  expect(state()).toBe('inactive');
  guard.announce();
  expect(state()).toBe('inactive');
});

test('without a strategy: successes before a bad probe do not count towards the next recovery', () => {
  const { breaker, guard, move, state } = setUp(undefined, 2);
  move('recover');
  guard.success(true);
  // Two moves within one turn: the owner never hears of INACTIVE.
  guard.failure(new Error('down'), true);
  breaker.recover();
  guard.success(true);
  expect(state()).toBe('recovering');
  guard.success(true);
  expect(state()).toBe('active');
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
