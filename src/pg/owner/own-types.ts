/** Types for which this thread's program has parsers of its own: a borrower that parses its rows itself has these parsed here. */
import type { CustomTypesConfig } from 'pg';
import type { Backend } from '../driver/backend.ts';
import { driverHere } from '../driver/driver-here.ts';
import { isOwnParser, usualTypes } from '../driver/left-as-text.ts';
import { sendError } from '../messages/database-error.ts';
import { unpacked } from '../messages/frames.ts';
import { PARSES, RAW } from '../messages/mode.ts';
import { columnsInBytes, columnsInResults, type TextColumn } from '../messages/own-columns.ts';
import type { Answer } from '../messages/protocol.ts';
import type { SentResult } from '../messages/results.ts';

export class OwnTypes {
  readonly #parsers: CustomTypesConfig;

  constructor({ client }: Backend) {
    this.#parsers = client as unknown as CustomTypesConfig;
  }

  has(oid: number): boolean {
    const driver = driverHere();
    return driver !== undefined && isOwnParser(oid, this.#parsers, driver.types as unknown as CustomTypesConfig);
  }

  /** Of the types that columns often have, those for which there are such parsers, and the rest. */
  usual(): { own: number[]; others: number[] } {
    const own: number[] = [];
    const others: number[] = [];
    for (const oid of usualTypes()) (this.has(oid) ? own : others).push(oid);
    return { own, others };
  }

  /** The results, and which types in them are of this kind, if the asker parses them itself. */
  in(mode: number, results: SentResult | readonly SentResult[]): Partial<Answer> {
    if ((mode & RAW) === 0) return { results };
    const types = new Set([results].flat().flatMap(({ fields }) => fields.map(([, , , oid]) => oid)));
    const own = [...types].filter((oid) => this.has(oid));
    return own.length === 0 ? { results } : { results, own };
  }

  parse(columns: readonly TextColumn[]): unknown[][] {
    return columns.map((column) => this.#parse(column));
  }

  #parse([oid, texts]: TextColumn): unknown[] {
    const parser = this.#parsers.getTypeParser(oid, 'text') as (text: string) => unknown;
    return texts.map((text) => (text === null ? null : parser(text)));
  }

  /** The same for an answer whose asker has the connection no more. The asker may need none of it, so a parser that fails does no harm. */
  parsed({ bytes, results, own }: Partial<Answer>, mode: number): Pick<Answer, 'parsed'> {
    if (own === undefined || (mode & PARSES) !== 0) return {};
    const types = new Set(own);
    const columns = bytes === undefined ? columnsInResults(results!, types) : columnsInBytes(unpacked(bytes), types);
    return {
      parsed: columns.map((column) => {
        try {
          return this.#parse(column);
        } catch (error) {
          return sendError(error);
        }
      }),
    };
  }
}
