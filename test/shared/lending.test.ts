/** What a thread remembers between a return and its next borrow, counted in compare-exchanges; and how long it spins. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { Lending } from '../../dist/shared/lending/lending.js';
import { spinFor } from '../../dist/shared/waiting/blocking.js';
import { ControlBlock } from '../../dist/shared/words/control-block.js';
import { NONE } from '../../dist/shared/words/line.js';
import { leaseOf } from '../../dist/shared/words/slot.js';
import { SUSPENDED } from '../../dist/shared/words/state.js';

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
  const lost: number[] = [];
  const lendingOf = (me: number) =>
    new Lending(block, me, { served() {}, called() {}, lookUp() {}, revoked: (slot) => void lost.push(slot) });
  return { block, a: lendingOf(A), b: lendingOf(B), lost };
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

/** Takes a slot back from the thread that has it, and puts a new resource there: two versions on. */
function remake({ slots }: ControlBlock, slot: number): void {
  slots.revoke(slot, leaseOf(slots.load(slot)));
  slots.toEmpty(slot);
  slots.reserve(slot);
  slots.toIdle(slot);
}

/** The thread remembers a word that it left in slot 0, has slot 1, and the word of that, remade, is the same one. */
const WAYS = {
  'found by a search': (a: Lending): number => a.tryBorrow(),
  'waited for': (a: Lending): number => {
    const cell = a.join(0);
    a.match();
    const outcome = a.collect(cell);
    return outcome.kind === 'served' ? outcome.slot : NONE;
  },
};
test.each(Object.entries(WAYS))('what was %s, then taken back and made anew, is not borrowed again unnoticed', (_, borrow) => {
  const { block, a, b, lost } = twoThreads();
  for (let times = 0; times < 2; times++) a.giveBack(a.tryBorrow());
  const left = block.slots.load(0);
  expect(b.tryBorrow()).toBe(0);
  expect(borrow(a)).toBe(1);
  remake(block, 1);
  expect(block.slots.load(1)).toBe(left);
  // A search begins at the same slot.
  expect(a.tryBorrow()).toBe(1);
  expect(lost).toEqual([1]);
});

test('what comes back to a suspended pool is not borrowed by the word of another slot', () => {
  const { block, a, b } = twoThreads();
  for (let times = 0; times < 2; times++) a.giveBack(a.tryBorrow());
  const left = block.slots.load(0);
  expect([b.tryBorrow(), a.tryBorrow()]).toEqual([0, 1]);
  block.slots.flag(1);
  a.giveBack(1);
  expect(b.tryBorrow()).toBe(1);
  const { slots } = block;
  const borrowAgain = slots.borrowAgain.bind(slots);
  vi.spyOn(slots, 'borrowAgain').mockImplementationOnce((...args) => {
    // It has read the state. Nothing is idle that would get a new version from the owner but slot 2.
    block.state.set(SUSPENDED);
    b.giveBack(1);
    expect(slots.load(1)).toBe(left);
    return borrowAgain(...args);
  });
  expect(a.tryBorrow()).toBe(NONE);
});

test('who waits alone spins for longer where a core is left beside one for each slot', () => {
  expect(spinFor(1, 2)).toBeGreaterThan(spinFor(2, 2));
  expect(spinFor(3, 4)).toBe(spinFor(1, 2));
  expect(spinFor(64, 4)).toBe(spinFor(2, 2));
});
