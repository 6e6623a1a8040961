// A stack of two nodes with a plain head: pop reads the next node, and by its compare-exchange the head may be the same again, over another.
import { breaks, describe, exhaustive, expect, holds, scenario, test } from './testing.ts';

const EMPTY = 0xff;
const HEAD = 0;
const NEXT = 1;

/** The head carries a version in its upper bits, or not. */
const stack = (name: string, version: number) => {
  const pop = (words: Int32Array): number => {
    for (;;) {
      const head = Atomics.load(words, HEAD);
      const node = head & 0xff;
      if (node === EMPTY) return EMPTY;
      const next = Atomics.load(words, NEXT + node);
      if (Atomics.compareExchange(words, HEAD, head, next | ((head & ~0xff) + version)) === head) return node;
    }
  };
  const push = (words: Int32Array, node: number): void => {
    for (;;) {
      const head = Atomics.load(words, HEAD);
      Atomics.store(words, NEXT + node, head & 0xff);
      if (Atomics.compareExchange(words, HEAD, head, node | ((head & ~0xff) + version)) === head) return;
    }
  };
  return scenario(import.meta.url, name, {
    setup: () => {
      const words = new Int32Array(new SharedArrayBuffer(16));
      words.set([0, 1, EMPTY]);
      return { words, out: new Int32Array(new SharedArrayBuffer(8)) };
    },
    threads: {
      pops: ({ shared, assert }) => {
        const node = pop(shared.words);
        if (node !== EMPTY) assert(shared.out[node]++ === 0, `node ${node} is with two`);
      },
      // Keeps the second node, and puts the first one back.
      turns: ({ shared, assert }) => {
        const first = pop(shared.words);
        const second = pop(shared.words);
        if (second !== EMPTY) assert(shared.out[second]++ === 0, `node ${second} is with two`);
        if (first !== EMPTY) push(shared.words, first);
      },
    },
    after: ({ shared, assert }) => {
      for (let node = pop(shared.words); node !== EMPTY; node = pop(shared.words))
        assert(shared.out[node]++ === 0, `node ${node} is with two`);
    },
  });
};

const versioned = stack('a stack with versions', 0x100);
const plain = stack('a stack without versions', 0);

describe('ABA', () => {
  test('is found', async () => {
    expect((await breaks(plain, exhaustive())).message).toMatch(/with two/);
  });

  test('is not there with versions', async () => {
    expect((await holds(versioned, exhaustive({ preemptions: 3 }))).complete).toBe(true);
  });
});
