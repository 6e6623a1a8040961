/** The mutants fit the source: `npm run mutate` makes them. */
import { expect, test } from 'vitest';
import { mutants } from './mutants.ts';
import { planted } from './planted.ts';
import { edited, readFiles } from './source.ts';

const all = [...mutants, ...planted];

test('the code of every mutant stands exactly once, and is changed', () => {
  for (const { name, edits } of all) {
    let files = readFiles();
    for (const edit of edits) {
      const { file, text } = edited(files, edit, name);
      expect(text, name).not.toBe(files.get(file));
      files = new Map(files).set(file, text);
    }
  }
});

test('every mutant has a name of its own', () => {
  const names = all.map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
