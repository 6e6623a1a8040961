// Bodies that are not just a function that ends: daemons, asynchronous ones, one that spins, one that never comes to an operation.
import { breaks, describe, exhaustive, expect, explore, holds, scenario, test } from './testing.ts';

const words = () => ({ words: new Int32Array(new SharedArrayBuffer(16)) });
const REQUEST = 0;
const ANSWER = 1;

const asks = ({ shared }: { shared: { words: Int32Array } }): void => {
  Atomics.add(shared.words, REQUEST, 1);
  Atomics.notify(shared.words, REQUEST);
  while (Atomics.load(shared.words, ANSWER) === 0) Atomics.wait(shared.words, ANSWER, 0);
};
const answers =
  (notifies: boolean) =>
  ({ shared }: { shared: { words: Int32Array } }) => {
    for (;;) {
      Atomics.wait(shared.words, REQUEST, 0);
      Atomics.store(shared.words, REQUEST, 0);
      Atomics.store(shared.words, ANSWER, 1);
      if (notifies) Atomics.notify(shared.words, ANSWER);
    }
  };
const served = scenario(import.meta.url, 'a daemon answers', { setup: words, threads: { asks }, daemons: { answers: answers(true) } });
const silent = scenario(import.meta.url, 'a daemon is silent', { setup: words, threads: { asks }, daemons: { answers: answers(false) } });

const asynchronous = (name: string, looksAgain: boolean) =>
  scenario(import.meta.url, name, {
    setup: words,
    threads: {
      waits: async ({ shared }) => {
        while (Atomics.load(shared.words, 0) === 0) {
          const wait = Atomics.waitAsync(shared.words, 0, looksAgain ? 0 : Atomics.load(shared.words, 0));
          if (wait.async) await wait.value;
        }
        await Promise.resolve();
        Atomics.store(shared.words, 1, 1);
      },
      says: ({ shared }) => {
        Atomics.store(shared.words, 0, 1);
        Atomics.notify(shared.words, 0);
      },
    },
    after: ({ shared, assert }) => assert(shared.words[1] === 1, 'its last lines were not run'),
  });
const waits = asynchronous('an async body', true);
const waitsLate = asynchronous('an async body that sleeps on what it should have seen', false);

const throws = scenario(import.meta.url, 'an async body that throws', {
  setup: words,
  threads: {
    a: async ({ shared }) => {
      Atomics.load(shared.words, 0);
      await Promise.resolve();
      throw new Error('as it should');
    },
  },
});

const spins = scenario(import.meta.url, 'one spins for ever', {
  setup: words,
  threads: {
    a: ({ shared }) => {
      while (Atomics.load(shared.words, 0) === 0);
    },
  },
});

const stuck = scenario(import.meta.url, 'one never comes to an operation', {
  setup: words,
  threads: {
    a: ({ shared }) => {
      Atomics.load(shared.words, 0);
      for (;;);
    },
  },
  stuckAfter: 2,
});

/** What `after` says counts, although the last thread to end is unwound: the daemon, when the others have ended. */
const leftWrong = (
  name: string,
  check: (assert: (condition: boolean, message: string) => void, fail: (message: string) => never) => void,
) =>
  scenario(import.meta.url, name, {
    setup: words,
    threads: { asks },
    daemons: { answers: answers(true) },
    after: ({ assert, fail }) => check(assert, fail),
  });
const asserts = leftWrong('after a daemon, an assertion does not hold', (assert) => assert(false, 'left wrong'));
const gives = leftWrong('after a daemon, something has failed', (_, fail) => fail('left wrong'));

describe('daemons', () => {
  test('are unwound, and what the check after them finds is a failure', async () => {
    for (const race of [asserts, gives])
      expect(await breaks(race, exhaustive())).toMatchObject({ kind: 'invariant', message: 'left wrong' });
  });

  test('serve, and need not end', async () => {
    expect((await holds(served, exhaustive())).complete).toBe(true);
  });

  test('that do not wake who waits are caught', async () => {
    expect((await breaks(silent, exhaustive())).kind).toBe('deadlock');
  });
});

describe('async bodies', () => {
  test('wait for waitAsync', async () => {
    expect((await holds(waits, exhaustive())).complete).toBe(true);
  });

  test('a lost wake-up is found', async () => {
    expect((await breaks(waitsLate, exhaustive())).kind).toBe('deadlock');
  });

  test('their errors are failures', async () => {
    expect(await breaks(throws, exhaustive())).toMatchObject({ kind: 'error', message: 'as it should' });
  });
});

describe('bodies that do not end', () => {
  test('with operations: a livelock', async () => {
    expect((await breaks(spins, exhaustive())).kind).toBe('livelock');
  });

  test('without any: stuck, and the next exploration has new threads', async () => {
    await expect(explore(stuck, exhaustive())).rejects.toThrow(/Stuck.*a\*1/);
    await holds(served, exhaustive({ preemptions: 0 }));
  });
});
