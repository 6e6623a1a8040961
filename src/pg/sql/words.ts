/** The words of SQL that say something about what a statement leaves behind, each with a number, and how they are found in bytes. */

const numbers = new Map<string, number>();

/** The first number of a word. The lexer's other tokens have the numbers below. */
export const FIRST_WORD = 16;
/** More than all words and other tokens. */
export const WORDS = 1024;

function word(name: string): number {
  let number = numbers.get(name);
  if (number === undefined) {
    number = FIRST_WORD + numbers.size;
    numbers.set(name, number);
  }
  return number;
}

const words = (list: string): ReadonlySet<number> => new Set(list.split(/\s+/).filter(Boolean).map(word));

export const TEMPORARY = words('temp temporary local global');
export const ROWS = words('select insert update delete with values merge table');
/** These leave nothing, whatever follows: what they change ends with the transaction, or is no state of the session. */
export const HARMLESS = words('begin start commit end abort rollback savepoint release show notify lock truncate fetch move');
/** With these a transaction may be made read-only. */
export const MODES = words('begin start set');
/** They change the database rather than the session, but may run code on the way. */
export const RARE = words('explain alter drop comment grant revoke analyze vacuum reindex cluster refresh checkpoint import security copy');
/** SET ends with the transaction if one of these follows. */
export const LOCAL = words('local transaction constraints');

/** These functions change the session, and are called for that. */
const SESSION = words(`set_config setseed pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
  dblink_connect dblink_connect_u`);

/** Words that a parenthesis may follow without a call, and types with a length. Most of them cannot be the name of a function. */
const KEYWORDS = words(`select from where and or not in any all some exists values as on using group having order limit offset
  union intersect except distinct case when then else end array row returning default do with window
  between like ilike join lateral left right fetch only for user collate
  numeric decimal varchar char character bpchar bit varbit time timestamp timestamptz timetz interval float grouping precision`);

/** Words that may be a user's function as well, and the words before them when they are none. */
export const FOLLOWING: ReadonlyMap<number, ReadonlySet<number>> = new Map(
  (
    [
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
    ] as const
  ).map(([name, before]) => [word(name), before]),
);

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

// What a name may be before a parenthesis, as bits of one number for each word.
export const IS_KEYWORD = 1;
export const IS_FOLLOWING = 2;
export const IS_SESSION = 4;
export const IS_FUNCTION = 8;
export const traits = new Uint8Array(WORDS);
for (const number of KEYWORDS) traits[number] |= IS_KEYWORD;
for (const number of FOLLOWING.keys()) traits[number] |= IS_FOLLOWING;
for (const number of SESSION) traits[number] |= IS_SESSION;
for (const number of FUNCTIONS) traits[number] |= IS_FUNCTION;

export const [
  AS,
  COPY,
  CREATE,
  DISTINCT,
  INSERT,
  INTO,
  MERGE,
  ON,
  ONLY,
  OR,
  PG_CATALOG,
  PG_SETTINGS,
  PG_TEMP,
  READ,
  RECURSIVE,
  SET,
  SET_CONFIG,
  STDIN,
  TRUE,
  UPDATE,
  WITH,
] = [
  'as',
  'copy',
  'create',
  'distinct',
  'insert',
  'into',
  'merge',
  'on',
  'only',
  'or',
  'pg_catalog',
  'pg_settings',
  'pg_temp',
  'read',
  'recursive',
  'set',
  'set_config',
  'stdin',
  'true',
  'update',
  'with',
].map(word);

/**
 * The place of a word in the table: by its length, its first two bytes and its last two, whatever their case. Few unknown words have the
 * place of a known one, so most are known to be unknown by one look, and the bytes in between are not looked at.
 */
const placeOf = (bytes: Uint8Array, from: number, to: number): number => {
  const first = Math.imul(bytes[from] | 32, 613) + Math.imul(bytes[from + 1] | 32, 31);
  const last = Math.imul(bytes[to - 1] | 32, 97) + Math.imul(bytes[to - 2] | 32, 7);
  return (first + last + Math.imul(to - from, 389)) & (PLACES - 1);
};

/** Longer than every word in the lists, in bytes. */
export const LONGEST = 64;

// A table of all words. A word takes the next free place where its own is taken. The words' bytes stand one behind the other.
/** A power of two, and many times the number of words. */
const PLACES = 8192;
const placed = new Uint16Array(PLACES);
const letters = Buffer.from([...numbers.keys()].join(''));
const starts = new Uint16Array(FIRST_WORD + numbers.size + 1);
for (const [name, number] of numbers) {
  starts[number + 1] = starts[number] + name.length;
  const own = Buffer.from(name);
  let place = placeOf(own, 0, own.length);
  while (placed[place] !== 0) place = (place + 1) & (PLACES - 1);
  placed[place] = number;
}

/** The number of the word that these bytes are, in lower case by `lower`, or 0 if it is none of ours. No word of ours has one letter. */
export function wordAt(bytes: Uint8Array, from: number, to: number, lower: Uint8Array): number {
  if (to - from < 2) return 0;
  for (let place = placeOf(bytes, from, to); placed[place] !== 0; place = (place + 1) & (PLACES - 1)) {
    const number = placed[place];
    const start = starts[number];
    if (starts[number + 1] - start !== to - from) continue;
    let at = from;
    while (at < to && lower[bytes[at]] === letters[start + at - from]) at++;
    if (at === to) return number;
  }
  return 0;
}
