/**
 * Columns of a result that are still the server's text: the owner's program has parsers for their types, and the asker's thread has none.
 */
import type { FieldDef } from 'pg';
import { asBuffers } from '../messages/bytes.ts';
import { receiveError } from '../messages/database-error.ts';
import type { TextColumn } from '../messages/own-columns.ts';
import type { Answer } from '../messages/protocol.ts';

/** Where the values of a column are. */
interface Place {
  readonly rows: any[];
  readonly key: string | number;
  /** Its number among the columns of the owner's types: see own-columns.ts. */
  readonly number: number;
}

export class TextColumns {
  readonly texts: TextColumn[] = [];
  readonly #places: Place[] = [];

  /** `own`: the types for which the owner's program has parsers; `left`: those that were left as text. Several results are an array. */
  constructor(result: unknown, own: readonly number[], left: ReadonlySet<number>) {
    if (left.size === 0) return;
    let numbers = 0;
    for (const { rows, fields } of [result].flat() as { rows: any[]; fields: FieldDef[] }[]) {
      const isArray = Array.isArray(rows[0]);
      for (const [index, { name, dataTypeID, format }] of fields.entries()) {
        if (!own.includes(dataTypeID) || format !== 'text') continue;
        const number = numbers++;
        // Of columns with one name the last is the one that a row has.
        const isShadowed = !isArray && fields.findLastIndex((field) => field.name === name) !== index;
        if (rows.length === 0 || isShadowed || !left.has(dataTypeID)) continue;
        const key = isArray ? index : name;
        this.#places.push({ rows, key, number });
        this.texts.push([dataTypeID, rows.map((row) => row[key])]);
      }
    }
  }

  /** What the owner's program has made of the texts. */
  fill(values: readonly (readonly unknown[])[]): void {
    for (const [at, { rows, key }] of this.#places.entries())
      for (const [index, row] of rows.entries()) row[key] = asBuffers(values[at][index]);
  }

  /** The same, from what came with the answer. Throws what one of the owner's parsers has thrown. */
  fillFrom(parsed: NonNullable<Answer['parsed']>): void {
    this.fill(
      this.#places.map(({ number }) => {
        const values = parsed[number];
        if ('length' in values) return values;
        throw receiveError(values);
      }),
    );
  }
}
