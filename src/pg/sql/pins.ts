/**
 * What a borrower has left in its session on purpose, and not undone yet: as long as there is something, it comes back for it, and the
 * connection is pinned. The texts of its statements say so, and their answers.
 *
 * This errs towards pins: what it does not understand counts until DISCARD ALL. It decides only how long a borrower keeps its connection:
 * the session is reset before the next borrower in any case. An open transaction keeps it as well, so what ends with one is no pin. One
 * thing it does not see: where pg_temp stands behind others in the search path, DROP TABLE may mean another table than the temporary one.
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

/** What the session begins with. */
export interface Beginning {
  /** The borrower, or what configures its connections, has set something there that RESET would take back. */
  readonly isSetUp: boolean;
}

/** Something that is left, by its kind and its name. */
type Pin = `${Kind} ${string}`;
type Kind = 'set' | 'listen' | 'table' | 'cursor' | 'prepare' | 'lock' | 'other';

/** A transaction that is rolled back takes these with it. */
const TRANSACTIONAL: ReadonlySet<string> = new Set<Kind>(['set', 'listen', 'table', 'cursor']);
/** RESET ALL leaves the others. */
const isReset = (pin: Pin): boolean => !NOT_RESET.has(pin) && !pin.startsWith('set - ');
const NOT_RESET: ReadonlySet<string> = new Set<Pin>(['set role', 'set session_authorization', 'set seed']);
const kindOf = (pin: Pin): Kind => pin.slice(0, pin.indexOf(' ')) as Kind;

const UNKNOWN: Pin = 'other something';

/** Statements that begin or end a transaction, if there are several in one text. */
const BOUNDS = /\b(?:begin|start|commit|end|rollback|abort|prepare)\b/i;
/** They run a query, and may leave what that leaves. */
const RUNS = /^(?:create|declare|prepare)\b/i;
const LEAVES = /\b(?:set_config|setseed|pg_(?:try_)?advisory_lock\w*|dblink\w*|execute)\b/i;
/** They are spaces here, and part of a name to the server. */
const FALSE_SPACES = /[\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]/;

export class Pins {
  readonly #beginning: Beginning;
  /** Each with how often: a lock may be held several times. */
  #pins = new Map<Pin, number>();
  #status: Status = 'I';
  /** What there was when the transaction began, if one is open. */
  #before = new Map<Pin, number>();
  /** What the transaction has undone so far. A savepoint may bring it back. */
  #undone = new Set<Pin>();

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
  }

  /** Something was asked that no text tells of. */
  addUnknown(): void {
    this.#pins.set(UNKNOWN, 1);
  }

  /**
   * A statement was answered, and the transaction is in this state after it. Statements are noted in the order in which they were asked.
   * `result` is undefined if the statement has failed, by `error`.
   */
  note(asked: Asked, status: Status, result: Result | undefined, error?: unknown): void {
    const { text } = asked;
    const was = this.#status;
    this.#status = status;
    const isDirty = text === undefined || readStatement(text).dirt === DIRTY;
    // Most statements change nothing here.
    if (!isDirty && this.isEmpty && this.#before.size === 0 && this.#undone.size === 0) return;
    if (was === 'I' && status !== 'I') this.#before = new Map(this.#pins);
    if (text === undefined || ((isDirty || was !== 'I') && isOwnError(error))) this.addUnknown();
    else this.#read(text, isDirty, was !== 'I', asked, result);
    if (was === 'I') return;
    if (status === 'I') this.#end(result === undefined || result.command === 'ROLLBACK');
    else if (result?.command === 'ROLLBACK') this.#backToSavepoint();
    // AND CHAIN: what was done so far is done, though the transaction seems to go on.
    else if (result?.command === 'COMMIT') this.addUnknown();
  }

  // ── transactions

  #end(isRolledBack: boolean): void {
    if (isRolledBack) {
      for (const pin of this.#pins.keys()) if (TRANSACTIONAL.has(kindOf(pin))) this.#pins.delete(pin);
      for (const [pin, count] of this.#before) if (TRANSACTIONAL.has(kindOf(pin))) this.#pins.set(pin, count);
    }
    this.#before.clear();
    this.#undone.clear();
  }

  /** What the transaction has undone since the savepoint is there again. */
  #backToSavepoint(): void {
    for (const pin of this.#undone) this.#pins.set(pin, 1);
    this.#undone.clear();
  }

  // ── statements

  /** `isInside`: it began in a transaction. */
  #read(whole: string, isDirty: boolean, isInside: boolean, { parameters }: Asked, result: Result | undefined): void {
    // The table may have another name from now on.
    if (this.#has('table') && /\balter\b/i.test(whole)) return this.addUnknown();
    const text = withoutEnd(whole);
    // The transaction may end in the middle of the text, and another may begin.
    if (text.includes(';')) {
      if (isDirty || (isInside && BOUNDS.test(text))) this.addUnknown();
      return;
    }
    if (isDirty && ((RUNS.test(text) && LEAVES.test(text)) || FALSE_SPACES.test(whole))) return this.addUnknown();
    if (!isDirty && (!UNDOES.test(text) || FALSE_SPACES.test(whole))) return;
    for (const [pattern, act] of isDirty ? DIRTY_FORMS : CLEAN_FORMS) {
      const match = pattern.exec(text);
      if (match === null) continue;
      // What the server has refused has left nothing.
      if (result !== undefined) act(this, match.groups ?? {}, { text, parameters, said: Object.values(result.rows?.[0] ?? {})[0] });
      return;
    }
    if (isDirty) this.addUnknown();
  }

  add(pin: Pin): void {
    this.#pins.set(pin, (kindOf(pin) === 'lock' ? (this.#pins.get(pin) ?? 0) : 0) + 1);
  }

  remove(pin: Pin): void {
    const count = this.#pins.get(pin) ?? 0;
    if (count > 1) this.#pins.set(pin, count - 1);
    else if (this.#pins.delete(pin) && this.#status !== 'I' && TRANSACTIONAL.has(kindOf(pin))) this.#undone.add(pin);
  }

  removeAll(kind: Kind, isToGo = (_: Pin): boolean => true): void {
    for (const pin of [...this.#pins.keys()]) if (kindOf(pin) === kind && isToGo(pin)) while (this.#pins.has(pin)) this.remove(pin);
  }

  /** The session is what the server makes. */
  removeEverything(): void {
    this.#pins.clear();
    if (this.#beginning.isSetUp) this.addUnknown();
  }

  /** The setting is what the server makes it. */
  reset(pin: Pin): void {
    if (this.#beginning.isSetUp) this.add(pin);
    else this.remove(pin);
  }

  resetAll(): void {
    this.removeAll('set', isReset);
    if (this.#beginning.isSetUp) this.addUnknown();
  }

  #has(kind: Kind): boolean {
    for (const pin of this.#pins.keys()) if (kindOf(pin) === kind) return true;
    return false;
  }
}

/** It is no error of the server's, which may have done what it was asked. */
const isOwnError = (error: unknown): boolean => error !== undefined && (error as { severity?: unknown } | null)?.severity === undefined;

/** Without the semicolon at its end. */
function withoutEnd(text: string): string {
  const said = text.trim();
  return said.endsWith(';') ? said.slice(0, -1).trimEnd() : said;
}

// ── forms of statements

/** A statement that the server has done. */
interface Done extends Asked {
  /** The first value of its answer. */
  readonly said: unknown;
}

/** What a statement of that form leaves or undoes. */
type Act = (pins: Pins, groups: Readonly<Record<string, string>>, done: Done) => void;
type Forms = readonly (readonly [pattern: RegExp, act: Act])[];

const NAME = String.raw`(?:"(?:[^"]|"")+"|[a-z_\u0080-\uffff][\w$\u0080-\uffff]*)`;
const NAMES = String.raw`${NAME}(?:\s*\.\s*${NAME})*`;
/** A literal in which nothing is escaped, or a parameter. */
const VALUE = String.raw`(?:'[^'\\]*'|\$\d+|null)`;
const AS = String.raw`(?:\s+(?:as\s+)?${NAME})?`;
const LOCK = String.raw`(?:-?\d+|'[^'\\]*'|\$\d+)(?:\s*::\s*\w+)?`;
const LOCKS = String.raw`(?:hashtext(?:extended)?\s*\(\s*${LOCK}(?:\s*,\s*\d+)?\s*\)|${LOCK}(?:\s*,\s*${LOCK})?)`;
const form = (pattern: string): RegExp => new RegExp(`^${pattern}$`, 'i');
const lockForm = (name: string): RegExp => form(String.raw`select\s+(?:pg_catalog\.)?${name}\s*\(\s*(?<values>${LOCKS})\s*\)${AS}`);

const lower = (text: string): string => text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());

/** The parts of a name as the server reads them: in lower case, unless in quotes. */
const partsOf = (text: string): string[] =>
  Array.from(text.matchAll(new RegExp(NAME, 'gi')), ([part]) =>
    part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : lower(part),
  );

/** By which two names are told apart. */
const nameOf = (text: string): string => JSON.stringify(partsOf(text));

function tableOf(text: string): Pin {
  const parts = partsOf(text);
  return `table ${JSON.stringify(parts[0] === 'pg_temp' ? parts.slice(1) : parts)}`;
}

const settingOf = (name: string): Pin => `set ${partsOf(name).join('.')}`;

/** The text without spaces and casts, and with the parameters in it. Undefined: there is no telling. */
function filledIn(text: string, { parameters }: Done): string | undefined {
  let isKnown = true;
  const filled = text.replaceAll(/'[^']*'|\s+|::\s*\w+|\$(\d+)/g, (part, number) => {
    if (part.startsWith("'")) return part;
    if (number === undefined) return '';
    const value = parameters?.[number - 1];
    isKnown &&= ['string', 'number', 'bigint'].includes(typeof value);
    return typeof value === 'string' ? `'${value}'` : isKnown ? String(value) : '';
  });
  return isKnown ? filled : undefined;
}

/** A lock by what it was asked with. The same lock asked for in another way is another pin, which stays. */
function lockOf({ values, shared = '' }: Readonly<Record<string, string>>, done: Done): Pin | undefined {
  const filled = filledIn(values, done);
  return filled === undefined ? undefined : `lock ${filled}${lower(shared)}`;
}

/** The table is dropped at the end of the transaction: said outside of literals, and with no sign in the text that may hide one. */
const isDroppedOnCommit = (rest: string): boolean =>
  !/\\|\$[^\d]|--|\/\*/.test(rest) && /\bon\s+commit\s+drop\b/i.test(rest.replaceAll(/'[^']*'|"[^"]*"/g, "''"));

/** Of statements that are dirty: see dirt.ts. The first one that fits counts. */
const DIRTY_FORMS: Forms = [
  [
    form(String.raw`set\s+(?:session\s+)?(?<name>${NAMES})\s*(?:=|\bto\b)\s*(?<value>[\s\S]*)`),
    (pins, { name, value }) => (/^default$/i.test(value) ? pins.reset(settingOf(name)) : pins.add(settingOf(name))),
  ],
  [
    form(String.raw`set\s+(?:session\s+)?role\s+(?<role>[\s\S]+)`),
    (pins, { role }) => (/^none$/i.test(role) ? pins.reset('set role') : pins.add('set role')),
  ],
  [
    form(String.raw`set\s+(?:session\s+)?time\s+zone\s+(?<value>[\s\S]+)`),
    (pins, { value }) => (/^(?:default|local)$/i.test(value) ? pins.reset('set timezone') : pins.add('set timezone')),
  ],
  [
    form(String.raw`select\s+(?:pg_catalog\.)?set_config\s*\(\s*(?<name>${VALUE})\s*,\s*${VALUE}\s*,\s*false\s*\)${AS}`),
    (pins, { name }, done) => {
      const setting = filledIn(name, done);
      if (setting === undefined) pins.addUnknown();
      else pins.add(`set ${lower(setting.replaceAll("'", ''))}`);
    },
  ],
  // SET SESSION AUTHORIZATION, SET NAMES ...: only the end of its transaction undoes it, or DISCARD ALL.
  [form(String.raw`set\s[\s\S]*`), (pins, _, { text }) => pins.add(`set - ${text}`)],
  [form(String.raw`reset\s+all`), (pins) => pins.resetAll()],
  [form(String.raw`reset\s+time\s+zone`), (pins) => pins.reset('set timezone')],
  [form(String.raw`reset\s+(?<name>${NAMES})`), (pins, { name }) => pins.reset(settingOf(name))],
  [form(String.raw`listen\s+(?<name>${NAME})`), (pins, { name }) => pins.add(`listen ${nameOf(name)}`)],
  [form(String.raw`unlisten\s+\*`), (pins) => pins.removeAll('listen')],
  [form(String.raw`unlisten\s+(?<name>${NAME})`), (pins, { name }) => pins.remove(`listen ${nameOf(name)}`)],
  [
    form(String.raw`create\s+(?:(?:local|global)\s+)?temp(?:orary)?\s+table\s+(?:if\s+not\s+exists\s+)?(?<name>${NAMES})(?<rest>[\s\S]*)`),
    (pins, { name, rest }) => {
      if (!isDroppedOnCommit(rest)) pins.add(tableOf(name));
    },
  ],
  [
    form(String.raw`declare\s+(?<name>${NAME})\s(?<rest>[\s\S]*)`),
    (pins, { name, rest }) => {
      if (/\bhold\b/i.test(rest)) pins.add(`cursor ${nameOf(name)}`);
    },
  ],
  [form(String.raw`close\s+all`), (pins) => pins.removeAll('cursor')],
  [form(String.raw`close\s+(?<name>${NAME})`), (pins, { name }) => pins.remove(`cursor ${nameOf(name)}`)],
  // The transaction is the server's from then on, and nothing of it is left in the session.
  [form(String.raw`prepare\s+transaction\s*'[\s\S]*`), () => {}],
  [form(String.raw`prepare\s+(?<name>${NAME})[\s(][\s\S]*`), (pins, { name }) => pins.add(`prepare ${nameOf(name)}`)],
  [form(String.raw`deallocate\s+(?:prepare\s+)?all`), (pins) => pins.removeAll('prepare')],
  [form(String.raw`deallocate\s+(?:prepare\s+)?(?<name>${NAME})`), (pins, { name }) => pins.remove(`prepare ${nameOf(name)}`)],
  [
    lockForm('pg_(?:try_)?advisory_lock(?<shared>_shared)?'),
    (pins, groups, done) => {
      // It was not granted.
      if (done.said === false || done.said === 'f') return;
      const lock = lockOf(groups, done);
      if (lock === undefined) pins.addUnknown();
      else pins.add(lock);
    },
  ],
  [form(String.raw`discard\s+all`), (pins) => pins.removeEverything()],
];

/** How those begin that are in CLEAN_FORMS. */
const UNDOES = /^(?:select|drop)\s/i;
/** Of statements that leave nothing on purpose, and undo something. */
const CLEAN_FORMS: Forms = [
  [
    lockForm('pg_advisory_unlock(?<shared>_shared)?'),
    (pins, groups, done) => {
      const lock = lockOf(groups, done);
      if (lock !== undefined && (done.said === true || done.said === 't')) pins.remove(lock);
    },
  ],
  [form(String.raw`select\s+(?:pg_catalog\.)?pg_advisory_unlock_all\s*\(\s*\)${AS}`), (pins) => pins.removeAll('lock')],
  [
    form(String.raw`drop\s+table\s+(?:if\s+exists\s+)?(?<names>${NAMES}(?:\s*,\s*${NAMES})*?)(?:\s+(?:cascade|restrict))?`),
    (pins, { names }) => {
      for (const [name] of names.matchAll(new RegExp(NAMES, 'gi'))) pins.remove(tableOf(name));
    },
  ],
];
