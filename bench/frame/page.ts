/** The page that has the figures: its one block of them, between two marks, is replaced as a whole. */
import { readFileSync, writeFileSync } from 'node:fs';

const BEGIN = '<!-- figures: written by npm run bench, with --into and the name of this page -->';
const END = '<!-- end of figures -->';

/** Throws if there is no such page, or no place for figures in it. */
export function checkPage(path: string): void {
  split(path);
}

export function putInto(path: string, figures: string): void {
  const [before, after] = split(path);
  writeFileSync(path, `${before}${BEGIN}\n\n\`\`\`text\n${figures}\n\`\`\`\n\n${END}${after}`);
}

function split(path: string): [before: string, after: string] {
  const text = readFileSync(path, 'utf8');
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END);
  if (from < 0 || to < from) throw new Error(`${path} has no place for figures: a line ${BEGIN}, and after it a line ${END}`);
  return [text.slice(0, from), text.slice(to + END.length)];
}
