/**
 * Comments of the product, which the formatter leaves as they are: none is wider than the formatter's own lines, and each says which party it
 * speaks of (the waiter, the borrower, the owner, a thread), not "who".
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const { lineWidth } = JSON.parse(readFileSync(`${root}biome.json`, 'utf8')).formatter as { lineWidth: number };

const FOLDERS = readdirSync(`${root}src`).map((name) => `src/${name}`);
/** "Whose" is left: English has no other word for "of which". */
const NO_ROLE = /\b(who|whom|whoever|somebody|someone|nobody|no one|everybody|everyone|anybody|anyone)\b/i;

interface Line {
  /** With its file and number, to show. */
  readonly at: string;
  readonly text: string;
}

/** Lines that are comments and nothing else. Code beside a comment is kept within the width by the formatter. */
const commentsOf = (name: string, source: string): Line[] => {
  let isInside = false;
  return source.split('\n').flatMap((text, index) => {
    const isComment = isInside || /^\s*\/[/*]/.test(text);
    if (isComment && !/^\s*\/\//.test(text)) isInside = !text.includes('*/');
    return isComment ? [{ at: `${name}:${index + 1}: ${text.trim()}`, text }] : [];
  });
};

const isTooWide = ({ text }: Line): boolean => text.length > lineWidth;
const namesNoRole = ({ text }: Line): boolean => NO_ROLE.test(text);

const filesOf = (folder: string): string[] =>
  readdirSync(root + folder, { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.ts'))
    .sort();

test.each(FOLDERS)('comments of %s keep to the width of a line, and name the role', (folder) => {
  const comments = filesOf(folder).flatMap((name) => commentsOf(name, readFileSync(root + name, 'utf8')));
  expect(comments.length).toBeGreaterThan(0);
  expect(comments.filter(isTooWide).map(({ at }) => at)).toEqual([]);
  expect(comments.filter(namesNoRole).map(({ at }) => at)).toEqual([]);
});

test('the check sees what it is to see, and comments only', () => {
  const source = `/** Whoever has it. */
/**
 * ${'x'.repeat(lineWidth)}
 */
const nobody = 'who';
  // A waiter whose thread died.
  /* somebody
  everyone */ const anyone = 1;
`;
  const lines = commentsOf('a.ts', source);
  expect(lines.map(({ at }) => at.slice(0, 7).trim())).toEqual([
    'a.ts:1:',
    'a.ts:2:',
    'a.ts:3:',
    'a.ts:4:',
    'a.ts:6:',
    'a.ts:7:',
    'a.ts:8:',
  ]);
  expect(lines.filter(isTooWide)).toEqual([lines[2]]);
  expect(lines.filter(namesNoRole)).toEqual([lines[0], lines[5], lines[6]]);
});
