// Sleeping and waking as the explorer models them: a semaphore, a condition, timeouts.
import { breaks, describe, exhaustive, expect, holds, scenario, test } from './testing.ts';

const words = () => ({ words: new Int32Array(new SharedArrayBuffer(32)) });
type Words = ReturnType<typeof words>;
const PERMITS = 0;
const OUT = 1;

/** Two permits for three: at most two are inside. */
const semaphore = (name: string, take: (of: Int32Array) => void) => {
  const body = ({ shared: { words }, step, assert }: { shared: Words; step(): void; assert(ok: boolean, why: string): void }): void => {
    take(words);
    assert(++words[OUT] <= 2, 'a permit was given twice');
    step();
    words[OUT]--;
    Atomics.add(words, PERMITS, 1);
    Atomics.notify(words, PERMITS, 1);
  };
  return scenario(import.meta.url, name, {
    setup: () => {
      const shared = words();
      shared.words[PERMITS] = 2;
      return shared;
    },
    threads: { a: body, b: body, c: body },
  });
};

const right = semaphore('a semaphore', (of) => {
  for (;;) {
    const permits = Atomics.load(of, PERMITS);
    if (permits === 0) Atomics.wait(of, PERMITS, 0);
    else if (Atomics.compareExchange(of, PERMITS, permits, permits - 1) === permits) return;
  }
});
const grantsTwice = semaphore('a semaphore that grants twice', (of) => {
  for (;;) {
    const permits = Atomics.load(of, PERMITS);
    if (permits === 0) Atomics.wait(of, PERMITS, 0);
    else return void Atomics.store(of, PERMITS, permits - 1);
  }
});

/** One waits until the other has said so; a sequence number makes a notification that comes early count. */
const condition = (name: string, wait: (of: Int32Array) => void, timeouts: readonly string[] = []) =>
  scenario(import.meta.url, name, {
    setup: words,
    threads: {
      waits: ({ shared }) => wait(shared.words),
      says: ({ shared }) => {
        Atomics.store(shared.words, 1, 1);
        Atomics.add(shared.words, 0, 1);
        Atomics.notify(shared.words, 0);
      },
    },
    timeouts,
  });

const readsFirst = condition('a condition', (of) => {
  for (;;) {
    const sequence = Atomics.load(of, 0);
    if (Atomics.load(of, 1) === 1) return;
    Atomics.wait(of, 0, sequence);
  }
});
const readsLate = (of: Int32Array): void => {
  while (Atomics.load(of, 1) !== 1) Atomics.wait(of, 0, Atomics.load(of, 0), 10);
};
const late = condition('a condition that is looked at too early', readsLate);
const polled = condition('a condition that is polled', readsLate, ['waits']);

describe('a semaphore', () => {
  test('holds', async () => {
    expect((await holds(right, exhaustive())).complete).toBe(true);
  });

  test('that grants twice is caught', async () => {
    expect((await breaks(grantsTwice, exhaustive({ preemptions: 3 }))).message).toBe('a permit was given twice');
  });
});

describe('a condition', () => {
  test('holds', async () => {
    expect((await holds(readsFirst, exhaustive({ preemptions: 4 }))).complete).toBe(true);
  });

  test('a lost wake-up is a deadlock, unless timeouts are let in', async () => {
    expect((await breaks(late, exhaustive())).kind).toBe('deadlock');
    await holds(polled, exhaustive());
  });
});
