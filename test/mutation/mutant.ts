// Known-bad variants: a copy of the source in which one thing is wrong. A method that does not find it finds nothing.
import type { Edit } from './source.ts';

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
