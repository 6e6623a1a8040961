/** Columns of a result that are still the server's text: the owner's program has parsers for their types, and the asker's thread has none. */
import type { FieldDef } from 'pg';
import { asBuffers } from '../messages/bytes.ts';

/** A column's type and its values, as the owner's program is given them. */
export type TextColumn = readonly [oid: number, texts: readonly (string | null)[]];

/** Where the values of a column are. */
interface Place {
  readonly rows: any[];
  readonly key: string | number;
}

export class TextColumns {
  readonly texts: TextColumn[] = [];
  readonly #places: Place[] = [];

  /** `left`: the types that were left as text. A result of several statements is an array. */
  constructor(result: unknown, left: ReadonlySet<number>) {
    if (left.size === 0) return;
    for (const { rows, fields } of [result].flat() as { rows: any[]; fields: FieldDef[] }[]) {
      if (rows.length === 0) continue;
      for (const [index, { name, dataTypeID, format }] of fields.entries()) {
        if (!left.has(dataTypeID) || format !== 'text') continue;
        const key = Array.isArray(rows[0]) ? index : name;
        this.#places.push({ rows, key });
        this.texts.push([dataTypeID, rows.map((row) => row[key])]);
      }
    }
  }

  /** What the owner's program has made of the texts. */
  fill(values: readonly (readonly unknown[])[]): void {
    for (const [at, { rows, key }] of this.#places.entries())
      for (const [index, row] of rows.entries()) row[key] = asBuffers(values[at][index]);
  }
}
