/** Mutants made: as text, and as a copy of dist/ to be run. */
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transformSync } from 'esbuild';
import { folderOfThisRun, withJs } from '../support/threads/compile.ts';
import { type Mutant, madeVisible } from './mutant.ts';
import { edited, placesOf, readFiles } from './source.ts';

/** The source in the folder `root` (it ends with a slash) with the mutant's edits made: the files that differ, by path from there. */
export function changes({ name, edits, visible = [] }: Mutant, root?: string): Map<string, string> {
  let files = readFiles(root);
  const changed = new Map<string, string>();
  const put = (file: string, text: string): void => {
    files = new Map(files).set(file, text);
    changed.set(file, text);
  };
  for (const edit of edits) {
    const { file, text } = edited(files, edit, name);
    put(file, text);
  }
  for (const file of new Set(visible.map((type) => placesOf(files).get(type)![0].file))) put(file, madeVisible(files.get(file)!));
  return changed;
}

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));

/** Where it is, and how to be rid of it. */
export interface Copy {
  readonly root: string;
  remove(): void;
}

/** A copy of dist/ with the edits made: threads load it several times as fast as TypeScript. */
export function copyOf(mutant: Mutant): Copy {
  const folder = folderOfThisRun();
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    cpSync(dist, join(folder, 'dist'), { recursive: true, filter: (path) => !/\.(ts|map)$/.test(path) });
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
    for (const [file, text] of changes(mutant)) {
      const { code } = transformSync(text, { loader: 'ts', format: 'esm', target: 'es2022' });
      writeFileSync(join(folder, 'dist', file.replace(/\.ts$/, '.js')), withJs(code));
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { root: `${pathToFileURL(join(folder, 'dist')).href}/`, remove };
}
