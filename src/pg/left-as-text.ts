/** On the owner: which columns leave it as the server's text, as whoever asked makes of it what pg would. */
import { createRequire } from 'node:module';
import type { Client, CustomTypesConfig } from 'pg';
import { PARSERS } from './parsers.ts';

type Parser = (text: string) => unknown;

const asItCame: Parser = (text) => text;

/**
 * pg's own parsers, by which those are known that have been put in their place. None where they cannot be found: then everything is parsed
 * here, which is slower and comes to the same. That is said once.
 */
let found: ReadonlyMap<number, Parser> | undefined;
function defaults(): ReadonlyMap<number, Parser> {
  if (found !== undefined) return found;
  const parsers = new Map<number, Parser>();
  try {
    const driver = createRequire(createRequire(import.meta.url).resolve('pg'));
    driver('pg-types/lib/textParsers').init((oid: number, parser: Parser) => void parsers.set(oid, parser));
  } catch (error) {
    parsers.clear();
    const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
    process.emitWarning(
      `cenote/pg does not find the type parsers of this version of pg, so all values are parsed on the owner's thread, which costs it time (${reason})`,
      { type: 'CenoteWarning', code: 'CENOTE_PG_PARSERS' },
    );
  }
  return (found = parsers);
}

/** The parsers for one query: those of its connection, but for columns that are left as they are. */
export class LeftAsText implements CustomTypesConfig {
  readonly #client: Client;
  /** By type, once and for all of this query: somebody may register a parser while rows come in. */
  readonly #decided = new Map<number, boolean>();

  constructor(client: Client) {
    this.#client = client;
  }

  has(oid: number): boolean {
    return this.#decided.get(oid) === true;
  }

  getTypeParser(oid: number, format?: 'text' | 'binary'): any {
    const parser = this.#client.getTypeParser(oid, format as 'text');
    if (format === 'binary') return parser;
    let isLeft = this.#decided.get(oid);
    if (isLeft === undefined) {
      isLeft = PARSERS.has(oid) && defaults().get(oid) === parser;
      this.#decided.set(oid, isLeft);
    }
    return isLeft ? asItCame : parser;
  }
}
