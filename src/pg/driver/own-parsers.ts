/** Type parsers that a program sets on one connection: they count for what is asked through it, and are gone with it. */
import type { CustomTypesConfig } from 'pg';

type Parser = (value: any) => unknown;

export class OwnParsers implements CustomTypesConfig {
  readonly #others: CustomTypesConfig;
  readonly #own = new Map<string, Parser>();

  /** `others`: for types that have no parser here. */
  constructor(others: CustomTypesConfig) {
    this.#others = others;
  }

  /** As in pg: the format may be left out, and is 'text' then. */
  setTypeParser(oid: number, format: 'text' | 'binary' | Parser, parser?: Parser): void {
    const [kind, parse] = typeof format === 'function' ? ['text', format] : [format, parser];
    if (typeof parse !== 'function') throw new TypeError(`a type parser must be a function, not ${String(parse)}`);
    this.#own.set(`${kind} ${oid}`, parse);
  }

  getTypeParser(oid: number, format: 'text' | 'binary' = 'text'): any {
    return this.#own.get(`${format} ${oid}`) ?? this.#others.getTypeParser(oid, format as 'text');
  }
}
