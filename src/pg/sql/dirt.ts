/**
 * What a statement may leave behind in its session, as far as its text tells. It errs on the side of dirt: only what is known to leave
 * nothing is clean.
 *
 * Some things no text tells: triggers, views, operators, defaults and policies may call functions that change the session, and so may `t.f`
 * for a table t. `reset: 'always'` is for those.
 */

import { BROKEN, CLOSE, COMMA, END, isName, Lexer, OPEN, POINT, QUOTED, SEMICOLON } from './lexer.ts';
import {
  AS,
  COPY,
  CREATE,
  DISTINCT,
  FOLLOWING,
  HARMLESS,
  INSERT,
  INTO,
  IS_FOLLOWING,
  IS_FUNCTION,
  IS_KEYWORD,
  IS_SESSION,
  LOCAL,
  MERGE,
  MODES,
  ON,
  ONLY,
  OR,
  PG_CATALOG,
  PG_SETTINGS,
  PG_TEMP,
  RARE,
  READ,
  RECURSIVE,
  ROWS,
  SET,
  SET_CONFIG,
  STDIN,
  TEMPORARY,
  TRUE,
  traits,
  UPDATE,
  WITH,
} from './words.ts';

/** The statement leaves nothing. */
export const CLEAN = 0;
/** The statement may leave something: it calls a function that is not known, or is of a rare kind. */
export const DOUBTFUL = 1;
/** The statement leaves something on purpose: SET, LISTEN, a temp table, an advisory lock ... */
export const DIRTY = 2;
export type Dirt = typeof CLEAN | typeof DOUBTFUL | typeof DIRTY;

export interface Reading {
  readonly dirt: Dirt;
  /** It is one statement that reads or writes rows, and so worth a prepared statement. */
  readonly isPreparable: boolean;
  /** It begins with COPY ... FROM STDIN: the server would wait for rows. */
  readonly isCopyIn: boolean;
  /** It is BEGIN, START TRANSACTION or SET, with READ ONLY. */
  readonly asksReadOnly: boolean;
}

/** Reads the text of a query. Remembers what it has read, because programs say the same things again and again. */
export function readStatement(text: string): Reading {
  const memory = text.length <= LONG ? short : long;
  return memory.get(text) ?? memory.add(text, read(text));
}

/** The readings of those texts that were added last. */
class Memory {
  readonly #readings = new Map<string, Reading>();
  readonly #most: number;
  readonly #mostCharacters: number;
  #characters = 0;

  constructor(most: number, mostCharacters: number) {
    this.#most = most;
    this.#mostCharacters = mostCharacters;
  }

  get(text: string): Reading | undefined {
    return this.#readings.get(text);
  }

  add(text: string, reading: Reading): Reading {
    if (text.length > this.#mostCharacters) return reading;
    this.#readings.set(text, reading);
    this.#characters += text.length;
    for (const oldest of this.#readings.keys()) {
      if (this.#readings.size <= this.#most && this.#characters <= this.#mostCharacters) break;
      this.#readings.delete(oldest);
      this.#characters -= oldest.length;
    }
    return reading;
  }
}

const LONG = 10_000;
const short = new Memory(1000, 1000 * LONG);
/** Long texts have a memory of their own: texts with their values in them come only once, and must not displace what comes again. */
const LONGEST = 1_000_000;
const long = new Memory(100, LONGEST);

/** The reading of a text that cannot be understood. */
const ANYTHING: Reading = { dirt: DIRTY, isPreparable: false, isCopyIn: false, asksReadOnly: false };

function read(text: string): Reading {
  const lexer = new Lexer(text, LONGEST);
  let dirt: Dirt = CLEAN;
  let count = 0;
  let isPreparable = false;
  let isCopyIn = false;
  let asksReadOnly = false;
  let isLast: boolean | undefined;
  const statement = new Statement(lexer);
  for (;;) {
    const token = lexer.next();
    if (lexer.isCut) return readInPart(Math.max(dirt, statement.dirt) as Dirt, count === 0 ? statement.isCopyIn : isCopyIn, asksReadOnly);
    if (token === BROKEN) return ANYTHING;
    const isOver = token === END || token === SEMICOLON;
    if (isOver) statement.end();
    else statement.take(token);
    // What follows cannot make it dirtier. It only matters whether another statement follows.
    const isDirty = dirt === DIRTY || statement.dirt === DIRTY;
    const isClear = isDirty && !statement.isEmpty && (count > 0 || !ROWS.has(statement.first) || (isLast ??= !lexer.mayHaveMore()));
    if ((isOver || isClear) && !statement.isEmpty) {
      count++;
      dirt = Math.max(dirt, statement.dirt) as Dirt;
      asksReadOnly ||= statement.asksReadOnly;
      isPreparable = count === 1 && ROWS.has(statement.first);
      if (count === 1) isCopyIn = statement.isCopyIn;
    }
    if (isClear || token === END) return { dirt, isPreparable, isCopyIn, asksReadOnly };
    if (isOver) statement.begin();
    lexer.isEager = statement.isEager;
  }
}

/**
 * A text that is too long to be remembered would be read each time, which costs this thread several times as much as sending it. What it
 * may leave in the session is undone instead: beside the running of such a text, DISCARD ALL costs the server next to nothing.
 */
const readInPart = (dirt: Dirt, isCopyIn: boolean, asksReadOnly: boolean): Reading => ({
  dirt: dirt === CLEAN ? DOUBTFUL : dirt,
  isPreparable: false,
  isCopyIn,
  asksReadOnly,
});

// How a statement is read on. Its first word decides.
const NOT_BEGUN = 0;
const OF_ROWS = 1;
const OF_SETTING = 2;
const OF_CREATING = 3;
const OF_MODE = 4;
const OF_ANYTHING = 5;

/** No depths. */
const NONE: number[] = [];

/** A call of set_config: how deep its arguments stand, and the commas between them so far. */
interface Config {
  readonly depth: number;
  commas: number;
}

const NO_CONFIGS: Config[] = [];

// The parts of `name (columns) as [[not] materialized] (`, a table of a WITH: which part the reader has reached.
const NO_TABLE = 0;
const IN_COLUMNS = 1;
const BEFORE_AS = 2;
const BEFORE_BODY = 3;
const IN_BODY = 4;

/** One statement after the other, read token by token. */
class Statement {
  dirt: Dirt = CLEAN;
  asksReadOnly = false;
  /** The statement's first token. */
  first = END;
  readonly #lexer: Lexer;
  /** How many tokens the lexer had read before the statement. */
  #from = 0;
  #kind = NOT_BEGUN;
  #hasOr = false;
  #hasStdin = false;
  #hasSettings = false;
  #hasUpdate = false;
  #depth = 0;
  /** Depths of the open parentheses that stand after DISTINCT ON. */
  #distinct: number[] = NONE;
  /** The last parenthesis that closed one of those: which token of the lexer it was. */
  #distinctEnd = -1;
  /** The calls of set_config that are being read, the innermost last. */
  #configs: Config[] = NO_CONFIGS;
  #table = NO_TABLE;
  /** The dirt that counts if this turns out to be no table of a WITH. */
  #ifNoTable: Dirt = CLEAN;
  /** How many tokens may still come before the table's body. */
  #beforeBody = 0;

  constructor(lexer: Lexer) {
    this.#lexer = lexer;
  }

  /** The next statement begins with the next token. */
  begin(): void {
    this.dirt = CLEAN;
    this.asksReadOnly = false;
    this.first = END;
    this.#from = this.#lexer.count;
    this.#kind = NOT_BEGUN;
    this.#hasOr = false;
    this.#hasStdin = false;
    this.#hasSettings = false;
    this.#hasUpdate = false;
    this.#depth = 0;
    this.#distinct = NONE;
    this.#distinctEnd = -1;
    this.#configs = NO_CONFIGS;
    this.#table = NO_TABLE;
    this.#ifNoTable = CLEAN;
  }

  get isEmpty(): boolean {
    return this.first === END;
  }

  get isCopyIn(): boolean {
    return this.first === COPY && this.#hasStdin;
  }

  /** Each token may say something. In a statement of rows only some do, except within a WITH, a DISTINCT ON or a set_config. */
  get isEager(): boolean {
    if (this.#kind === OF_ROWS) return this.#table !== NO_TABLE || this.#distinct.length > 0 || this.#configs.length > 0;
    return this.#kind !== OF_ANYTHING;
  }

  /** How many tokens of the statement stand before the last one. */
  get #count(): number {
    return this.#lexer.count - 1 - this.#from;
  }

  /** Takes the lexer's last token. */
  take(token: number): void {
    if (this.#kind === OF_ROWS) this.#inRows(token);
    else if (this.#kind === NOT_BEGUN) this.#begin(token);
    else if (this.#kind === OF_SETTING) this.#inSetting(token);
    else if (this.#kind === OF_CREATING) this.#inCreating(token);
    else if (this.#kind === OF_MODE) this.#inMode(token);
    if (token === STDIN) this.#hasStdin = true;
  }

  end(): void {
    if (this.#table !== NO_TABLE) this.#noTable();
    if (this.#configs.length > 0) this.#soil(DIRTY);
    if (this.isEmpty) return;
    if (this.#kind === NOT_BEGUN || (this.#kind === OF_SETTING && this.#count === 1)) this.dirt = DIRTY;
  }

  #soil(dirt: Dirt): void {
    if (dirt > this.dirt) this.dirt = dirt;
  }

  #begin(token: number): void {
    if (this.isEmpty) this.first = token;
    if (token === OPEN) return;
    if (ROWS.has(token)) {
      this.#kind = OF_ROWS;
      this.#inRows(token);
    } else if (token === SET && this.#count === 0) this.#kind = OF_SETTING;
    else if (MODES.has(token)) this.#kind = OF_MODE;
    else if (token === CREATE) this.#kind = OF_CREATING;
    else this.#kind = OF_ANYTHING;
    if (token === SET && this.#count > 0) this.#soil(DIRTY);
    else if (token === CREATE || RARE.has(token)) this.#soil(DOUBTFUL);
    else if (!ROWS.has(token) && !HARMLESS.has(token) && token !== SET) this.#soil(DIRTY);
  }

  #inSetting(token: number): void {
    if (this.#count === 1 && !LOCAL.has(token)) this.#soil(DIRTY);
    // It is the first part of a name.
    if (this.#count === 2 && token === POINT) this.#soil(DIRTY);
    this.#inMode(token);
  }

  #inMode(token: number): void {
    if (token === ONLY && this.#lexer.before(1) === READ) this.asksReadOnly = true;
  }

  /** A word says temporary, past OR REPLACE, or the schema does. */
  #inCreating(token: number): void {
    if (this.#count === 1 && token === OR) this.#hasOr = true;
    if (token === PG_TEMP || (TEMPORARY.has(token) && this.#count === (this.#hasOr ? 3 : 1))) this.#soil(DIRTY);
  }

  // ── rows

  #inRows(token: number): void {
    if (this.#table >= BEFORE_AS) this.#afterColumns(token);
    if (token === OPEN) {
      const last = this.#lexer.before(1);
      this.#depth++;
      if (last === ON && this.#lexer.before(2) === DISTINCT) this.#open();
      if (isName(last)) this.#call(last);
    } else if (token === CLOSE) {
      if (this.#distinct.length > 0 && this.#distinct.at(-1) === this.#depth) {
        this.#distinct.pop();
        this.#distinctEnd = this.#lexer.count;
      }
      if (this.#configs.at(-1)?.depth === this.#depth) this.#afterConfig();
      if (this.#depth > 0) this.#depth--;
      if (this.#table === IN_COLUMNS) this.#table = BEFORE_AS;
    } else if (token === COMMA) {
      const config = this.#configs.at(-1);
      if (config?.depth === this.#depth) config.commas++;
    } else if (token === INTO) {
      const last = this.#lexer.before(1);
      if (last !== INSERT && last !== MERGE) this.#soil(DIRTY);
    } else if (token === PG_SETTINGS || token === UPDATE) {
      // This is a view, and its UPDATE is a SET.
      if (token === UPDATE) this.#hasUpdate = true;
      else this.#hasSettings = true;
      if (this.#hasSettings && this.#hasUpdate) this.#soil(DIRTY);
    }
  }

  /** After DISTINCT ON. */
  #open(): void {
    if (this.#distinct === NONE) this.#distinct = [];
    this.#distinct.push(this.#depth);
  }

  /** Called at a parenthesis after a name: of a function, or of something else that takes one. */
  #call(name: number): void {
    const lexer = this.#lexer;
    const before = lexer.before(2);
    if (before === POINT) {
      if (lexer.before(lexer.before(4) === POINT ? 6 : 4) === INTO) return;
      if (lexer.before(3) !== PG_CATALOG) return this.#soil(DOUBTFUL);
      return name === SET_CONFIG ? this.#beginConfig() : this.#soil(dirtOfFunction(name));
    }
    const trait = traits[name];
    if ((trait & IS_KEYWORD) !== 0 || ((trait & IS_FOLLOWING) !== 0 && FOLLOWING.get(name)!.has(before))) return;
    // insert into t (...), as t (...), generate_series(...) t (...), count(*) over (...)
    if (before === INTO || before === AS || (before === CLOSE && this.#distinctEnd !== lexer.count - 2)) return;
    if (name === SET_CONFIG) return this.#beginConfig();
    const dirt = name === QUOTED ? DOUBTFUL : dirtOfFunction(name);
    if (dirt !== CLEAN && (before === WITH || before === RECURSIVE || before === COMMA) && this.#table <= IN_COLUMNS) {
      // In `with t (...) as (...)` the next token says whether this is a table.
      this.#table = IN_COLUMNS;
      if (dirt > this.#ifNoTable) this.#ifNoTable = dirt;
    } else this.#soil(dirt);
  }

  /** After `set_config(`. */
  #beginConfig(): void {
    if (this.#configs === NO_CONFIGS) this.#configs = [];
    this.#configs.push({ depth: this.#depth, commas: 0 });
  }

  /** Its last argument says whether it is SET, or SET LOCAL, which ends with the transaction. */
  #afterConfig(): void {
    const isLocal = this.#configs.pop()!.commas === 2 && this.#lexer.before(1) === TRUE && this.#lexer.before(2) === COMMA;
    if (!isLocal) this.#soil(DIRTY);
  }

  /** f(...) AS (a int) is a call: the parenthesis holds columns, and no statement. */
  #afterColumns(token: number): void {
    if (this.#table === BEFORE_AS) {
      if (token !== AS) return this.#noTable();
      this.#table = BEFORE_BODY;
      this.#beforeBody = 2;
    } else if (this.#table === BEFORE_BODY) {
      if (token === OPEN) this.#table = IN_BODY;
      else if (this.#beforeBody-- === 0) this.#noTable();
    } else if (ROWS.has(token) || token === OPEN) {
      this.#table = NO_TABLE;
      this.#ifNoTable = CLEAN;
    } else this.#noTable();
  }

  #noTable(): void {
    this.#soil(this.#ifNoTable);
    this.#table = NO_TABLE;
    this.#ifNoTable = CLEAN;
  }
}

function dirtOfFunction(name: number): Dirt {
  if ((traits[name] & IS_SESSION) !== 0) return DIRTY;
  return (traits[name] & IS_FUNCTION) !== 0 ? CLEAN : DOUBTFUL;
}
