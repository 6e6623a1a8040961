/** On the owner: which columns leave it as the server's text. The asker's thread then makes of them what pg would. */
import { createRequire } from 'node:module';
import type { Client, CustomTypesConfig } from 'pg';
import { PARSERS } from '../messages/parsers.ts';

type Parser = (text: string) => unknown;

const asItCame: Parser = (text) => text;

/**
 * pg's own parsers. A registered parser that is none of them is the user's. If they cannot be found, everything is parsed on the owner,
 * which is slower and gives the same values; a warning says so once.
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

/** What the driver does with the text of a type that it does not know. */
const UNKNOWN = 0x7fff_ffff;

/** Types that columns often have and the driver leaves as text: text, varchar, bpchar, name, numeric, uuid, unknown. */
const OFTEN = [25, 1043, 1042, 19, 1700, 2950, 705];

/** Types for which programs register parsers. */
export const usualTypes = (): readonly number[] => [...defaults().keys(), ...OFTEN];

/** True if the program has registered a parser for that type, where these parsers come from. */
export function isOwnParser(oid: number, parsers: CustomTypesConfig, driver: CustomTypesConfig): boolean {
  const known = defaults();
  return known.size > 0 && parsers.getTypeParser(oid, 'text') !== (known.get(oid) ?? driver.getTypeParser(UNKNOWN as never, 'text'));
}

/** The parsers for one query: those of its connection, except for the columns that are left as text. */
export class LeftAsText implements CustomTypesConfig {
  readonly #client: Client;
  /** By type, decided once for this query, because the user may register a parser while rows come in. */
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
