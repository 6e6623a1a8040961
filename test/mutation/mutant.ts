// Known-bad variants: a copy of the source in which one thing is wrong. A method that does not find it finds nothing.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Edit, edited, placesOf, readFiles } from './source.ts';

export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** Classes in whose files plain accesses become operations (see `everyAccess`). */
  readonly visible?: readonly string[];
}

/** See `Edit` for what the other three are. */
export const mutant = (name: string, inside: string, find: string, replace: string): Mutant => ({
  name,
  edits: [{ inside, find, replace }],
});

/** Several wrongs at once, for what is guarded twice. */
export const together = (name: string, ...mutants: readonly Mutant[]): Mutant => ({ name, edits: mutants.flatMap(({ edits }) => edits) });

/**
 * Not a mutant, but the same code with every plain access to `this.#words` in the files of these classes made atomic, so that others may run before it.
 * What is shipped reads plainly where a compare-exchange confirms it, and the explorer sees no point there.
 */
export const everyAccess = (classes: readonly string[], of: Mutant = { name: '', edits: [] }): Mutant => ({
  name: of.name ? `${of.name}, every access` : 'every access',
  edits: of.edits,
  visible: classes,
});

const PLAIN = /(\+\+|--)?this\.(#?words)\[([^[\]]+)\](?: = ([^=][^;]*);)?/g;

/** `this.#words[i]` to `Atomics.load(this.#words, i)`, `this.#words[i] = v;` to a store, `++this.#words[i]`, or with `--`, to a load and a store. */
export function madeVisible(text: string): string {
  return text.replace(PLAIN, (_, increment: string | undefined, words: string, index: string, value: string | undefined) => {
    const load = `Atomics.load(this.${words}, ${index})`;
    if (increment !== undefined) return `Atomics.store(this.${words}, ${index}, ${load} ${increment[0]} 1)`;
    return value === undefined ? load : `Atomics.store(this.${words}, ${index}, ${value});`;
  });
}

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

const src = new URL('../../src/', import.meta.url);

/** A copy of src/ with the edits made: where it is, and how to be rid of it. */
export function copyOf(mutant: Mutant): { root: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'cenote-mutant-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    cpSync(fileURLToPath(src), join(folder, 'src'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
    for (const [file, text] of changes(mutant)) writeFileSync(join(folder, 'src', file), text);
  } catch (error) {
    remove();
    throw error;
  }
  return { root: `${pathToFileURL(join(folder, 'src')).href}/`, remove };
}
