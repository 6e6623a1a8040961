/**
 * What a borrower has left in its session on purpose, and not undone yet: as long as there is something, it comes back for it, and the
 * connection is pinned. The texts of its statements say so, and their answers.
 *
 * This errs towards pins: what it does not understand counts until DISCARD ALL. It decides only how long a borrower keeps its connection:
 * the session is reset before the next borrower in any case.
 */
import { DIRTY, readStatement } from './dirt.ts';

/** Of the transaction: there is none, it is open, it has failed. */
type Status = 'I' | 'T' | 'E';

/** What was asked. */
export interface Asked {
  readonly text: string | undefined;
  readonly parameters: readonly unknown[] | undefined;
}

export interface Result {
  /** What the server has done, if it was one statement: 'SET', 'ROLLBACK' ... */
  readonly command?: string;
  readonly rows?: readonly unknown[];
}

/** A statement and how it went. */
interface Answered extends Asked {
  readonly hasFailed: boolean;
  /** The function that it calls has said that it has done nothing. */
  readonly isRefused: boolean;
}

/** Something that is left, by its kind and its name. */
type Pin = `${Kind} ${string}`;
type Kind = 'set' | 'listen' | 'table' | 'cursor' | 'prepare' | 'lock' | 'other';

/** A transaction that is rolled back takes these with it. */
const TRANSACTIONAL: ReadonlySet<string> = new Set<Kind>(['set', 'listen', 'table', 'cursor']);
/** RESET ALL leaves the others. */
const isReset = (pin: Pin): boolean => pin !== 'set role' && pin !== 'set session_authorization' && !pin.startsWith('set - ');
const kindOf = (pin: Pin): Kind => pin.slice(0, pin.indexOf(' ')) as Kind;

const UNKNOWN: Pin = 'other something';

/** What the session begins with. */
export interface Beginning {
  /** See profile.ts. '' is that of a session as it was made. */
  readonly profile: string;
}

export class Pins {
  readonly #beginning: Beginning;
  /** Each with how often: a lock may be held several times. */
  #pins = new Map<Pin, number>();
  #status: Status = 'I';
  /** What there was when the transaction began, if one is open. */
  #before = new Map<Pin, number>();
  /** What the transaction has undone so far. A savepoint may bring it back. */
  #undone = new Set<Pin>();
  /** What ends with the transaction, however that ends. */
  #passing = new Set<Pin>();

  constructor(beginning: Beginning) {
    this.#beginning = beginning;
  }

  get isEmpty(): boolean {
    return this.#pins.size === 0;
  }

  /** Another session, of which nothing is known yet. */
  clear(): void {
    if (!this.isEmpty) this.#pins.clear();
    this.#status = 'I';
    this.#before.clear();
    this.#undone.clear();
    this.#passing.clear();
  }

  /** Something was asked that no text tells of. */
  addUnknown(): void {
    this.#pins.set(UNKNOWN, 1);
  }

  /**
   * A statement was answered, and the transaction is in this state after it. Statements are noted in the order in which they were asked.
   * `result` is undefined if the statement has failed.
   */
  note(asked: Asked, status: Status, result: Result | undefined): void {
    const { text } = asked;
    const was = this.#status;
    this.#status = status;
    const isDirty = text === undefined || readStatement(text).dirt === DIRTY;
    // Most statements change nothing here.
    if (!isDirty && this.isEmpty && this.#before.size === 0 && this.#undone.size === 0) return;
    if (was === 'I' && status !== 'I') this.#begin();
    if (text === undefined) this.addUnknown();
    else this.#read(withoutEnd(text), isDirty, asked, result);
    if (was === 'I') return;
    if (status === 'I') this.#end(result === undefined || result.command === 'ROLLBACK');
    else if (result?.command === 'ROLLBACK') this.#backToSavepoint();
    // AND CHAIN: what was done so far is done, though the transaction seems to go on.
    else if (result?.command === 'COMMIT') this.addUnknown();
  }

  // ── transactions

  #begin(): void {
    this.#before = new Map(this.#pins);
  }

  #end(isRolledBack: boolean): void {
    for (const pin of this.#passing) this.#pins.delete(pin);
    if (isRolledBack) {
      for (const pin of this.#pins.keys()) if (TRANSACTIONAL.has(kindOf(pin))) this.#pins.delete(pin);
      for (const [pin, count] of this.#before) if (TRANSACTIONAL.has(kindOf(pin))) this.#pins.set(pin, count);
    }
    this.#before.clear();
    this.#undone.clear();
    this.#passing.clear();
  }

  /** What the transaction has undone since the savepoint is there again. */
  #backToSavepoint(): void {
    for (const pin of this.#undone) this.#pins.set(pin, 1);
    this.#undone.clear();
  }

  // ── statements

  #read(text: string, isDirty: boolean, { parameters }: Asked, result: Result | undefined): void {
    for (const [pattern, act] of isDirty ? [...DIRTY_ONES, ...OTHERS] : OTHERS) {
      const match = pattern.exec(text);
      if (match === null) continue;
      const hasFailed = result === undefined;
      return act(this, match.groups ?? {}, { text, parameters, hasFailed, isRefused: !hasFailed && isFalse(result.rows?.[0]) });
    }
    if (isDirty) this.addUnknown();
  }

  add(pin: Pin): void {
    this.#pins.set(pin, (kindOf(pin) === 'lock' ? (this.#pins.get(pin) ?? 0) : 0) + 1);
  }

  /** Until the end of the transaction. Where there is none, that is now. */
  addPassing(pin: Pin): void {
    if (this.#status === 'I') return;
    this.add(pin);
    this.#passing.add(pin);
  }

  remove(pin: Pin): void {
    const count = this.#pins.get(pin) ?? 0;
    if (count > 1) this.#pins.set(pin, count - 1);
    else if (this.#pins.delete(pin) && this.#status !== 'I' && TRANSACTIONAL.has(kindOf(pin))) this.#undone.add(pin);
  }

  removeAll(kind: Kind, isToGo = (_: Pin): boolean => true): void {
    for (const pin of [...this.#pins.keys()]) if (kindOf(pin) === kind && isToGo(pin)) while (this.#pins.has(pin)) this.remove(pin);
  }

  /** The session is what the server makes. If it began with a profile, it differs from that now. */
  removeEverything(): void {
    this.#pins.clear();
    if (this.#hasProfile) this.addUnknown();
  }

  /** The setting is what the server makes it. */
  reset(pin: Pin): void {
    if (this.#hasProfile) this.add(pin);
    else this.remove(pin);
  }

  resetAll(): void {
    this.removeAll('set', isReset);
    if (this.#hasProfile) this.addUnknown();
  }

  get #hasProfile(): boolean {
    return this.#beginning.profile !== '';
  }

  has(kind: Kind): boolean {
    return [...this.#pins.keys()].some((pin) => kindOf(pin) === kind);
  }
}

/** What a statement of that form leaves or undoes. */
type Act = (pins: Pins, groups: Readonly<Record<string, string | undefined>>, answered: Answered) => void;

const NAME = String.raw`(?:"(?:[^"]|"")+"|[a-z_\u0080-\uffff][\w$\u0080-\uffff]*)`;
const NAMES = String.raw`${NAME}(?:\s*\.\s*${NAME})*`;
/** A literal in which nothing is escaped, or a parameter. */
const VALUE = String.raw`(?:'[^'\\]*'|\$\d+|null)`;
const AS = String.raw`(?:\s+(?:as\s+)?${NAME})?`;
const statement = (pattern: string): RegExp => new RegExp(`^${pattern}$`, 'i');

const lower = (letter: string): string => letter.toLowerCase();

/** Without the semicolon at its end. */
function withoutEnd(text: string): string {
  const said = text.trim();
  return said.endsWith(';') ? said.slice(0, -1).trimEnd() : said;
}

/** As the server reads it: in lower case, unless in quotes. */
const nameOf = (text: string): string =>
  text
    .split(/\s*\.\s*(?=(?:[^"]*"[^"]*")*[^"]*$)/)
    .map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.replaceAll(/[A-Z]/g, lower)))
    .join('.');

const tableOf = (text: string): string => nameOf(text).replace(/^pg_temp\./, '');

/** Keeps that, unless the server has refused it. */
const unlessRefused = (pins: Pins, pin: Pin, { hasFailed }: Answered): void => {
  if (!hasFailed) pins.add(pin);
};

/** Removes that, unless the server has refused it. */
const undo = (pins: Pins, pin: Pin, { hasFailed }: Answered): void => {
  if (!hasFailed) pins.remove(pin);
};

const undoAll = (pins: Pins, kind: Kind, { hasFailed }: Answered): void => {
  if (!hasFailed) pins.removeAll(kind);
};

const reset = (pins: Pins, pin: Pin, { hasFailed }: Answered): void => {
  if (!hasFailed) pins.reset(pin);
};

/** Its first value is. */
function isFalse(row: unknown): boolean {
  const [value] = Object.values(row ?? {});
  return value === false || value === 'f';
}

/** A lock by what it was asked with. Another way to write the same lock is another pin, which stays. */
const lockOf = (values: string, shared: string | undefined, answered: Answered): Pin =>
  `lock ${given(values, answered)}${(shared ?? '').toLowerCase()}`;

/** The text with the values in it. */
const given = (text: string, { parameters }: Answered): string =>
  text
    .replaceAll(/\s|::\s*\w+/g, '')
    .replaceAll(/'([^']*)'/g, '$1')
    .replaceAll(/\$(\d+)/g, (_, number) => String(parameters?.[number - 1]));

const LOCK = String.raw`(?:-?\d+|'[^'\\]*'|\$\d+)(?:\s*::\s*\w+)?`;
const LOCKS = String.raw`(?:hashtext(?:extended)?\s*\(\s*${LOCK}(?:\s*,\s*\d+)?\s*\)|${LOCK}(?:\s*,\s*${LOCK})?)`;
const lockCall = (name: string): RegExp => statement(String.raw`select\s+(?:pg_catalog\.)?${name}\s*\(\s*(?<values>${LOCKS})\s*\)${AS}`);

/** The table is dropped at the end of the transaction: said outside of literals, and with no sign in the text that may hide one. */
const isDroppedOnCommit = (rest: string): boolean =>
  !/\\|\$[^\d]|--|\/\*/.test(rest) && /\bon\s+commit\s+drop\b/i.test(rest.replaceAll(/'[^']*'|"[^"]*"/g, "''"));

/** Statements that are dirty: see dirt.ts. The first one that fits counts. */
const DIRTY_ONES: readonly (readonly [pattern: RegExp, act: Act])[] = [
  [
    statement(String.raw`set\s+(?:session\s+)?(?<name>${NAMES})\s*(?:=|\bto\b)\s*(?<value>[^;]*)`),
    (pins, { name, value }, answered) => (/^default$/i.test(value!) ? reset : unlessRefused)(pins, `set ${nameOf(name!)}`, answered),
  ],
  [
    statement(String.raw`set\s+(?:session\s+)?role\s+(?<role>[^;]+)`),
    (pins, { role }, answered) => (/^none$/i.test(role!) ? reset : unlessRefused)(pins, 'set role', answered),
  ],
  [
    statement(String.raw`set\s+(?:session\s+)?time\s+zone\s+(?<value>[^;]+)`),
    (pins, { value }, answered) => (/^(?:default|local)$/i.test(value!) ? reset : unlessRefused)(pins, 'set timezone', answered),
  ],
  [
    statement(String.raw`select\s+(?:pg_catalog\.)?set_config\s*\(\s*(?<name>${VALUE})\s*,\s*${VALUE}\s*,\s*false\s*\)${AS}`),
    (pins, { name }, answered) => unlessRefused(pins, `set ${given(name!, answered).toLowerCase()}`, answered),
  ],
  // SET SESSION AUTHORIZATION, SET NAMES ...: only the end of its transaction undoes it, or DISCARD ALL.
  [statement(String.raw`set\s[^;]*`), (pins, _, answered) => unlessRefused(pins, `set - ${answered.text}`, answered)],
  [statement(String.raw`reset\s+all`), (pins, _, { hasFailed }) => !hasFailed && pins.resetAll()],
  [statement(String.raw`reset\s+time\s+zone`), (pins, _, answered) => reset(pins, 'set timezone', answered)],
  [statement(String.raw`reset\s+(?<name>${NAMES})`), (pins, { name }, answered) => reset(pins, `set ${nameOf(name!)}`, answered)],
  [
    statement(String.raw`listen\s+(?<name>${NAME})`),
    (pins, { name }, answered) => unlessRefused(pins, `listen ${nameOf(name!)}`, answered),
  ],
  [statement(String.raw`unlisten\s+\*`), (pins, _, answered) => undoAll(pins, 'listen', answered)],
  [statement(String.raw`unlisten\s+(?<name>${NAME})`), (pins, { name }, answered) => undo(pins, `listen ${nameOf(name!)}`, answered)],
  [
    statement(
      String.raw`create\s+(?:(?:local|global)\s+)?temp(?:orary)?\s+table\s+(?:if\s+not\s+exists\s+)?(?<name>${NAMES})(?<rest>[^;]*)`,
    ),
    (pins, { name, rest }, answered) => {
      if (answered.hasFailed) return;
      if (isDroppedOnCommit(rest!)) pins.addPassing(`table ${tableOf(name!)}`);
      else pins.add(`table ${tableOf(name!)}`);
    },
  ],
  [
    statement(String.raw`declare\s+(?<name>${NAME})\s(?<rest>[^;]*)`),
    (pins, { name, rest }, answered) => {
      if (answered.hasFailed) return;
      if (/\bhold\b/i.test(rest!)) pins.add(`cursor ${nameOf(name!)}`);
      else pins.addPassing(`cursor ${nameOf(name!)}`);
    },
  ],
  [statement(String.raw`close\s+all`), (pins, _, answered) => undoAll(pins, 'cursor', answered)],
  [statement(String.raw`close\s+(?<name>${NAME})`), (pins, { name }, answered) => undo(pins, `cursor ${nameOf(name!)}`, answered)],
  // The transaction is the server's from then on, and nothing of it is left in the session.
  [statement(String.raw`prepare\s+transaction\s[^;]*`), () => {}],
  [
    statement(String.raw`prepare\s+(?<name>${NAME})\b[^;]*`),
    (pins, { name }, answered) => unlessRefused(pins, `prepare ${nameOf(name!)}`, answered),
  ],
  [statement(String.raw`deallocate\s+(?:prepare\s+)?all`), (pins, _, answered) => undoAll(pins, 'prepare', answered)],
  [
    statement(String.raw`deallocate\s+(?:prepare\s+)?(?<name>${NAME})`),
    (pins, { name }, answered) => undo(pins, `prepare ${nameOf(name!)}`, answered),
  ],
  [
    lockCall('pg_(?:try_)?advisory_lock(?<shared>_shared)?'),
    (pins, { values, shared }, answered) => {
      // Where it was not granted, there is nothing to give back.
      if (!answered.isRefused) unlessRefused(pins, lockOf(values!, shared, answered), answered);
    },
  ],
  [statement(String.raw`discard\s+all`), (pins, _, { hasFailed }) => !hasFailed && pins.removeEverything()],
];

/** Statements that only undo something, or bring it back. */
const OTHERS: readonly (readonly [pattern: RegExp, act: Act])[] = [
  [
    lockCall('pg_advisory_unlock(?<shared>_shared)?'),
    (pins, { values, shared }, answered) => {
      if (!answered.isRefused) undo(pins, lockOf(values!, shared, answered), answered);
    },
  ],
  [
    statement(String.raw`select\s+(?:pg_catalog\.)?pg_advisory_unlock_all\s*\(\s*\)${AS}`),
    (pins, _, answered) => undoAll(pins, 'lock', answered),
  ],
  [
    statement(String.raw`drop\s+table\s+(?:if\s+exists\s+)?(?<names>${NAMES}(?:\s*,\s*${NAMES})*)(?:\s+(?:cascade|restrict))?`),
    (pins, { names }, answered) => {
      for (const name of names!.match(new RegExp(NAMES, 'gi'))!) undo(pins, `table ${tableOf(name)}`, answered);
    },
  ],
  // The table may have another name from now on.
  [/\balter\b/i, (pins) => pins.has('table') && pins.addUnknown()],
  // One transaction may end in the middle of the text, and another may begin.
  [/(?=[\s\S]*\b(?:begin|start|commit|end|rollback|abort)\b)[\s\S]*;/i, (pins) => pins.addUnknown()],
];
