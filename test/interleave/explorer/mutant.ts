// Known-bad variants: a copy of the source in which one thing is wrong. A method that does not find it finds nothing.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Base } from './messages.ts';

export interface Edit {
  /** Named as in src/: 'shared/line.ts'. */
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** Files in which plain accesses become operations (see `everyAccess`). */
  readonly visible?: readonly string[];
}

export const mutant = (name: string, file: string, find: string, replace: string): Mutant => ({ name, edits: [{ file, find, replace }] });

/** Several wrongs at once, for what is guarded twice. */
export const together = (name: string, ...mutants: readonly Mutant[]): Mutant => ({ name, edits: mutants.flatMap(({ edits }) => edits) });

/**
 * Not a mutant, but the same code with every plain access to `this.#words` in these files made atomic, so that others may run before it.
 * What is shipped reads plainly where a compare-exchange confirms it, and the explorer sees no point there.
 */
export const everyAccess = (files: readonly string[], of: Mutant = { name: '', edits: [] }): Mutant => ({
  name: of.name ? `${of.name}, every access` : 'every access',
  edits: of.edits,
  visible: files,
});

const PLAIN = /(\+\+)?this\.(#?words)\[([^[\]]+)\](?: = ([^=][^;]*);)?/g;

/** `this.#words[i]` to `Atomics.load(this.#words, i)`, `this.#words[i] = v;` to a store, `++this.#words[i]` to a load and a store. */
export function madeVisible(text: string): string {
  return text.replace(PLAIN, (_, increment: string | undefined, words: string, index: string, value: string | undefined) => {
    const load = `Atomics.load(this.${words}, ${index})`;
    if (increment !== undefined) return `Atomics.store(this.${words}, ${index}, ${load} + 1)`;
    return value === undefined ? load : `Atomics.store(this.${words}, ${index}, ${value});`;
  });
}

const root = new URL('../../../', import.meta.url);

/** What is shipped. CENOTE_INTERLEAVE_SOURCE=1 takes src/ itself, for when dist/ does not build. */
export const shipped: Base = process.env.CENOTE_INTERLEAVE_SOURCE
  ? { root: new URL('src/', root).href, extension: '.ts' }
  : { root: new URL('dist/', root).href, extension: '.js' };

/** The text with the edit made; throws unless `find` stands in it exactly once. */
export function edited(text: string, { file, find, replace }: Edit, name: string): string {
  const times = text.split(find).length - 1;
  if (times !== 1)
    throw new Error(
      `The mutant "${name}" does not fit any more: its text stands ${times} times in src/${file}, not once. Look for what became of:\n${find}`,
    );
  return text.replace(find, () => replace);
}

/** A copy of src/ with the edits made. */
export function baseOf({ name, edits, visible = [] }: Mutant): Base & { remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'cenote-mutant-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    cpSync(fileURLToPath(new URL('src/', root)), join(folder, 'src'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
    for (const edit of edits) {
      const path = join(folder, 'src', edit.file);
      writeFileSync(path, edited(readFileSync(path, 'utf8'), edit, name));
    }
    for (const file of visible) {
      const path = join(folder, 'src', file);
      writeFileSync(path, madeVisible(readFileSync(path, 'utf8')));
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { root: `${pathToFileURL(join(folder, 'src')).href}/`, extension: '.ts', remove };
}
