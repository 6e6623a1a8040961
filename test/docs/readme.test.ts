/** The README is a door, not a manual: short, with a picture, and with figures that stand on the pages about performance. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { summaries, summaryIn } from '../../scripts/figures.js';
import { page, pages, root } from './markdown.ts';

const { text } = page('README.md');

test('the README has at most 200 lines of at most 120 columns', () => {
  const lines = text.trimEnd().split('\n');
  expect(lines.length).toBeLessThanOrEqual(200);
  expect(lines.filter((line) => line.length > 120)).toEqual([]);
});

test('it says what Node says of postMessageToThread', () => {
  expect(text).toContain("Node's postMessageToThread is active development");
});

describe('figures', () => {
  const all = summaries();

  test.each(Object.keys(all))('the short table in %s is that of the full one (if not: npm run figures)', (path) => {
    expect(summaryIn(path)).toBe(all[path as keyof typeof all]);
  });

  test('the README has six, each page on performance ten', () => {
    const rows = (path: string): number =>
      summaryIn(path)
        .split('\n')
        .filter((line) => / {3}/.test(line) && !line.startsWith('$')).length;
    expect(rows('README.md')).toBe(6);
    for (const path of Object.keys(all).filter((each) => each !== 'README.md')) expect(rows(path), path).toBe(10);
  });
});

describe('the picture', () => {
  const files = [...text.matchAll(/(?:src|srcset)="([^"]+)"/g)].map((match) => match[1]);

  test('is there for light and for dark pages', () => {
    expect(files).toHaveLength(2);
    expect(files.filter((file) => !existsSync(root + file))).toEqual([]);
  });

  test('is the same for both, but for the colours', () => {
    const [dark, light] = files.map((file) => readFileSync(root + file, 'utf8').replaceAll(/#[\da-f]{6}/g, 'a colour'));
    expect(dark).toBe(light);
  });
});

test('every path that the pages name in the source or the tests exists', () => {
  const named = pages.flatMap((each) =>
    [...each.text.matchAll(/`((?:src|test|bench|scripts|examples)\/[\w./-]+)`/g)].map((match) => `${each.path}: ${match[1]}`),
  );
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((each) => !existsSync(root + each.split(': ')[1]))).toEqual([]);
});
