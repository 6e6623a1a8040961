// The explorer on a lock of three states (0 free, 1 held, 2 held and somebody may sleep), right and with planted bugs.
import { breaks, describe, exhaustive, expect, holds, random, replay, scenario, test } from './testing.ts';

interface Locks {
  lock: Int32Array;
  inside: Int32Array;
}

const LOCK_STATES = ['free', 'held', 'held, contended'];

const race = (name: string, lock: (words: Int32Array) => void, unlock: (words: Int32Array) => void, threads = 2) => {
  const body = ({ shared, step, assert }: { shared: Locks; step(): void; assert(ok: boolean, why: string): void }): void => {
    lock(shared.lock);
    shared.inside[0]++;
    step();
    assert(shared.inside[0] === 1, 'two threads are inside');
    shared.inside[0]--;
    unlock(shared.lock);
  };
  return scenario(import.meta.url, name, {
    setup: (): Locks => ({ lock: new Int32Array(new SharedArrayBuffer(4)), inside: new Int32Array(new SharedArrayBuffer(4)) }),
    threads: Object.fromEntries(['a', 'b', 'c'].slice(0, threads).map((thread) => [thread, body])),
    after: ({ shared, assert }) => assert(shared.lock[0] === 0, `the lock is left ${LOCK_STATES[shared.lock[0]]}`),
    words: ({ shared }) => [{ name: 'lock', view: shared.lock, index: 0, show: (value) => LOCK_STATES[value] }],
  });
};

function lock(words: Int32Array): void {
  if (Atomics.compareExchange(words, 0, 0, 1) === 0) return;
  while (Atomics.exchange(words, 0, 2) !== 0) Atomics.wait(words, 0, 2);
}

function unlock(words: Int32Array): void {
  if (Atomics.exchange(words, 0, 0) === 2) Atomics.notify(words, 0, 1);
}

const right = race('a mutex', lock, unlock);
const rightForThree = race('a mutex, three threads', lock, unlock, 3);

const looksThenTakes = race(
  'a mutex that looks, then takes',
  (words) => {
    while (Atomics.load(words, 0) !== 0);
    Atomics.store(words, 0, 1);
  },
  (words) => Atomics.store(words, 0, 0),
);

const wakesNobody = race('a mutex that wakes nobody', lock, (words) => Atomics.store(words, 0, 0));

/** Whoever is woken takes the lock as if nobody else slept: the third is never woken. */
const forgetsOthers = race(
  'a mutex that forgets the other sleeper',
  (words) => {
    while (Atomics.compareExchange(words, 0, 0, 1) !== 0) {
      Atomics.compareExchange(words, 0, 1, 2);
      Atomics.wait(words, 0, 2);
    }
  },
  unlock,
  3,
);

describe('a mutex', () => {
  test('holds under every schedule with two preemptions', async () => {
    const { complete } = await holds(right, exhaustive());
    expect(complete).toBe(true);
    await holds(rightForThree, exhaustive());
  });

  test('holds under random schedules', async () => {
    await holds(rightForThree, random({ schedules: 10000 }));
  });

  test.each([exhaustive(), random({ schedules: 1000 })])('bugs are found ($kind)', async (plan) => {
    expect((await breaks(looksThenTakes, plan)).message).toBe('two threads are inside');
    expect((await breaks(wakesNobody, plan)).kind).toBe('deadlock');
    const failure = await breaks(forgetsOthers, plan);
    expect(failure.kind).toBe('deadlock');
    const again = await replay(forgetsOthers, failure.schedule);
    expect(again.failure?.kind).toBe('deadlock');
    expect(again.trace).toBe(failure.trace);
  });
});
