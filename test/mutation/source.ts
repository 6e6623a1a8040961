/**
 * The source by its syntax: where a function is, by its name, and code in it, by its shape. What is addressed so stays found when a file moves, when the formatter
 * breaks a line elsewhere, and when what the code uses is called something else.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Lang, parse, type SgNode } from '@ast-grep/napi';

export interface Edit {
  /** A function, class or constant of the core, by name: 'Slots.take' (a `#` is left out), 'keyOf'; 'line.nextRound', with its file, where several have that name. */
  readonly inside: string;
  /**
   * Code that stands exactly once in there, by its shape: $NAME stands for any piece of syntax, the same piece wherever it is repeated, $$$NAME for any number of
   * them (ast-grep's patterns).
   */
  readonly find: string;
  /** What stands there instead; $NAME is what it stood for. */
  readonly replace: string;
}

export interface Place {
  /** From src/. */
  readonly file: string;
  readonly node: SgNode;
}

const src = fileURLToPath(new URL('../../src/', import.meta.url));

/** A tree of source files: path from its root to text. */
export type Files = ReadonlyMap<string, string>;

export function readFiles(root = src): Map<string, string> {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).map((path) => path.replaceAll('\\', '/'));
  return new Map(paths.filter((path) => path.endsWith('.ts')).map((path) => [path, readFileSync(root + path, 'utf8')]));
}

/** Where faults are planted: the core, and what moves the words of a job and of a budget. */
const CORE =
  /^(shared|main|worker)\/|^jobs\/(part|runner-thread|seat)\.ts$|^budget\/words\.ts$|^pg\/messages\/custody\.ts$|^pg\/owner\/custodian\.ts$/;

/** Every function, class and constant at the top of a file of the core, and every member of a class: by name. */
export function placesOf(files: Files): Map<string, Place[]> {
  const places = new Map<string, Place[]>();
  for (const [file, text] of files) {
    if (!CORE.test(file)) continue;
    for (const [name, node] of namedIn(text))
      for (const called of name.includes('.') ? [name] : [name, `${basename(file, '.ts')}.${name}`])
        places.set(called, [...(places.get(called) ?? []), { file, node }]);
  }
  return places;
}

/** By text, as most files are the same for each mutant. */
const known = new Map<string, readonly (readonly [name: string, node: SgNode])[]>();

function namedIn(text: string): readonly (readonly [name: string, node: SgNode])[] {
  let named = known.get(text);
  if (named === undefined) {
    named = parse(Lang.TypeScript, text).root().children().flatMap(namesOf);
    known.set(text, named);
  }
  return named;
}

/** What a statement at the top of a file gives a name to. */
function namesOf(statement: SgNode): (readonly [name: string, node: SgNode])[] {
  const declaration = statement.kind() === 'export_statement' ? (statement.field('declaration') ?? statement) : statement;
  const name = declaration.field('name')?.text();
  if (name === undefined)
    return declaration
      .children()
      .filter((child) => child.kind() === 'variable_declarator')
      .map((constant) => [constant.field('name')!.text(), constant]);
  const members = declaration.field('body')?.children() ?? [];
  return [
    [name, declaration],
    // An overload has a signature only.
    ...members
      .filter((member) => member.field('name') !== null && member.kind() !== 'method_signature')
      .map((member) => [`${name}.${member.field('name')!.text().replace(/^#/, '')}`, member] as const),
  ];
}

/** The file and the text with the edit made. Throws unless there is one such place, and in it exactly one piece of such a shape. */
export function edited(files: Files, { inside, find, replace }: Edit, mutant: string): { file: string; text: string } {
  const misfit = (why: string): Error => new Error(`The mutant ${JSON.stringify(mutant)} does not fit any more: ${why}`);
  const found = placesOf(files).get(inside) ?? [];
  if (found.length !== 1) throw misfit(`${found.length} functions, classes or constants of the core are called ${inside}, not one`);
  const [{ file, node }] = found;
  const matches = node.findAll(find);
  if (matches.length !== 1)
    throw misfit(`its code stands ${matches.length} times in ${inside} (src/${file}), not once. Look for what became of:\n${find}`);
  const [match] = matches;
  const text = replace.replaceAll(/\$(\$\$)?([A-Z][A-Z0-9_]*)/g, (name, many: string | undefined, variable: string) => {
    if (many !== undefined)
      return match
        .getMultipleMatches(variable)
        .map((each) => each.text())
        .join('');
    const value = match.getMatch(variable);
    if (value === null) throw misfit(`${name} is in what replaces, and not in what is looked for: ${find}`);
    return value.text();
  });
  return {
    file,
    text: node
      .getRoot()
      .root()
      .commitEdits([match.replace(text)]),
  };
}
