/** Names of options: one that there is not is refused, and the error says the nearest. Imports nothing, so that every folder may use it. */

export interface OptionNames {
  /** What takes the options, for the message: createPool. */
  readonly of: string;
  readonly options: readonly string[];
  /** Names that one might expect and that are no options here, each with the end of the sentence that says what to do. */
  readonly others?: Readonly<Record<string, string>>;
  /** Options of a later version. Refused even if the check is not strict: a limit that nothing keeps is worse than an error. */
  readonly later?: readonly string[];
  /** Values may be secrets, even under a misspelt name: numbers and booleans are then not shown, as texts never are. */
  readonly secret?: boolean;
}

/**
 * Throws TypeError for the first name in `options` that is no option. If not strict: only for wrong capitals, and for options of a later
 * version.
 * Names with the value undefined count as not given. Inherited options count, as reading them would find them; symbols do not.
 */
export function checkNames(options: object, names: OptionNames, strict = true): void {
  for (const name of namesIn(options)) {
    if (names.options.includes(name)) continue;
    const value = (options as Record<string, unknown>)[name];
    if (value === undefined) continue;
    const remedy = remedyFor(name, names, strict);
    if (remedy === undefined) continue;
    const given = names.secret !== true && (typeof value === 'number' || typeof value === 'boolean') ? ` (${value})` : '';
    throw new TypeError(`unknown option ${quoted(name)}${given} of ${names.of}${remedy}`);
  }
}

/** The same for a function of ours that takes a few options, or none: throws TypeError, too, for what is no object. */
export function checkFew(options: unknown, names: OptionNames): asserts options is object {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`${names.of} takes options like { ${names.options.join(', ')} }, not ${shown(options)}`);
  checkNames(options, names);
}

/** Enumerable names, own and inherited, but for what has been added to Object.prototype, of whatever realm. */
function* namesIn(options: object): Iterable<string> {
  for (let from: object | null = options; from !== null; ) {
    const next: object | null = Object.getPrototypeOf(from);
    if (next === null && from !== options) return;
    yield* Object.keys(from);
    from = next;
  }
}

function remedyFor(name: string, { options, others = {}, later = [] }: OptionNames, strict: boolean): string | undefined {
  if (later.includes(name)) return ': this version of cenote does not have it yet. Leave it out';
  const spelt = options.find((option) => option.toLowerCase() === name.toLowerCase());
  if (spelt !== undefined) return `: it is spelt ${spelt}`;
  if (!strict) return undefined;
  if (Object.hasOwn(others, name)) return `: ${others[name]}`;
  const nearest = nearestOf(name, [...options, ...Object.keys(others)]);
  if (nearest === undefined) return `: the options are ${options.join(', ')}`;
  return Object.hasOwn(others, nearest) ? `, nearly ${nearest}: ${others[nearest]}` : `: do you mean ${nearest}?`;
}

const quoted = (name: string): string => JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}...` : name);

const shown = (value: unknown): string =>
  typeof value === 'string' ? quoted(value) : typeof value === 'function' ? 'a function' : String(value);

/** Most changes between a name and what is taken for what was meant by it. */
const MOST_CHANGES = 3;

/** The candidate with the fewest changes from `name`, capitals aside: at most three, and a third of its letters. The first of several. */
export function nearestOf(name: string, candidates: readonly string[]): string | undefined {
  let nearest: string | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const most = Math.min(fewest - 1, MOST_CHANGES, Math.floor(candidate.length / 3));
    if (Math.abs(candidate.length - name.length) > most) continue;
    const changes = changesBetween(name.toLowerCase(), candidate.toLowerCase());
    if (changes <= most) [nearest, fewest] = [candidate, changes];
  }
  return nearest;
}

/** Letters to add, leave out, replace or swap with their neighbour (the optimal string alignment distance), row by row. */
function changesBetween(from: string, to: string): number {
  let before: number[] = [];
  let last: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    [before, last, row] = [last, row, [i]];
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1];
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
  }
  return row[to.length];
}
