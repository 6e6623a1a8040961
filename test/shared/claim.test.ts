import { expect, test } from 'vitest';
import { Claim } from '../../dist/shared/words/claim.js';

test('whoever moves a claim first has decided, and the other one is told', () => {
  for (const ownerFirst of [true, false]) {
    const callers = new Claim();
    const owners = Claim.open(callers.buffer)!;
    const moves = ownerFirst ? [() => owners.begin(), () => callers.withdraw()] : [() => callers.withdraw(), () => owners.begin()];
    expect(moves.map((move) => move())).toEqual([true, false]);
    expect(owners.isWithdrawn).toBe(!ownerFirst);
    // Nothing moves it any more.
    expect([callers.withdraw(), owners.begin(), owners.isWithdrawn]).toEqual([false, false, !ownerFirst]);
  }
});

test('what is no buffer of a claim is none', () => {
  for (const other of [undefined, null, 5, {}, new ArrayBuffer(4), new SharedArrayBuffer(3), new Int32Array(1)])
    expect(Claim.open(other)).toBe(undefined);
});
