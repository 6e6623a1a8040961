/**
 * What a statement may leave behind in its session, as far as its text tells. Errs on the side of dirt: only what is known to leave nothing is clean.
 *
 * What no text tells: triggers, views, operators, defaults and policies may call functions that change the session, and so may `t.f` for a table t. `reset: 'always'` is for those.
 */

/** Nothing. */
export const CLEAN = 0;
/** Perhaps something: a function that is not known, a statement of a rare kind. */
export const DOUBTFUL = 1;
/** Something, on purpose: SET, LISTEN, a temp table, an advisory lock ... */
export const DIRTY = 2;
export type Dirt = typeof CLEAN | typeof DOUBTFUL | typeof DIRTY;

export interface Reading {
  readonly dirt: Dirt;
  /** One statement that reads or writes rows: worth a prepared statement. */
  readonly isPreparable: boolean;
  /** COPY ... FROM STDIN: the server would wait for rows. */
  readonly isCopyIn: boolean;
  /** BEGIN, START TRANSACTION or SET, with READ ONLY. */
  readonly asksReadOnly: boolean;
}

/** Reads the text of a query. Remembers what it has read: programs say the same things again and again. */
export function readStatement(text: string): Reading {
  let reading = known.get(text);
  if (reading === undefined) {
    reading = read(text);
    if (known.size >= REMEMBERED) known.delete(known.keys().next().value!);
    if (text.length <= LONG) known.set(text, reading);
  }
  return reading;
}

const REMEMBERED = 1000;
const LONG = 10_000;
const known = new Map<string, Reading>();

/** Comments, words, the beginnings of literals and quoted names, and every other sign by itself. What may be of any length or nested is treated apart. */
const TOKEN =
  /\s+|--|\/\*|(?:[uU]&|[bBxXnNeE])?'|(?:[uU]&)?"|\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|\$\d+|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*|./gsy;

function read(text: string): Reading {
  const tokens = tokensOf(text);
  if (tokens === undefined) return { dirt: DIRTY, isPreparable: false, isCopyIn: false, asksReadOnly: false };
  const statements = split(tokens);
  let dirt: Dirt = CLEAN;
  for (const statement of statements) dirt = Math.max(dirt, dirtOf(statement)) as Dirt;
  return {
    dirt,
    isPreparable: statements.length === 1 && ROWS.has(statements[0][0]),
    isCopyIn: statements.some((statement) => statement[0] === 'copy' && statement.includes('stdin')),
    asksReadOnly: statements.some((statement) => MODES.has(statement[0]) && statement[statement.indexOf('read') + 1] === 'only'),
  };
}

/** In lower case, without comments and spaces. A literal is ', a quoted name is " (but for one). Undefined: not to be understood. */
function tokensOf(text: string): string[] | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const token = TOKEN.exec(text)![0];
    const last = token.at(-1)!;
    if (/^\s/.test(token)) continue;
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
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
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

const words = (list: string): ReadonlySet<string> => new Set(list.split(/\s+/).filter(Boolean));

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
  if (first === 'set') return statement[1] === 'local' || statement[1] === 'transaction' || statement[1] === 'constraints' ? CLEAN : DIRTY;
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
    return statement[at - 3] === 'pg_catalog' ? dirtOfFunction(name) : DOUBTFUL;
  }
  // insert into t (...), as t (...), generate_series(...) t (...), count(*) over (...), with t (...) as (...)
  if (isTable(before) || before === 'as' || (before === ')' && !isDistinctOn(statement, at - 2)) || isCommonTable(statement, at))
    return CLEAN;
  return name === '"' ? DOUBTFUL : dirtOfFunction(name);
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

function dirtOfFunction(name: string): Dirt {
  if (SESSION.has(name)) return DIRTY;
  return FUNCTIONS.has(name) ? CLEAN : DOUBTFUL;
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

/** Functions of the server that leave nothing in the session. */
const FUNCTIONS =
  words(`abs acos age any_value area array_agg array_append array_cat array_dims array_fill array_length array_lower array_ndims
  array_position array_positions array_prepend array_remove array_replace array_sample array_shuffle array_to_json array_to_string array_to_tsvector
  array_upper ascii asin atan atan2 avg bit_and bit_length bit_or bit_xor bool_and bool_or btrim cardinality cast cbrt ceil ceiling char_length
  character_length chr clock_timestamp coalesce col_description concat concat_ws convert convert_from convert_to corr cos cosh cot count covar_pop
  covar_samp cume_dist current_database current_schema current_schemas current_setting current_user currval date date_add date_bin date_part date_subtract
  date_trunc daterange decode degrees dense_rank div encode enum_first enum_last enum_range erf every exp extract factorial family first_value
  floor format format_type gcd gen_random_uuid generate_series generate_subscripts get_bit get_byte greatest has_column_privilege
  has_database_privilege has_schema_privilege has_table_privilege host hostmask inet_client_addr inet_server_addr initcap int4range int8range isempty
  isfinite json_agg json_array json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_each json_each_text
  json_extract_path json_extract_path_text json_object json_object_agg json_object_keys json_populate_record json_populate_recordset json_scalar
  json_strip_nulls json_to_record json_to_recordset json_typeof json_value json_query json_exists json_table jsonb_agg jsonb_array_elements
  jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path
  jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query
  jsonb_path_query_array jsonb_path_query_first jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
  jsonb_to_record jsonb_to_recordset jsonb_typeof justify_days justify_hours justify_interval lag last_value lastval lcm lead least length
  ln localtime localtimestamp log log10 lower lower_inc lower_inf lpad ltrim make_date make_interval make_time make_timestamp make_timestamptz
  masklen max md5 min min_scale mod mode multirange netmask network nextval now nth_value ntile nullif num_nonnulls num_nulls numnode numrange
  obj_description octet_length overlay percent_rank percentile_cont percentile_disc pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_backend_pid
  pg_cancel_backend pg_client_encoding pg_column_size pg_database_size pg_get_constraintdef pg_get_expr pg_get_functiondef pg_get_indexdef
  pg_get_serial_sequence pg_get_viewdef pg_indexes_size pg_is_in_recovery pg_notify pg_postmaster_start_time pg_relation_size pg_size_pretty pg_sleep
  pg_sleep_for pg_sleep_until pg_table_is_visible pg_table_size pg_terminate_backend pg_total_relation_size pg_try_advisory_xact_lock
  pg_try_advisory_xact_lock_shared pg_typeof phraseto_tsquery pi plainto_tsquery position power quote_ident quote_literal quote_nullable radians random
  random_normal range_agg range_merge rank regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
  regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope repeat replace reverse round row_number
  row_to_json rpad rtrim scale session_user set_bit set_byte set_masklen setval sha224 sha256 sha384 sha512 sign sin sinh split_part sqrt
  starts_with statement_timestamp stddev stddev_pop stddev_samp string_agg string_to_array string_to_table strip strpos substr substring sum tan tanh
  text timeofday to_ascii to_char to_date to_hex to_json to_jsonb to_number to_regclass to_regtype to_timestamp to_tsquery to_tsvector
  transaction_timestamp translate treat trim trim_array trim_scale trunc ts_headline ts_rank ts_rank_cd tsrange tstzrange txid_current txid_status
  pg_current_xact_id unistr unnest upper upper_inc upper_inf uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 var_pop var_samp variance
  version websearch_to_tsquery width_bucket xmlagg xmlelement xmlforest xpath`);
