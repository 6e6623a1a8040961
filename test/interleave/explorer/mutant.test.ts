import { edited, madeVisible } from './mutant.ts';
import { breaks, describe, exhaustive, expect, mutant, scenario, test } from './testing.ts';

const loads = scenario(import.meta.url, 'loads the slots', {
  code: (load) => load('shared/slot.ts'),
  setup: () => ({ words: new Int32Array(new SharedArrayBuffer(4)) }),
  threads: { a: ({ shared }) => void Atomics.load(shared.words, 0) },
});

const edit = (find: string) => ({ file: 'shared/slot.ts', find, replace: 'x' });

describe('mutants', () => {
  test('an edit that fits once is made', () => {
    expect(edited('a b c', edit('b'), 'm')).toBe('a x c');
  });

  test.each([
    ['nowhere', 'd', 0],
    ['twice', 'a', 2],
  ])('text that stands %s says which mutant, where, and what', (_, find, times) => {
    expect(() => edited('a b a', edit(find), 'the mutant')).toThrow(
      `"the mutant" does not fit any more: its text stands ${times} times in src/shared/slot.ts, not once. Look for what became of:\n${find}`,
    );
  });

  test('an exploration with such a mutant fails, and does not count as caught', async () => {
    await expect(breaks(loads, exhaustive(), mutant('gone', 'shared/slot.ts', 'no such text', ''))).rejects.toThrow('"gone" does not fit');
  });

  test('a mutant that does not load fails, and the next one runs', async () => {
    const broken = mutant('broken', 'shared/slot.ts', 'export const EMPTY = 0;', 'export const EMPTY = ;');
    await expect(breaks(loads, exhaustive(), broken)).rejects.toThrow();
    await expect(breaks(loads, exhaustive())).rejects.toThrow('not found in 1 schedules');
  });

  test('plain accesses become operations', () => {
    expect(madeVisible('x = this.#words[a + 1];')).toBe('x = Atomics.load(this.#words, a + 1);');
    expect(madeVisible('x = this.words[a + 1];')).toBe('x = Atomics.load(this.words, a + 1);');
    expect(madeVisible('this.#words[a] = b;')).toBe('Atomics.store(this.#words, a, b);');
    expect(madeVisible('const n = ++this.#words[a];')).toBe('const n = Atomics.store(this.#words, a, Atomics.load(this.#words, a) + 1);');
  });
});
