// How many schedules there are can be counted by hand where threads never wait.
import { describe, exhaustive, expect, explore, random, replay, scenario, test } from './testing.ts';

/** Each thread does so many operations, all on one word. */
const counting = (name: string, lengths: readonly number[]) =>
  scenario(import.meta.url, name, {
    setup: () => ({ word: new Int32Array(new SharedArrayBuffer(4)) }),
    threads: Object.fromEntries(
      lengths.map((length, thread) => [
        'abc'[thread],
        ({ shared }: { shared: { word: Int32Array } }) => {
          for (let i = 0; i < length; i++) Atomics.add(shared.word, 0, 1);
        },
      ]),
    ),
    after: ({ shared, assert }) => assert(shared.word[0] === lengths.reduce((a, b) => a + b), 'an operation was lost'),
  });

const two = counting('two threads of two', [2, 2]);
const three = counting('three threads of ten', [10, 10, 10]);

/** A counter that reads and writes instead of adding: loses one if somebody comes in between. */
const loses = scenario(import.meta.url, 'a counter that loses', {
  setup: () => ({ word: new Int32Array(new SharedArrayBuffer(4)) }),
  threads: Object.fromEntries(
    ['a', 'b', 'c'].map((name) => [
      name,
      ({ shared }: { shared: { word: Int32Array } }) => {
        const before = Atomics.load(shared.word, 0);
        Atomics.store(shared.word, 0, before + 1);
      },
    ]),
  ),
  after: ({ shared, assert }) => assert(shared.word[0] > 1, 'two of three were lost'),
});

describe('counts', () => {
  // aabb bbaa, then abba baab, then abab baba: all C(4, 2).
  test.each([
    [0, 2],
    [1, 4],
    [2, 6],
    [9, 6],
  ])('two threads of two operations, %i preemptions: %i schedules', async (preemptions, schedules) => {
    const explored = await explore(two, exhaustive({ preemptions }));
    expect(explored).toMatchObject({ schedules, distinct: schedules, complete: true, failure: undefined });
  });

  // No preemption: 3! orders. One: cut a thread in two (9 places, 3 threads), AABC in any order with the halves apart (6).
  // Two: one thread in three, C(9, 2) * 3 * 2 orders of AAABC; or two threads in two, 9 * 9 * 3 * 12 orders of AABBC.
  test('three threads of ten, two preemptions', async () => {
    const explored = await explore(three, exhaustive({ preemptions: 2 }));
    const schedules = 6 + 9 * 3 * 6 + (36 * 3 * 2 + 81 * 3 * 12);
    expect(explored).toMatchObject({ schedules, distinct: schedules, complete: true, failure: undefined });
  });

  test('one in four of them', async () => {
    const whole = await explore(three, exhaustive({ preemptions: 1 }));
    const part = await explore(three, exhaustive({ preemptions: 1, oneIn: 4 }));
    expect(part).toMatchObject({ distinct: part.schedules, complete: true, failure: undefined });
    expect(part.schedules / whole.schedules).toBeGreaterThan(0.15);
    expect(part.schedules / whole.schedules).toBeLessThan(0.35);
  });
});

describe('replay', () => {
  test('by seed and by schedule, to the letter', async () => {
    const { failure } = await explore(loses, random({ schedules: 5000, seed: 11 }));
    expect(failure?.message).toBe('two of three were lost');
    const bySeed = await explore(loses, random({ schedules: 1, seed: failure?.seed ?? 0 }));
    expect(bySeed.failure?.trace).toBe(failure?.trace);
    expect(bySeed.failure?.schedule).toBe(failure?.schedule);
    const bySchedule = await replay(loses, failure?.schedule ?? '');
    expect(bySchedule.trace).toBe(failure?.trace);
  });
});
