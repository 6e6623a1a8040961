/** What a thread remembers between a return and its next borrow, counted in compare-exchanges; and how long it spins. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { Lending } from '../../dist/shared/lending/lending.js';
import { spinFor } from '../../dist/shared/waiting/blocking.js';
import { ControlBlock } from '../../dist/shared/words/control-block.js';

const A = 1;
const B = 2;

function twoThreads() {
  const block = ControlBlock.create({
    poolId: 1,
    min: 0,
    max: 3,
    maxThreads: 3,
    maxWaiting: 4,
    acquireTimeout: 0,
    maxUses: 0,
    features: 0,
  });
  for (let slot = 0; slot < 3; slot++) {
    block.slots.reserve(slot);
    block.slots.toIdle(slot);
  }
  const lendingOf = (me: number) => new Lending(block, me, { served() {}, called() {}, lookUp() {} });
  return { a: lendingOf(A), b: lendingOf(B) };
}

/** How many of the compare-exchanges that `body` makes succeed, and how many fail. */
function exchanges(body: () => unknown): { done: number; failed: number } {
  const spy = vi.spyOn(Atomics, 'compareExchange');
  onTestFinished(() => spy.mockRestore());
  body();
  const failed = spy.mock.calls.filter(([, , from], call) => spy.mock.results[call].value !== from).length;
  const all = spy.mock.calls.length;
  spy.mockRestore();
  return { done: all - failed, failed };
}

test('a thread borrows again what it gave back last with one compare-exchange', () => {
  const { a } = twoThreads();
  a.giveBack(a.tryBorrow());
  for (let times = 0; times < 3; times++) expect(exchanges(() => a.giveBack(a.tryBorrow()))).toEqual({ done: 2, failed: 0 });
});

test('also when it was not the first slot, and when others come and go in other slots', () => {
  const { a, b } = twoThreads();
  const first = a.tryBorrow();
  const second = a.tryBorrow();
  a.giveBack(first);
  a.giveBack(second);
  const bs = b.tryBorrow();
  expect(bs).not.toBe(second);
  b.giveBack(bs);
  expect(exchanges(() => expect(a.tryBorrow()).toBe(second))).toEqual({ done: 1, failed: 0 });
});

test('what somebody else has had since costs one that fails, and is borrowed all the same', () => {
  const { a, b } = twoThreads();
  const slot = a.tryBorrow();
  a.giveBack(slot);
  b.giveBack(b.tryBorrow());
  expect(exchanges(() => expect(a.tryBorrow()).toBe(slot))).toEqual({ done: 1, failed: 1 });
});

test('what somebody else has got is not borrowed twice', () => {
  const { a, b } = twoThreads();
  const slot = a.tryBorrow();
  a.giveBack(slot);
  expect(b.tryBorrow()).toBe(slot);
  expect(exchanges(() => expect(a.tryBorrow()).not.toBe(slot))).toEqual({ done: 1, failed: 1 });
});

test('who waits alone spins for longer where a core is left beside one for each slot', () => {
  expect(spinFor(1, 2)).toBeGreaterThan(spinFor(2, 2));
  expect(spinFor(3, 4)).toBe(spinFor(1, 2));
  expect(spinFor(64, 4)).toBe(spinFor(2, 2));
});
