/** The page that has the figures: its one block of them, between two marks, is replaced as a whole. */
import { readFileSync, writeFileSync } from 'node:fs';

export const END = '<!-- end of figures -->';
/** `command`: the benchmark whose figures they are. */
export const beginOf = (command: string): string => `<!-- figures: written by ${command}, with --into and the name of this page -->`;

/** Throws if there is no such page, or no place for figures in it. */
export function checkPage(path: string, command: string): void {
  split(path, command);
}

/** `figures`: Markdown. */
export function putInto(path: string, figures: string, command: string): void {
  const [before, after] = split(path, command);
  writeFileSync(path, `${before}${beginOf(command)}\n\n${figures}\n\n${END}${after}`);
}

function split(path: string, command: string): [before: string, after: string] {
  const text = readFileSync(path, 'utf8');
  const begin = beginOf(command);
  const from = text.indexOf(begin);
  const to = text.indexOf(END);
  if (from < 0 || to < from) throw new Error(`${path} has no place for figures: a line ${begin}, and after it a line ${END}`);
  return [text.slice(0, from), text.slice(to + END.length)];
}
