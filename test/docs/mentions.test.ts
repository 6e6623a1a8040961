/** What the documentation says of the code is there: files, folders, and names that only the code has. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { expect, test } from 'vitest';
import { type Page, pages, proseOf, root } from './markdown.ts';

const FOLDERS = ['src', 'test', 'bench', 'examples', 'scripts'];
const files = FOLDERS.flatMap((folder) =>
  readdirSync(root + folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(root.length)),
);

/** The pages for users, and those that stand beside the tests that they describe. The changelog speaks of what was. */
const all: readonly Page[] = [
  ...pages.filter(({ path }) => path !== 'CHANGELOG.md'),
  ...files.filter((path) => path.endsWith('.md')).map((path) => ({ path, text: readFileSync(root + path, 'utf8') })),
];

/** `src/main/index.ts`, `test/soak`, but nothing in the middle of another path. */
const PATH = /(?<![\w./-])(?:\.?\/)?((?:src|test|bench|examples|scripts|docs|\.ci)\/[\w./-]*\w)/g;
/** `parcel.ts` or `pool/pool-base.ts`, without the folders before it. */
const FILE = /(?<![\w./-])[\w-]+(?:\/[\w.-]+)*\.ts\b/g;
/** Names as only code has them: `SLOT_BEHALF`, `toIdle`, `Matching.match`. */
const NAME = /(?<![\w$.'"/:-])(?:[A-Z][A-Z\d]*(?:_[A-Z\d]+)+|[a-z]+[A-Z]\w*|[A-Z]\w+\.[a-z]\w*)(?![\w$/-])/g;

const found = ({ text }: Pick<Page, 'text'>, pattern: RegExp): string[] => [
  ...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? match[0])),
];

/** All words of the code without its comments, which may speak of what was. */
const words = new Set(
  files
    .filter((path) => /\.[jt]s$/.test(path))
    .flatMap(
      (path) =>
        readFileSync(root + path, 'utf8')
          .replaceAll(/^ *(?:\/?\*|\/\/).*$/gm, '')
          .match(/[\w$]+/g) ?? [],
    ),
);

test('there is something to look at', () => {
  expect(all.length).toBeGreaterThan(20);
  expect(all.flatMap((page) => found(page, PATH)).length).toBeGreaterThan(50);
  expect(found({ text: 'see `src/main/pool.ts`, (test/soak) and dist/src/x.ts' }, PATH)).toEqual(['src/main/pool.ts', 'test/soak']);
});

test.each(all)('$path names files and folders that exist', (page) => {
  expect(found(page, PATH).filter((path) => !existsSync(root + path))).toEqual([]);
});

test.each(all)('$path names files without their folders only if one is called that', (page) => {
  const isThere = (name: string): boolean => files.some((path) => path === name || path.endsWith(`/${name}`));
  const beside = (name: string): boolean => existsSync(`${root}${dirname(page.path)}/${name}`);
  const ownNames = new Set(page.text.match(/(?<=^\/\/ )[\w./-]+\.ts$/gm)?.map((name) => basename(name)));
  expect(found({ text: proseOf(page) }, FILE).filter((name) => !isThere(name) && !beside(name) && !ownNames.has(name))).toEqual([]);
});

test.each(
  all.filter(({ path }) =>
    /^docs\/(?:architecture|decisions|state-machines|pg-states|memory-layout|proof.*)\.md$|^CONTRIBUTING|^test\//.test(path),
  ),
)('$path names functions and words that the code has', (page) => {
  const names = [...proseOf(page).matchAll(/`([^`\n]+)`/g)].flatMap((match) => found({ text: match[1] }, NAME));
  expect(names.filter((name) => name.split('.').some((part) => !words.has(part)))).toEqual([]);
});

test('each folder of src, and each room of the core and of pg, has its line in CONTRIBUTING', () => {
  const contributing = readFileSync(`${root}CONTRIBUTING.md`, 'utf8');
  const foldersIn = (path: string): string[] =>
    readdirSync(root + path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  const rooms = ['src', 'src/shared', 'src/main', 'src/worker'].flatMap((path) => foldersIn(path).map((name) => `${path}/${name}`));
  const expected = [...rooms, ...foldersIn('src/pg')];
  expect(expected.length).toBeGreaterThan(20);
  expect(expected.filter((name) => !contributing.includes(`\n| \`${name}\` |`))).toEqual([]);
});
