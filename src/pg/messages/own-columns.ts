/**
 * Columns of types for which the owner's program has parsers, in what the server has answered: their texts, in the order of the results and
 * of the columns in them.
 */
import { SERVER } from './frames.ts';
import type { SentResult } from './results.ts';

/** The type of a column, and its values. */
export type TextColumn = readonly [oid: number, texts: readonly (string | null)[]];

type Column = [oid: number, texts: (string | null)[]];

/** In whole messages. */
export function columnsInBytes(bytes: Buffer, own: ReadonlySet<number>): TextColumn[] {
  const all: Column[] = [];
  let row: (Column | undefined)[] = [];
  for (let at = 0; at < bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
    if (bytes[at] === SERVER.rowDescription) {
      row = columnsOf(bytes, at + 5, own);
      for (const column of row) if (column !== undefined) all.push(column);
    } else if (bytes[at] === SERVER.dataRow) addRow(bytes, at + 7, row);
  }
  return all;
}

/** What a row description says. Undefined: a column of another type, or one that is no text. */
function columnsOf(bytes: Buffer, from: number, own: ReadonlySet<number>): (Column | undefined)[] {
  const columns: (Column | undefined)[] = [];
  let at = from + 2;
  for (let left = bytes.readUInt16BE(from); left > 0; left--) {
    at = bytes.indexOf(0, at) + 1;
    const oid = bytes.readUInt32BE(at + 6);
    columns.push(own.has(oid) && bytes.readUInt16BE(at + 16) === 0 ? [oid, []] : undefined);
    at += 18;
  }
  return columns;
}

function addRow(bytes: Buffer, from: number, row: readonly (Column | undefined)[]): void {
  let at = from;
  for (const column of row) {
    const length = bytes.readInt32BE(at);
    at += 4;
    column?.[1].push(length < 0 ? null : bytes.toString('utf8', at, at + length));
    if (length > 0) at += length;
  }
}

/** In results whose values are all the server's text. */
export function columnsInResults(sent: SentResult | readonly SentResult[], own: ReadonlySet<number>): TextColumn[] {
  return [sent].flat().flatMap(({ fields, values, length }) =>
    fields.flatMap(([, , , oid, , , format], column) => {
      if (!own.has(oid) || format !== 'text') return [];
      return [[oid, Array.from({ length }, (_, index) => values[index * fields.length + column] as string | null)] as const];
    }),
  );
}
