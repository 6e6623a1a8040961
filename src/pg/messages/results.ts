/**
 * Results on their way. The values go row by row in one array, because to clone thousands of small arrays takes long. Buffers arrive as
 * Buffers.
 */
import type { CustomTypesConfig, FieldDef, QueryResult } from 'pg';
import { asBuffers, hasBuffer, withOwnBytes } from './bytes.ts';
import { asInterval, isInterval } from './interval.ts';
import { RAW, ROWS_AS_ARRAYS } from './mode.ts';
import { PARSERS } from './parsers.ts';

type SentField = readonly [
  name: string,
  tableID: number,
  columnID: number,
  dataTypeID: number,
  dataTypeSize: number,
  dataTypeModifier: number,
  format: string,
];

export interface SentResult {
  readonly command: string;
  readonly rowCount: number | null;
  readonly oid: number;
  readonly fields: readonly SentField[];
  /** How many rows there are. */
  readonly length: number;
  readonly values: readonly unknown[];
  /** The columns with a Buffer in them. */
  readonly bytes: readonly number[] | undefined;
  /** The columns that are still the server's text, to be parsed as pg does by default. */
  readonly texts: readonly number[] | undefined;
}

/** Knows of the types of a query which ones were left as text. */
export interface Unparsed {
  has(oid: number): boolean;
}

/** For a text with several statements pg gives an array. */
export function sendResults(
  results: QueryResult<unknown[]> | readonly QueryResult<unknown[]>[],
  unparsed?: Unparsed,
): SentResult | SentResult[] {
  return Array.isArray(results)
    ? results.map((result) => sendResult(result, unparsed))
    : sendResult(results as QueryResult<unknown[]>, unparsed);
}

export function sendResult({ command, rowCount, oid, fields, rows }: QueryResult<unknown[]>, unparsed?: Unparsed): SentResult {
  const bytes = columnsWithBytes(rows, fields.length);
  return {
    command,
    rowCount,
    oid,
    fields: fields.map((field) => [
      field.name,
      field.tableID,
      field.columnID,
      field.dataTypeID,
      field.dataTypeSize,
      field.dataTypeModifier,
      field.format,
    ]),
    length: rows.length,
    values: flat(rows, bytes),
    bytes,
    texts: unparsed && columnsOfText(fields, unparsed),
  };
}

function columnsOfText(fields: readonly FieldDef[], unparsed: Unparsed): number[] | undefined {
  let found: number[] | undefined;
  for (let column = 0; column < fields.length; column++) {
    const { format, dataTypeID } = fields[column];
    if (format === 'text' && unparsed.has(dataTypeID)) (found ??= []).push(column);
  }
  return found;
}

/** Grows the array one by one: to V8 an array of a given length has holes, even when it is full, and is cloned in the slow way. */
function flat(rows: readonly (readonly unknown[])[], bytes: readonly number[] | undefined): unknown[] {
  const values: unknown[] = [];
  for (const row of rows)
    for (let column = 0; column < row.length; column++) values.push(bytes?.includes(column) ? withOwnBytes(row[column]) : row[column]);
  return values;
}

function columnsWithBytes(rows: readonly (readonly unknown[])[], columns: number): number[] | undefined {
  let found: number[] | undefined;
  for (let column = 0; column < columns; column++)
    for (const row of rows)
      if (hasBuffer(row[column])) {
        (found ??= []).push(column);
        break;
      }
  return found;
}

/** The result as pg has it. `types`: the parsers for rows that came as the server's text. */
export function receiveResults(
  sent: SentResult | readonly SentResult[],
  mode: number,
  types: CustomTypesConfig | undefined,
): QueryResult<any> | QueryResult<any>[] {
  return Array.isArray(sent) ? sent.map((each) => receiveResult(each, mode, types)) : receiveResult(sent as SentResult, mode, types);
}

export function receiveResult(sent: SentResult, mode: number, types: CustomTypesConfig | undefined): QueryResult<any> {
  const fields = sent.fields.map(
    ([name, tableID, columnID, dataTypeID, dataTypeSize, dataTypeModifier, format]) =>
      ({ name, tableID, columnID, dataTypeID, dataTypeSize, dataTypeModifier, format }) as FieldDef,
  );
  const { command, rowCount, oid } = sent;
  const revive = fields.map((field, column) => revival(sent, field, column, (mode & RAW) === 0 ? undefined : types));
  const names = fields.map(({ name }) => name);
  return { command, rowCount, oid, rows: (mode & ROWS_AS_ARRAYS) === 0 ? objects(sent, names, revive) : arrays(sent, revive), fields };
}

/** Makes of a value of a column what pg makes of it. Undefined: the value is that already. */
type Revival = ((value: unknown) => unknown) | undefined;

function revival({ bytes, texts }: SentResult, field: FieldDef, column: number, types: CustomTypesConfig | undefined): Revival {
  const own: Revival = bytes?.includes(column) ? asBuffers : undefined;
  const { dataTypeID, format } = field;
  if (types === undefined && !texts?.includes(column)) return own ?? (isInterval(field) ? asInterval : undefined);
  const parse = (types === undefined ? PARSERS.get(dataTypeID) : types.getTypeParser(dataTypeID, format as 'text')) as (
    raw: unknown,
  ) => unknown;
  return (raw) => (raw === null ? null : parse(own === undefined ? raw : own(raw)));
}

function arrays({ length, values }: SentResult, revive: readonly Revival[]): unknown[][] {
  const rows: unknown[][] = [];
  for (let at = 0; rows.length < length; at += revive.length)
    rows.push(revive.map((each, column) => (each === undefined ? values[at + column] : each(values[at + column]))));
  return rows;
}

/** The blank row has the names already, so that even `__proto__` is a column like others. */
function objects({ length, values }: SentResult, names: readonly string[], revive: readonly Revival[]): Record<string, unknown>[] {
  const blank = Object.fromEntries(names.map((name) => [name, null]));
  const rows: Record<string, unknown>[] = [];
  let at = 0;
  while (rows.length < length) {
    const row: Record<string, unknown> = { ...blank };
    for (let column = 0; column < names.length; column++) {
      const each = revive[column];
      const value = values[at++];
      row[names[column]] = each === undefined ? value : each(value);
    }
    rows.push(row);
  }
  return rows;
}

export const withIntervals = (fields: readonly FieldDef[], row: readonly unknown[]): unknown[] =>
  row.map((value, column) => (isInterval(fields[column]) ? asInterval(value) : value));
