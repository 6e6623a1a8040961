/**
 * Rows of a submission that come as the server has said them, parsed where they were asked for; the columns for which only the owner's
 * program has parsers, by that.
 */
import type { CustomTypesConfig, FieldDef } from 'pg';
import { isOwnParser } from '../driver/left-as-text.ts';
import { asBuffers } from '../messages/bytes.ts';
import type { ServerMessage } from '../messages/protocol.ts';
import type { ParseByOwner } from './owners-parsers.ts';

interface Column {
  readonly oid: number;
  /** Undefined: it is the owner's. */
  readonly parse: ((raw: unknown) => unknown) | undefined;
}

export class RowParsing {
  readonly #types: CustomTypesConfig;
  readonly #drivers: CustomTypesConfig | undefined;
  #columns: Column[] = [];

  /** `types`: the parsers; `drivers`: those of this thread's driver, if its program's parsers are to come before those of the owner's. */
  constructor(types: CustomTypesConfig, drivers?: CustomTypesConfig) {
    this.#types = types;
    this.#drivers = drivers;
  }

  /** Puts the values into the rows among these messages. Throws what a parser throws. */
  async parse(said: readonly ServerMessage[], byOwner: ParseByOwner): Promise<void> {
    const left = new Map<number, unknown[][]>();
    for (const [event, body] of said) {
      if (event === 'rowDescription') {
        await this.#parseLeft(left, byOwner);
        this.#columns = this.#columnsOf(body as { fields: FieldDef[]; own: number[] });
      } else if (event === 'dataRow') this.#parseRow((body as { fields: unknown[] }).fields, left);
    }
    await this.#parseLeft(left, byOwner);
  }

  #columnsOf({ fields, own }: { fields: readonly FieldDef[]; own: readonly number[] }): Column[] {
    return fields.map(({ dataTypeID: oid, format }) => {
      const isLeft = this.#drivers !== undefined && format === 'text' && own.includes(oid) && !isOwnParser(oid, this.#types, this.#drivers);
      return { oid, parse: isLeft ? undefined : (this.#types.getTypeParser(oid, format as 'text') as (raw: unknown) => unknown) };
    });
  }

  #parseRow(row: unknown[], left: Map<number, unknown[][]>): void {
    for (const [index, { parse }] of this.#columns.entries()) {
      if (row[index] === null) continue;
      if (parse !== undefined) row[index] = parse(asBuffers(row[index]));
      else {
        const rows = left.get(index) ?? [];
        left.set(index, rows);
        rows.push(row);
      }
    }
  }

  /** By column, the rows whose values there are the owner's to parse. */
  async #parseLeft(left: Map<number, unknown[][]>, byOwner: ParseByOwner): Promise<void> {
    if (left.size === 0) return;
    const all = [...left];
    left.clear();
    const values = await byOwner(all.map(([index, rows]) => [this.#columns[index].oid, rows.map((row) => row[index] as string)]));
    for (const [at, [index, rows]] of all.entries()) for (const [number, row] of rows.entries()) row[index] = asBuffers(values[at][number]);
  }
}
