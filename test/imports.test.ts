/**
 * Who may import whom. src/shared is what all threads share and knows neither side; src/main and src/worker know src/shared and not each
 * other, so that a worker never loads the owner's code. Any further folder stands on the public entry points alone, and on leaves. No
 * packages, no cycles, and only index.ts re-exports.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const src = fileURLToPath(new URL('../src/', import.meta.url));
const CORE = ['shared', 'main', 'worker'];
/** shared/index.ts is no entry point of the package: it is what the other folders use of the inside. */
const ENTRIES = ['main/index.ts', 'worker/index.ts', 'shared/index.ts', 'observe/index.ts'];
/** Pure functions and data that every folder may use: they import each other and Node at most. */
const LEAVES = [
  'shared/options/option-names.ts',
  'shared/options/foreign-options.ts',
  'shared/options/company.ts',
  'shared/observing/knots.ts',
  'shared/observing/observed.ts',
  'shared/observing/running-jobs.ts',
  'shared/observing/tracing.ts',
];
/** What a further folder exports: to the owner, and to the other threads. */
const WING_ENTRIES = ['main.ts', 'worker.ts'];

interface Import {
  /** Path from src. */
  readonly from: string;
  /** As it is written. */
  readonly specifier: string;
  /** Path from src; undefined for what is not a file of ours. */
  readonly to: string | undefined;
  readonly isReExport: boolean;
  /** Gone when it runs. */
  readonly isType: boolean;
}

/** Whatever a file imports or re-exports, types included. Comments do not count; what they hold is blanked out first. */
function importsOf(from: string, text: string): Import[] {
  const code = text.replaceAll(/\/\*.*?\*\/|(?<=^|\s)\/\/[^\n]*/gs, (comment) => comment.replaceAll(/[^\n]/g, ' '));
  const found: Import[] = [];
  const add = (specifier: string, isReExport: boolean, isType = false): void => {
    const to = specifier.startsWith('.') ? posix.normalize(posix.join(posix.dirname(from), specifier)) : undefined;
    found.push({ from, specifier, to, isReExport, isType });
  };
  for (const [, keyword, type, specifier] of code.matchAll(/^(import|export)\b(\s+type\b)?(?:[^;'"]*?\bfrom)?\s*['"]([^'"]+)['"]/gm))
    add(specifier, keyword === 'export', type !== undefined);
  // import('...'), as an expression or as a type, and require.
  for (const [, type, specifier] of code.matchAll(/\b(typeof\s+)?(?:import|require)\(\s*['"]([^'"]+)['"]/g))
    add(specifier, false, type !== undefined);
  return found;
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.ts'))
  .sort();
const imports = files.flatMap((file) => importsOf(file, readFileSync(src + file, 'utf8')));
const folderOf = (file: string): string => file.split('/')[0];
const show = ({ from, specifier }: Import): string => `${from} imports ${specifier}`;

/** An empty list, or what is wrong, each in a line. */
const expectNone = (wrong: Import[]): void => expect(wrong.map(show)).toEqual([]);

test('there are files, and this test can read them', () => {
  expect(files.length).toBeGreaterThan(30);
  expect(imports.length).toBeGreaterThan(100);
  expect(
    importsOf(
      'main/a.ts',
      `import './side.ts';
import type {
  A,
} from '../shared/a.ts'; // import 'no'
/* import 'no'; */
export * from "./b.ts";
export type { C } from './c.ts';
type D = import('./d.ts').D;
export const e = 'from "no"';
const f = await import('./f.ts');`,
    ).map(({ to, isReExport }) => [to, isReExport]),
  ).toEqual([
    ['main/side.ts', false],
    ['shared/a.ts', false],
    ['main/b.ts', true],
    ['main/c.ts', true],
    ['main/d.ts', false],
    ['main/f.ts', false],
  ]);
});

test('relative imports name a file that is there, with its ending', () => {
  expectNone(imports.filter(({ to }) => to !== undefined && !files.includes(to)));
});

test('the core imports no packages, and builtins as node:', () => {
  const core = imports.filter(({ from }) => CORE.includes(folderOf(from)));
  expectNone(core.filter(({ to, specifier }) => to === undefined && !(specifier.startsWith('node:') && isBuiltin(specifier))));
});

test('shared knows neither main nor worker', () => {
  expectNone(imports.filter(({ from, to }) => folderOf(from) === 'shared' && to !== undefined && folderOf(to) !== 'shared'));
});

test.each(['main', 'worker'])('%s imports itself and shared', (folder) => {
  expectNone(imports.filter(({ from, to }) => folderOf(from) === folder && to !== undefined && ![folder, 'shared'].includes(folderOf(to))));
});

test('leaves import each other and Node at most', () =>
  expectNone(imports.filter(({ from, specifier, to }) => LEAVES.includes(from) && !isBuiltin(specifier) && !LEAVES.includes(to ?? ''))));

/** A thread that runs jobs attaches to pools of cenote/pg, where it is given one. */
const ACROSS = ['jobs/thread.ts -> pg/worker.ts'];

test('other folders import the entry points only, and leaves', () => {
  const others = imports.filter(({ from, to }) => !CORE.includes(folderOf(from)) && to !== undefined && folderOf(to) !== folderOf(from));
  expectNone(others.filter(({ from, to }) => ![...ENTRIES, ...LEAVES].includes(to!) && !ACROSS.includes(`${from} -> ${to}`)));
});

test('within another folder, nothing of the worker’s side meets the main side', () => {
  expectNone(
    imports.filter(({ from, to }) => {
      if (CORE.includes(folderOf(from)) || to === undefined) return false;
      const names = [posix.basename(from), posix.basename(to)];
      return names.includes('main.ts') && names.includes('worker.ts');
    }),
  );
});

test('the owner’s turn knows shared memory, and of the rest of its side only which hand-outs are probes', () => {
  const turn = imports.filter(({ from }) => from.startsWith('main/turn/'));
  expectNone(turn.filter(({ to }) => to === undefined || !/^(shared|main\/turn)\/|^main\/breaker\/probes\.ts$/.test(to)));
});

/** The layers of src/shared, the lowest first: each imports those before it, and no other. A file of no folder is below all of them. */
const LAYERS = ['.', 'words', 'observing', 'lending', 'waiting', 'options', 'wire', 'pool'];
const layerOf = (file: string): number => LAYERS.indexOf(posix.dirname(posix.relative('shared', file)));

test('inside shared, every folder is a layer, and no file imports one from a layer above its own', () => {
  // What the wings use of all layers.
  const shared = files.filter((file) => folderOf(file) === 'shared' && file !== 'shared/index.ts');
  expect(shared.filter((file) => layerOf(file) < 0)).toEqual([]);
  const within = imports.filter(({ from, to }) => shared.includes(from) && to !== undefined && folderOf(to) === 'shared');
  expect(within.some(({ from, to }) => layerOf(from) > layerOf(to!))).toBe(true);
  expectNone(within.filter(({ from, to }) => layerOf(from) < layerOf(to!)));
});

test('inside shared, each word has a file of its own that knows only the layout, Node, and the names of public types', () => {
  const words = ['slot', 'line', 'bell', 'state', 'counters', 'histogram'].map((name) => `shared/words/${name}.ts`);
  const mayBe = ({ to, isType }: Import): boolean =>
    to === 'shared/layout.ts' || to === 'shared/node.ts' || (to === 'shared/types.ts' && isType);
  expectNone(imports.filter((each) => words.includes(each.from) && !mayBe(each)));
  for (const file of ['shared/layout.ts', 'shared/node.ts'])
    expectNone(imports.filter(({ from, to }) => from === file && to !== undefined));
  expectNone(imports.filter(({ from, to }) => from === 'shared/clock.ts' && to !== 'shared/node.ts'));
});

test('there are no cycles, type imports included', () => {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) {
      cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
      return;
    }
    if (done.has(file)) return;
    for (const { from, to } of imports) if (from === file && to !== undefined) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(cycles).toEqual([]);
});

test('only index.ts re-exports, and the entries of further folders', () => {
  const mayReExport = (file: string): boolean =>
    posix.basename(file) === 'index.ts' || (!CORE.includes(folderOf(file)) && WING_ENTRIES.includes(posix.basename(file)));
  expectNone(imports.filter(({ from, isReExport }) => isReExport && !mayReExport(from)));
});

/**
 * The rooms of src/pg, the lowest first: each imports itself and those before it. `sql`, `messages` and `driver` run on every thread. The
 * owner's side runs on the thread that has the connections, the borrower's on each that borrows them, and neither knows the other.
 */
const ROOMS = ['types.ts', 'sql', 'messages', 'driver', 'owner', 'borrower', 'entries'];
/** Sides: no arrow goes from one of them to the other. */
const SIDES = ['owner', 'borrower'];
const roomOf = (file: string): string => {
  const [, room] = file.split('/');
  return WING_ENTRIES.includes(room) ? 'entries' : room;
};

test('inside pg, every file is in a room, and no file imports one from a room above its own', () => {
  expect(files.filter((file) => folderOf(file) === 'pg' && !ROOMS.includes(roomOf(file)))).toEqual([]);
  const within = imports.filter(({ from, to }) => folderOf(from) === 'pg' && to !== undefined && folderOf(to) === 'pg');
  expect(new Set(within.map(({ from }) => roomOf(from)))).toEqual(new Set(ROOMS.slice(2)).add('sql'));
  expectNone(within.filter(({ from, to }) => ROOMS.indexOf(roomOf(from)) < ROOMS.indexOf(roomOf(to!))));
  expectNone(within.filter(({ from, to }) => roomOf(from) !== roomOf(to!) && SIDES.includes(roomOf(from)) && SIDES.includes(roomOf(to!))));
});

test('inside pg, only the driver’s room loads pg, and touches what pg does not document', () => {
  const others = imports.filter(({ from }) => folderOf(from) === 'pg' && roomOf(from) !== 'driver');
  expectNone(others.filter(({ specifier, isType }) => !isType && /^pg(?:[-/]|$)/.test(specifier)));
  expectNone(others.filter(({ to }) => to === 'pg/driver/internals.ts'));
});

/** The one place where a worker loads a package: this thread's own driver, if it is installed. */
const DRIVER = { from: 'pg/driver/loading.ts', specifier: 'pg' };

test('a worker loads neither a package, but for its driver, nor the owner’s side: nothing that it reaches when it runs imports one', () => {
  const entries = files.filter((file) => !CORE.includes(folderOf(file)) && posix.basename(file) === 'worker.ts');
  expect(entries).toEqual(expect.arrayContaining(['pg/worker.ts', 'jobs/worker.ts']));
  // What a runner loads into its threads.
  entries.push('jobs/thread.ts');
  const reached = new Set(entries);
  for (const file of reached) for (const { from, to, isType } of imports) if (from === file && to !== undefined && !isType) reached.add(to);
  expect([...reached]).toContain('worker/index.ts');
  const isOwners = (file: string): boolean => folderOf(file) === 'main' || posix.basename(file) === 'main.ts' || roomOf(file) === 'owner';
  expect([...reached].filter(isOwners)).toEqual([]);
  expectNone(
    imports
      .filter(({ from, specifier, to, isType }) => reached.has(from) && to === undefined && !isType && !specifier.startsWith('node:'))
      .filter(({ from, specifier }) => from !== DRIVER.from || specifier !== DRIVER.specifier),
  );
});

test('nobody imports an index.ts from within its folder', () => {
  expectNone(imports.filter(({ from, to }) => to !== undefined && posix.basename(to) === 'index.ts' && folderOf(to) === folderOf(from)));
});
