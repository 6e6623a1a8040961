/** Histories made by hand: the good ones have an order, and of the bad ones each is wrong in one way. */
import { describe, expect, test } from 'vitest';
import { linearise, type Verdict } from './checker.ts';
import type { History, Kind, Operation } from './history.ts';
import { specification } from './specification.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** `took`: called, returned; or called, seen in line, returned. */
function operation(thread: number, kind: Kind, took: readonly number[], more: Partial<Operation>): Operation {
  const joined = took.length === 3 ? took[1] : NEVER;
  const outcome = kind === 'release' || kind === 'destroy' ? 'done' : 'got';
  return { thread, lane: 0, kind, resource: 0, patience: 0, outcome, called: took[0], joined, returned: took[took.length - 1], ...more };
}

const got = (thread: number, resource: number, ...took: number[]) => operation(thread, 'acquireSync', took, { resource });
const later = (thread: number, resource: number, ...took: number[]) => operation(thread, 'acquire', took, { resource });
const tried = (thread: number, resource: number | null, ...took: number[]) =>
  operation(thread, 'tryAcquireSync', took, resource === null ? { outcome: 'none' } : { resource });
const triedLater = (thread: number, resource: number | null, ...took: number[]) =>
  operation(thread, 'tryAcquire', took, resource === null ? { outcome: 'none' } : { resource });
const gave = (thread: number, resource: number, ...took: number[]) => operation(thread, 'release', took, { resource });
const destroyed = (thread: number, resource: number, ...took: number[]) => operation(thread, 'destroy', took, { resource });
const timedOut = (thread: number, patience: number, ...took: number[]) =>
  operation(thread, 'acquireSync', took, { patience, outcome: 'timeout' });
const aborted = (thread: number, ...took: number[]) => operation(thread, 'acquire', took, { outcome: 'abort' });
const waits = (thread: number, called: number) => operation(thread, 'acquireSync', [called, NEVER], { outcome: 'pending' });
const called = (thread: number, resource: number, ...took: number[]) => operation(thread, 'call', took, { resource });

/** Thread 2 is first in line, 3 is next; then a sleeper of this thread is served before both, and 2 only after 3. */
const takenOver = (thread: number): Operation[] => [
  got(1, 1, 1, 2),
  later(2, 1, 3, 4, 20),
  later(3, 1, 5, 6, 17),
  got(thread, 1, 7, 11),
  gave(1, 1, 8, 9),
  gave(thread, 1, 12, 13),
  gave(3, 1, 18, 19),
];

function judge(operations: Operation[], beginning: Partial<History> = {}, bound?: number): Verdict['answer'] {
  const { steps, model } = specification({ idle: [1], empty: 0, guardedReturns: false, ...beginning, operations });
  return linearise(steps, model, bound).answer;
}

describe('is linearisable', () => {
  test.each<[string, Operation[], Partial<History>?]>([
    ['nothing at all', []],
    ['one after the other', [got(1, 1, 1, 2), gave(1, 1, 3, 4), got(2, 1, 5, 6), gave(2, 1, 7, 8)]],
    ['handed over before release has returned', [got(1, 1, 1, 2), got(2, 1, 3, 6), gave(1, 1, 4, 9), gave(2, 1, 7, 8)]],
    ['two at once, where there are two', [got(1, 1, 1, 2), got(2, 2, 3, 4)], { idle: [1, 2] }],
    ['made in an empty place', [got(1, 7, 1, 2)], { idle: [], empty: 1 }],
    ['first come, first served', [got(1, 1, 1, 2), later(2, 1, 3, 4, 9), later(3, 1, 5, 6, 13), gave(1, 1, 7, 8), gave(2, 1, 10, 11)]],
    [
      'who joined at the same time may be served in either order',
      [got(1, 1, 1, 2), later(2, 1, 3, 6, 13), later(3, 1, 4, 5, 9), gave(1, 1, 7, 8), gave(3, 1, 10, 11)],
    ],
    [
      'a sleeper that nobody has seen in line may have joined late',
      [got(1, 1, 1, 2), got(2, 1, 3, 13), later(3, 1, 4, 5, 9), gave(1, 1, 7, 8), gave(3, 1, 10, 11)],
    ],
    ['a try that finds nothing', [got(1, 1, 1, 2), tried(2, null, 3, 4), gave(1, 1, 5, 6), tried(2, 1, 7, 8)]],
    ['a try while the last one is being given back', [got(1, 1, 1, 2), gave(1, 1, 3, 6), tried(2, null, 4, 5)]],
    ['a try behind somebody in line', [got(1, 1, 1, 2), later(2, 1, 3, 4, 9), gave(1, 1, 5, 6), tried(3, null, 7, 8)]],
    ['a timeout', [got(1, 1, 1, 2), timedOut(2, 5, 3, 4), gave(1, 1, 5, 6)]],
    ['a timeout makes way', [got(1, 1, 1, 2), timedOut(2, 5, 3, 4, 10), later(3, 1, 5, 6, 11), gave(1, 1, 7, 8)]],
    [
      'granted and aborted in the same moment: who is behind may be served first',
      [got(1, 1, 1, 2), got(1, 2, 3, 4), aborted(2, 5, 6, 20), later(3, 1, 7, 8, 13), gave(1, 1, 9, 10), gave(1, 2, 11, 12)],
      { idle: [1, 2] },
    ],
    [
      'destroyed by a worker: its place is empty some time later',
      [got(1, 1, 1, 2), destroyed(1, 1, 3, 4), tried(2, null, 5, 6), got(2, 7, 7, 8)],
    ],
    ['returned past the owner: idle some time later', [got(1, 1, 1, 2), gave(1, 1, 3, 4), tried(2, null, 5, 6)], { guardedReturns: true }],
    ['a sleeper takes what was meant for another of its thread, and gives it its place', takenOver(2)],
    ['and a try of its thread, from which it takes something, gets nothing', [triedLater(2, null, 1, 20), got(2, 1, 3, 4)]],
    ['a call gives back by itself', [called(1, 1, 1, 2), got(2, 1, 3, 4)]],
    ['somebody waits for ever, as nobody gives back', [got(1, 1, 1, 2), waits(2, 3)]],
  ])('%s', (_, operations, beginning) => {
    expect(judge(operations, beginning)).toBe('linearisable');
  });
});

describe('is refused', () => {
  test.each<[string, Operation[], Partial<History>?]>([
    ['two borrowers at once', [got(1, 1, 1, 2), got(2, 1, 3, 4)]],
    ['two borrowers at once, though one gives back later', [got(1, 1, 1, 2), got(2, 1, 3, 4), gave(1, 1, 5, 6)]],
    ['something that was never made', [got(1, 9, 1, 2)]],
    ['more than there is room for', [got(1, 1, 1, 2), got(2, 9, 3, 4)], { idle: [1], empty: 0 }],
    ['what was destroyed', [got(1, 1, 1, 2), destroyed(1, 1, 3, 4), got(2, 1, 5, 6)]],
    ['given back by somebody who has it no more', [got(1, 1, 1, 2), gave(1, 1, 3, 4), gave(1, 1, 5, 6)]],
    [
      'who joined later is served first',
      [got(1, 1, 1, 2), later(2, 1, 3, 4, 13), later(3, 1, 5, 6, 9), gave(1, 1, 7, 8), gave(3, 1, 10, 11)],
    ],
    [
      'a sleeper that was seen in line is passed',
      [got(1, 1, 1, 2), got(2, 1, 3, 4, 13), got(3, 1, 5, 9), gave(1, 1, 7, 8), gave(3, 1, 10, 11)],
    ],
    ['a try passes the line', [got(1, 1, 1, 2), later(2, 1, 3, 4, 13), tried(3, 1, 5, 9), gave(1, 1, 7, 8), gave(3, 1, 10, 11)]],
    ['a release is lost: somebody waits beside it', [got(1, 1, 1, 2), waits(2, 3), gave(1, 1, 5, 6)]],
    [
      'a release is lost: who waits as long as it takes is told that its time is over',
      [got(1, 1, 1, 2), timedOut(2, 0, 3, 9), gave(1, 1, 5, 6)],
    ],
    ['a place is lost: somebody waits beside it', [waits(2, 3)], { idle: [], empty: 1 }],
    ['a try gets nothing, with something idle and nobody in line', [tried(1, null, 1, 2)]],
    ['a try gets nothing, after a release', [got(1, 1, 1, 2), gave(1, 1, 3, 4), tried(2, null, 5, 6)]],
    [
      'a try gets nothing, with one idle at every instant',
      [tried(1, null, 3, 10), got(2, 1, 1, 2), gave(2, 1, 4, 5), got(2, 2, 6, 7)],
      { idle: [1, 2] },
    ],
    ['a try gets nothing, with room for one more', [tried(1, null, 1, 2)], { idle: [], empty: 1 }],
    [
      'a try gets nothing, with enough for everybody in line',
      [got(1, 1, 1, 2), got(1, 2, 3, 4), later(2, 1, 5, 6, 13), gave(1, 1, 7, 8), gave(1, 2, 9, 10), tried(3, null, 11, 12)],
      { idle: [1, 2] },
    ],
    ['the owner destroys, and the place is not empty', [later(0, 1, 1, 2), destroyed(0, 1, 3, 4), tried(2, null, 5, 6)]],
    ['a sleeper takes what was meant for another thread', takenOver(4)],
    ['aborted, and what it was granted stays away', [got(1, 1, 1, 2), aborted(2, 3, 4, 7), gave(1, 1, 5, 6), tried(3, null, 8, 9)]],
  ])('%s', (_, operations, beginning) => {
    expect(judge(operations, beginning)).toBe('refused');
  });
});

test('what is too much to decide is not decided', () => {
  // Twelve at once, for one.
  const crowd = Array.from({ length: 12 }, (_, thread) => [
    got(thread, 1, thread + 1, 100 + thread),
    gave(thread, 1, 200 + thread, 300 + thread),
  ]);
  expect(judge(crowd.flat(), {}, 500)).toBe('unknown');
});
