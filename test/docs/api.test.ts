/** The pages of the API are what `npm run docs` makes of the docstrings, and every export has one: it fails otherwise. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { root } from './markdown.ts';
import { folder } from './run.ts';

const api = `${root}docs/api/`;
const filesIn = (path: string): string[] => readdirSync(path).sort();

/** What `npm run docs` would write now. */
let fresh: string;
let said: string;

beforeAll(async () => {
  fresh = `${folder()}/api/`;
  said = await promisify(execFile)(process.execPath, [`${root}scripts/docs/generate.js`, fresh], { cwd: root }).then(
    ({ stdout, stderr }) => stdout + stderr,
    ({ stdout, stderr }) => `failed: ${stdout}${stderr}`,
  );
}, 600_000);

test('every export and every member of one has a docstring', () => expect(said).toBe(''));

describe('docs/api', () => {
  test('has a page for each entry point, and an index', () =>
    expect(filesIn(api)).toEqual([
      'README.md',
      'cenote.budget.md',
      'cenote.jobs.md',
      'cenote.jobs.worker.md',
      'cenote.md',
      'cenote.observe.md',
      'cenote.pg.md',
      'cenote.pg.worker.md',
      'cenote.worker.md',
    ]));

  test.each(filesIn(api))('%s is up to date (if not: npm run docs)', (file) => {
    expect(readFileSync(api + file, 'utf8')).toBe(readFileSync(fresh + file, 'utf8'));
  });

  test.each(filesIn(api))('the links of %s lead somewhere', (file) => {
    const lost = [...readFileSync(api + file, 'utf8').matchAll(/\]\(([^)\s#]*)(?:#([^)\s]+))?\)/g)].filter(([, path, anchor]) => {
      const target = path === '' ? file : path;
      return !filesIn(api).includes(target) || (anchor !== undefined && !anchorsIn(target).has(anchor));
    });
    expect(lost.map(([link]) => link)).toEqual([]);
  });
});

/** Each heading has one of its own, not that of its text. */
const anchorsIn = (file: string): Set<string> =>
  new Set([...readFileSync(api + file, 'utf8').matchAll(/<a id="([^"]+)">/g)].map((match) => match[1]));
