/** Faults are found by what surrounds them and by their shape, not by their letters. */
import { describe, expect, test } from 'vitest';
import { madeVisible } from './mutant.ts';
import { edited } from './source.ts';

const files = new Map([
  [
    'shared/a.ts',
    'export class A {\n  #b(x: number): number {\n    return f(x) + g(x);\n  }\n}\nexport const c = (x: number): number => -x;\n',
  ],
  ['main/d.ts', 'export const c = 1;\n'],
]);
const fault = (inside: string, find: string, replace: string) => edited(files, { inside, find, replace }, 'the fault');

describe('an edit', () => {
  test('is made where its shape stands once, whatever things are called', () => {
    expect(fault('A.b', '$F($X) + $G($X)', '$G($X) - $F($X)')).toEqual({
      file: 'shared/a.ts',
      text: files.get('shared/a.ts')!.replace('f(x) + g(x)', 'g(x) - f(x)'),
    });
  });

  test('is made in the one of several functions with that name whose file is given', () => {
    expect(fault('a.c', '-$X', '$X').text).toContain('number => x;');
  });

  test.each([
    ['there is no such function', 'A.gone', 'f', '0 functions, classes or constants of the core are called A.gone, not one'],
    ['several functions have that name', 'c', 'f', '2 functions, classes or constants of the core are called c, not one'],
    [
      'its shape stands nowhere',
      'A.b',
      'h($X)',
      'its code stands 0 times in A.b (src/shared/a.ts), not once. Look for what became of:\nh($X)',
    ],
    ['its shape stands twice', 'A.b', '$ANY(x)', 'its code stands 2 times in A.b (src/shared/a.ts), not once'],
    ['it puts in what it did not look for', 'A.b', 'f($X)', '$Y is in what replaces, and not in what is looked for: f($X)'],
  ])('says which fault, where, and what, where %s', (_, inside, find, said) => {
    expect(() => fault(inside, find, '$Y')).toThrow(`The mutant "the fault" does not fit any more: ${said}`);
  });
});

test('plain accesses become operations', () => {
  expect(madeVisible('x = this.#words[a + 1];')).toBe('x = Atomics.load(this.#words, a + 1);');
  expect(madeVisible('x = this.words[a + 1];')).toBe('x = Atomics.load(this.words, a + 1);');
  expect(madeVisible('this.#words[a] = b;')).toBe('Atomics.store(this.#words, a, b);');
  expect(madeVisible('const n = ++this.#words[a];')).toBe('const n = Atomics.store(this.#words, a, Atomics.load(this.#words, a) + 1);');
});
