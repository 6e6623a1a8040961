import { breaks, describe, exhaustive, expect, holds, replay, scenario, test } from './testing.ts';

/** Three stores; a repair that sees all prefixes of them, and nothing of what `finally` writes. */
const stores = (name: string, most: number) =>
  scenario(import.meta.url, name, {
    setup: () => ({ words: new Int32Array(new SharedArrayBuffer(16)) }),
    threads: {
      victim: ({ shared }) => {
        try {
          for (let i = 0; i < 3; i++) Atomics.store(shared.words, i, 1);
        } finally {
          shared.words[3] = 1;
        }
      },
    },
    repair: ({ shared, victim, assert }) => {
      assert(victim === 'victim', victim);
      assert(shared.words[3] === 0, 'it wrote when it was dead');
      assert(shared.words[0] + shared.words[1] + shared.words[2] <= most, 'it got that far');
    },
  });

const all = stores('dies between any two', 3);
const two = stores('gets to its last store', 1);

const leaves = scenario(import.meta.url, 'dies with the lock', {
  setup: () => ({ words: new Int32Array(new SharedArrayBuffer(4)) }),
  threads: Object.fromEntries(
    ['a', 'b'].map((name) => [
      name,
      ({ shared }: { shared: { words: Int32Array } }) => {
        while (Atomics.compareExchange(shared.words, 0, 0, 1) !== 0) Atomics.wait(shared.words, 0, 1);
        Atomics.store(shared.words, 0, 0);
        Atomics.notify(shared.words, 0);
      },
    ]),
  ),
});

/** Dies before its second store, as the last to end: there is no repair. What it leaves is looked at all the same. */
const unrepaired = scenario(import.meta.url, 'dies, and nothing is repaired', {
  setup: () => ({ words: new Int32Array(new SharedArrayBuffer(8)) }),
  threads: {
    victim: ({ shared }) => {
      Atomics.store(shared.words, 0, 1);
      Atomics.store(shared.words, 1, 1);
    },
  },
  after: ({ shared, dead, assert }) => assert(shared.words[0] === shared.words[1], `half of it is there, dead: ${dead}`),
});

describe('death', () => {
  test('of the last thread to end does not hide what the check afterwards finds', async () => {
    await holds(unrepaired, exhaustive());
    expect(await breaks(unrepaired, exhaustive({ deaths: 1 }))).toMatchObject({
      kind: 'invariant',
      message: 'half of it is there, dead: victim',
    });
  });

  test('comes between any two operations, and nothing is written after it', async () => {
    // Before the second store, before the third, and not at all: to die before the first is not to begin.
    expect(await holds(all, exhaustive({ deaths: 1, oneIn: 1 }))).toMatchObject({ schedules: 3, complete: true });
    await breaks(two, exhaustive({ deaths: 1 }));
  });

  test('with a lock in hand is a deadlock, and can be replayed', async () => {
    await holds(leaves, exhaustive());
    const failure = await breaks(leaves, exhaustive({ deaths: 1 }));
    expect(failure.kind).toBe('deadlock');
    expect(failure.schedule).toMatch(/kill:/);
    expect((await replay(leaves, failure.schedule)).trace).toBe(failure.trace);
  });
});
