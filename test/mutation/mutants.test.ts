/** The mutants fit the source: `npm run mutate` makes them. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { edited } from '../interleave/explorer/mutant.ts';
import { mutants } from './mutants.ts';
import { planted } from './planted.ts';

const src = fileURLToPath(new URL('../../src/', import.meta.url));

test('the text of every mutant stands exactly once, and is changed', () => {
  for (const { name, edits } of [...mutants, ...planted])
    for (const edit of edits) {
      const text = readFileSync(src + edit.file, 'utf8');
      expect(edited(text, edit, name), name).not.toBe(text);
    }
});

test('every mutant has a name of its own', () => {
  const names = [...mutants, ...planted].map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
