/** The documentation as the tests see it: snippets, tables, links. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Page {
  /** Path from the root of the project. */
  readonly path: string;
  readonly text: string;
}

export const pages: readonly Page[] = [...readdirSync(root), ...readdirSync(`${root}docs`).map((name) => `docs/${name}`)]
  .filter((path) => path.endsWith('.md'))
  .map((path) => ({ path, text: readFileSync(root + path, 'utf8') }));

export function page(path: string): Page {
  const found = pages.find((candidate) => candidate.path === path);
  if (found === undefined) throw new Error(`there is no ${path}`);
  return found;
}

export interface Fence {
  readonly language: string;
  /** `README.md:81`, for messages. */
  readonly where: string;
  readonly code: string;
}

export function fencesOf({ path, text }: Page): Fence[] {
  const fences: Fence[] = [];
  for (const match of text.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)) {
    const line = text.slice(0, match.index).split('\n').length;
    fences.push({ language: match[1].trim(), where: `${path}:${line}`, code: match[2] });
  }
  return fences;
}

/** The text outside of code blocks. */
export const proseOf = ({ text }: Page): string => text.replaceAll(/^```[^\n]*\n.*?^```$/gms, '');

/** The first table under a heading that has these columns, as rows by column. Throws when there is none. */
export function tableOf({ path, text }: Page, heading: string): Record<string, string>[] {
  const start = text.search(new RegExp(`^#+ ${heading}$`, 'm'));
  if (start < 0) throw new Error(`${path} has no heading ${JSON.stringify(heading)}`);
  const section = text.slice(start).split(/\n(?=#+ )/)[0];
  const lines = section
    .match(/(?:^\|.*\|\n?)+/m)?.[0]
    .trim()
    .split('\n');
  if (lines === undefined) throw new Error(`${path} has no table under ${JSON.stringify(heading)}`);
  const cells = (line: string) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim());
  const columns = cells(lines[0]);
  return lines.slice(2).map((line) => Object.fromEntries(cells(line).map((cell, index) => [columns[index], cell])));
}

/** `name` without its backticks. */
export const plain = (cell: string): string => cell.replaceAll('`', '');

/** What GitHub makes of a heading. */
export const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
