/**
 * The reader of statements as plainly as it can be said: the whole text as a list of tokens, by a regular expression, and then rules over lists. Slow, and
 * with some of the words only. The one in src/pg must come to the same.
 */
import type { Reading } from '../../src/pg/sql/dirt.ts';

const CLEAN = 0;
const DOUBTFUL = 1;
const DIRTY = 2;
type Dirt = Reading['dirt'];

/** Comments, words, the beginnings of literals and quoted names, and every other sign by itself. What may be of any length or nested is treated apart. */
const TOKEN =
  /[ \t\n\v\f\r]+|--|\/\*|(?:[uU]&|[bBxXnNeE])?'|(?:[uU]&)?"|\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|\$\d+|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*|./gsy;

export function readPlainly(text: string): Reading {
  const tokens = tokensOf(text);
  if (tokens === undefined) return { dirt: DIRTY, isPreparable: false, isCopyIn: false, asksReadOnly: false };
  const statements = split(tokens);
  let dirt: Dirt = CLEAN;
  for (const statement of statements) dirt = Math.max(dirt, dirtOf(statement)) as Dirt;
  return {
    dirt,
    isPreparable: statements.length === 1 && ROWS.has(statements[0][0]),
    isCopyIn: statements[0]?.[0] === 'copy' && statements[0].includes('stdin'),
    asksReadOnly: statements.some((statement) => MODES.has(statement[0]) && asksReadOnly(statement)),
  };
}

/** In lower case, without comments and spaces. A literal is ', a quoted name is " (but for one). Undefined: not to be understood. */
function tokensOf(text: string): string[] | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const token = TOKEN.exec(text)![0];
    const last = token.at(-1)!;
    if (/^[ \t\n\v\f\r]/.test(token)) continue;
    const from = TOKEN.lastIndex;
    let end = from;
    if (token === '/*') end = endOfComment(text, from);
    else if (token === '--') end = endOfLine(text, from);
    else if (last === "'" || last === '"') {
      end = endOfQuoted(text, from, last, /^e/i.test(token));
      // Builders quote every name, and this one is looked for.
      tokens.push(text.slice(from - 1, end) === '"pg_settings"' ? 'pg_settings' : last);
    } else if (token.length > 1 && last === '$' && token[0] === '$') {
      end = text.indexOf(token, from) + token.length;
      if (end < from + token.length) return undefined;
      tokens.push("'");
    } else tokens.push(token.toLowerCase());
    if (end < 0) return undefined;
    TOKEN.lastIndex = end;
  }
  return tokens;
}

function endOfLine(text: string, from: number): number {
  const end = text.slice(from).search(/[\n\r]/);
  return end < 0 ? text.length : from + end;
}

/** Past the quote that is neither doubled nor, in an E string, escaped. A loop, as a literal may be too long for a regular expression. */
function endOfQuoted(text: string, from: number, quote: string, isEscaped: boolean): number {
  const edge = isEscaped ? /[\\']/g : undefined;
  for (let at = from; ; ) {
    if (edge === undefined) at = text.indexOf(quote, at);
    else {
      edge.lastIndex = at;
      at = edge.exec(text)?.index ?? -1;
    }
    if (at < 0) return -1;
    if (text[at] !== '\\' && text[at + 1] !== quote) return at + 1;
    at += 2;
  }
}

function endOfComment(text: string, from: number): number {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = from;
  for (let depth = 1; ; ) {
    const found = edge.exec(text);
    if (found === null) return -1;
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
  }
}

function split(tokens: readonly string[]): string[][] {
  const statements: string[][] = [[]];
  for (const token of tokens) {
    if (token === ';') statements.push([]);
    else statements.at(-1)!.push(token);
  }
  return statements.filter((statement) => statement.length > 0);
}

const asksReadOnly = (statement: readonly string[]): boolean =>
  statement.some((token, i) => token === 'only' && statement[i - 1] === 'read');

const words = (list: string): ReadonlySet<string> => new Set(list.split(/\s+/).filter(Boolean));

const LOCAL = words('local transaction constraints');
const TEMPORARY = words('temp temporary local global');
const ROWS = words('select insert update delete with values merge table');
/** Known to leave nothing, whatever follows: what they change ends with the transaction, or is no state of the session. */
const HARMLESS = words('begin start commit end abort rollback savepoint release show notify lock truncate fetch move');

const MODES = words('begin start set');

/** They change the database rather than the session, but may run code on the way. */
const RARE = words('explain alter drop comment grant revoke analyze vacuum reindex cluster refresh checkpoint import security copy');

function dirtOf(statement: readonly string[]): Dirt {
  const first = statement.find((token) => token !== '(')!;
  if (HARMLESS.has(first)) return CLEAN;
  if (ROWS.has(first)) return dirtOfRows(statement);
  if (first === 'set') return LOCAL.has(statement[1]) && statement[2] !== '.' ? CLEAN : DIRTY;
  if (first === 'create') return isTemporary(statement) ? DIRTY : DOUBTFUL;
  return RARE.has(first) ? DOUBTFUL : DIRTY;
}

/** Said by a word, past OR REPLACE, or by the schema. */
const isTemporary = (statement: readonly string[]): boolean =>
  TEMPORARY.has((statement[1] === 'or' ? statement[3] : statement[1]) ?? '') || statement.includes('pg_temp');

function dirtOfRows(statement: readonly string[]): Dirt {
  // A view, of which an UPDATE is a SET.
  if (statement.includes('pg_settings') && statement.includes('update')) return DIRTY;
  let dirt: Dirt = CLEAN;
  for (let i = 0; i < statement.length; i++) {
    const token = statement[i];
    if (token === 'into' && statement[i - 1] !== 'insert' && statement[i - 1] !== 'merge') return DIRTY;
    if (token !== '(' || i === 0) continue;
    const call = dirtOfCall(statement, i);
    if (call === DIRTY) return DIRTY;
    if (call > dirt) dirt = call;
  }
  return dirt;
}

/** What stands before a parenthesis: a function, or something else that takes one. */
function dirtOfCall(statement: readonly string[], at: number): Dirt {
  const name = statement[at - 1];
  const before = statement[at - 2];
  if (name !== '"' && !/^[a-z_\u0080-\uffff]/.test(name)) return CLEAN;
  if (before !== '.' && (KEYWORDS.has(name) || FOLLOWING.get(name)?.has(before))) return CLEAN;
  if (before === '.') {
    if (statement[at - 4] === '.' ? isTable(statement[at - 6]) : isTable(statement[at - 4])) return CLEAN;
    return statement[at - 3] === 'pg_catalog' ? dirtOfFunction(name, statement, at) : DOUBTFUL;
  }
  // insert into t (...), as t (...), generate_series(...) t (...), count(*) over (...), with t (...) as (...)
  if (isTable(before) || before === 'as' || (before === ')' && !isDistinctOn(statement, at - 2))) return CLEAN;
  // As the name of a table in a WITH it would be taken for a call.
  if (name !== 'set_config' && isCommonTable(statement, at)) return CLEAN;
  return name === '"' ? DOUBTFUL : dirtOfFunction(name, statement, at);
}

const isTable = (before: string | undefined): boolean => before === 'into';

/** `distinct on (...)`, after which calls come as after SELECT itself. */
function isDistinctOn(statement: readonly string[], end: number): boolean {
  let at = end;
  for (let depth = 1; depth > 0 && at > 0; ) {
    at--;
    if (statement[at] === ')') depth++;
    if (statement[at] === '(') depth--;
  }
  return statement[at - 1] === 'on' && statement[at - 2] === 'distinct';
}

/** `name (columns) as (`: a WITH. */
function isCommonTable(statement: readonly string[], at: number): boolean {
  const before = statement[at - 2];
  if (before !== 'with' && before !== 'recursive' && before !== ',') return false;
  const end = statement.indexOf(')', at);
  if (statement[end + 1] !== 'as') return false;
  const body = statement.indexOf('(', end);
  // f(...) AS (a int) is a call: those are columns, and no statement.
  return body > 0 && body <= end + 4 && (ROWS.has(statement[body + 1]) || statement[body + 1] === '(');
}

function dirtOfFunction(name: string, statement: readonly string[], at: number): Dirt {
  if (name === 'set_config') return isLocalSetting(statement, at) ? CLEAN : DIRTY;
  if (SESSION.has(name)) return DIRTY;
  return FUNCTIONS.has(name) ? CLEAN : DOUBTFUL;
}

/** set_config(a, b, true), which is SET LOCAL. */
function isLocalSetting(statement: readonly string[], at: number): boolean {
  let commas = 0;
  let end = at + 1;
  for (let depth = 1; end < statement.length; end++) {
    if (statement[end] === '(') depth++;
    if (statement[end] === ')' && --depth === 0) break;
    if (statement[end] === ',' && depth === 1) commas++;
  }
  return end < statement.length && commas === 2 && statement[end - 1] === 'true' && statement[end - 2] === ',';
}

/** These change the session, and are called for that. */
const SESSION = words(`set_config setseed pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
  dblink_connect dblink_connect_u`);

/** Words that a parenthesis may follow without a call, and types with a length. Most of them cannot be the name of a function. */
const KEYWORDS = words(`select from where and or not in any all some exists values as on using group having order limit offset
  union intersect except distinct case when then else end array row returning default do with window
  between like ilike join lateral left right fetch only for user collate
  numeric decimal varchar char character bpchar bit varbit time timestamp timestamptz timetz interval float grouping precision`);

/** Words that may be a function of somebody's as well: what is before them when they are none. */
const FOLLOWING: ReadonlyMap<string, ReadonlySet<string | undefined>> = new Map([
  ['by', words('group order partition')],
  ['set', words('update')],
  ['conflict', words('on')],
  ['insert', words('then')],
  ['materialized', words('as not')],
  ['sets', words('grouping')],
  ['rollup', words('by')],
  ['cube', words('by')],
  ['system', words('tablesample')],
  ['bernoulli', words('tablesample')],
  ['varying', words('character char bit')],
]);

const FUNCTIONS = words('upper max count coalesce now replace');
