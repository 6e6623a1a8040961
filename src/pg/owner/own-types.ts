/** Types for which this thread's program has parsers of its own: a borrower that parses its rows itself has these parsed here. */
import type { CustomTypesConfig } from 'pg';
import type { Backend } from '../driver/backend.ts';
import { driverHere } from '../driver/driver-here.ts';
import { isOwnParser, usualTypes } from '../driver/left-as-text.ts';
import { RAW } from '../messages/mode.ts';
import type { Answer } from '../messages/protocol.ts';
import type { SentResult } from '../messages/results.ts';

type Column = readonly [oid: number, texts: readonly (string | null)[]];

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

  parse(columns: readonly Column[]): unknown[][] {
    return columns.map(([oid, texts]) => {
      const parser = this.#parsers.getTypeParser(oid, 'text') as (text: string) => unknown;
      return texts.map((text) => (text === null ? null : parser(text)));
    });
  }
}
