/**
 * The statements that make a session what it is, as a list that is run again and again. A setting takes the place of an earlier one of the
 * same name, and what is said once more is kept once, at its last place. What may depend on what stands before it stays behind that.
 */
import { isDeepStrictEqual } from 'node:util';

export interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[] | undefined;
  /** It is prepared under that name. */
  readonly name?: string | undefined;
}

const NAME = String.raw`[a-z_][\w$]*(?:\.[a-z_][\w$]*)*`;
const END = String.raw`\s*;?\s*$`;
const SET = new RegExp(String.raw`^\s*set\s+(?:session\s+)?(?<name>${NAME})\s*(?:=|\sto\s)[^;]*${END}`, 'i');
const RESET = new RegExp(String.raw`^\s*reset\s+(?<name>${NAME})${END}`, 'i');
const CONFIG = new RegExp(
  String.raw`^\s*select\s+(?:pg_catalog\.)?set_config\s*\(\s*(?:'(?<name>[\w.]+)'|\$(?<number>\d+))\s*,\s*(?:'[^'\\]*'|\$\d+)\s*,\s*false\s*\)(?:\s+(?:as\s+)?\w+)?${END}`,
  'i',
);
/** What comes later may be allowed, or understood, by the value that they have had before; or it sets a part of them only. */
const SWAYING: ReadonlySet<string> = new Set([
  'role',
  'session_authorization',
  'default_text_search_config',
  'datestyle',
  'standard_conforming_strings',
  'backslash_quote',
  'all',
]);
/** It takes something back, perhaps, that an earlier statement has made. */
const UNDOES = /\b(?:deallocate|discard|unlisten|reset|close|drop)\b/i;

/** The setting that this statement sets, if that is all that it does. */
function settingOf({ text, values, name }: Statement): string | undefined {
  if (name !== undefined) return undefined;
  const { name: said, number } = (SET.exec(text) ?? RESET.exec(text) ?? CONFIG.exec(text))?.groups ?? {};
  const setting = said ?? (number === undefined ? undefined : values?.[Number(number) - 1]);
  if (typeof setting !== 'string') return undefined;
  const known = setting.toLowerCase();
  return SWAYING.has(known) ? undefined : known;
}

const isSame = (a: Statement, b: Statement): boolean =>
  a.text === b.text && a.name === b.name && isDeepStrictEqual(a.values ?? [], b.values ?? []);

/** The list with one statement more. */
export function withStatement<S extends Statement>(made: readonly S[], next: S): S[] {
  const kept = [...made, next];
  for (let at = made.length - 1; at >= 0; at--) {
    if (isSame(made[at], next)) kept.splice(at, 1);
    // Behind this one it may have another meaning.
    if (settingOf(made[at]) === undefined && UNDOES.test(made[at].text)) break;
  }
  // From the end: with nothing but settings behind it, the last of a name is all that counts.
  let names = new Set<string>();
  for (let at = kept.length - 1; at >= 0; at--) {
    const name = settingOf(kept[at]);
    if (name === undefined) names = new Set();
    else if (names.has(name)) kept.splice(at, 1);
    else names.add(name);
  }
  return kept;
}
