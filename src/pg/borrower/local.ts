/**
 * Speaking to the server on the borrower's own thread: its driver makes the bytes of a statement, the owner sends them when it is their
 * turn, and the driver here reads the answer. A named statement is still the owner's: names belong to a connection, and the owner knows
 * them.
 */
import type { CustomTypesConfig, QueryResult } from 'pg';
import { type Address, type Driver, Lane } from '../driver/lane.ts';
import { isOwnParser } from '../driver/left-as-text.ts';
import { OwnParsers } from '../driver/own-parsers.ts';
import { assertNoCopyIn } from '../messages/copy.ts';
import { receiveError } from '../messages/database-error.ts';
import { type Packed, packed, unpacked } from '../messages/frames.ts';
import { EXTENDED, IN_ORDER, isOfProfile, PARSES, RAW, WHOLE, withReading } from '../messages/mode.ts';
import type { Answer, Heard, Outcome } from '../messages/protocol.ts';
import { argumentsOf, type Question } from '../messages/question.ts';
import { receiveResults } from '../messages/results.ts';
import { readStatement } from '../sql/dirt.ts';
import { resultOf } from './answers.ts';
import { OwnConnections } from './own-connections.ts';
import { OwnSession } from './own-session.ts';
import { type ParseByOwner, parsedByOwner } from './owners-parsers.ts';
import { Roster } from './roster.ts';
import { RowParsing } from './row-parsing.ts';
import type { BorrowedSession, RemoteSession, Returning, Sessions, SingleArguments } from './sessions.ts';
import { type Hear, Singles } from './singles.ts';
import { TextColumns } from './text-columns.ts';
import { type Blocking, type Call, type CallOnce, OwnersWay, type Way } from './way.ts';

/** How many lanes are kept for later. */
const MOST_FREE = 64;

export interface Lending {
  readonly address: Address;
  /** The owner keeps prepared statements: those are named, whichever thread asks. */
  readonly hasStatementCache: boolean;
  /** How many single statements of a thread one borrow may serve. */
  readonly batch: number;
  /** Why this thread can have no descriptors of its own; undefined if it can. */
  readonly relayed: string | undefined;
}

export class LocalWay implements Way {
  readonly #driver: Driver;
  readonly #sessions: Sessions;
  readonly #owners: OwnersWay;
  readonly #lending: Lending;
  readonly #free: Lane[] = [];
  readonly #connections: OwnConnections | undefined;
  readonly #singles: Singles | undefined;
  readonly returning = new Roster<Returning>();
  /** Parsers that 'connect' listeners of this thread have set. */
  #types: OwnParsers | undefined;

  constructor(driver: Driver, sessions: Sessions, lending: Lending) {
    this.#driver = driver;
    this.#sessions = sessions;
    this.#owners = new OwnersWay(sessions);
    this.#lending = lending;
    const { attachment } = sessions;
    if (lending.relayed !== undefined || attachment === undefined) return;
    const connections = new OwnConnections({ driver, address: lending.address, attachment, isOwn: new Map() }, sessions);
    this.#connections = connections;
    this.#singles = new Singles(sessions, connections, lending.batch);
    void sessions.left!.then(() => connections.close());
  }

  own(session: RemoteSession, borrow: string, told: (answer: Answer) => void): OwnSession | undefined {
    if (this.#connections === undefined) return undefined;
    return new OwnSession(session, borrow, this.#connections, this.#sessions.identify!(session), told);
  }

  run(question: Question): Call {
    if (this.#isOwners(question)) {
      const here = this.#parsedHere(question);
      const call = this.#owners.run(here);
      return async (session, borrow) => this.#parsed(await call(session, borrow), question, here, this.#parseOn(session));
    }
    const { lane, said } = this.#ask(question);
    return (session, borrow) => {
      // Nothing can be said: the driver has refused the statement.
      if (said === undefined) return this.#refused(lane, session.hello(borrow));
      const bytes = session instanceof OwnSession ? said : packed([said]);
      const call = session.speak(borrow, '', bytes, modeOf(question), question.timeout);
      return this.#answered(lane, call, question, this.#parseOn(session));
    };
  }

  once(question: Question, profile: string): CallOnce {
    const parse: ParseByOwner = (columns) => this.#sessions.call('parse', [columns]);
    if (this.#isOwners(question)) {
      const here = this.#parsedHere(question);
      const call = this.#owners.once(here, profile);
      return async (granted) => this.#parsed(await call(granted), question, here, parse);
    }
    const { lane, said } = this.#ask(question);
    if (said === undefined) return () => this.#refused(lane, Promise.resolve({} as Answer));
    const args = (bytes: Packed): SingleArguments => [profile, bytes, modeOf(question), question.timeout];
    const singles = this.#singles;
    const hear: Hear = (answer, parse) => this.#hear(lane, answer, question, parse);
    return (granted) => {
      const call = singles === undefined ? this.#sessions.call('speakOnce', args(packed([said]))) : singles.ask(args(said), granted, hear);
      return this.#answered(lane, call, question, parse);
    };
  }

  fetch(cursor: string, rows: number, question: Question): Call {
    const here = this.#parsedHere(question);
    const call = this.#owners.fetch(cursor, rows, here);
    return async (session, borrow) => this.#parsed(await call(session, borrow), question, here, this.#parseOn(session));
  }

  rows(): RowParsing {
    return new RowParsing(this.#types ?? this.#drivers, this.#drivers);
  }

  /** A parser for all that this thread asks, if the query brings none. */
  setTypeParser(...parser: Parameters<OwnParsers['setTypeParser']>): void {
    this.#types ??= new OwnParsers(this.#drivers);
    this.#types.setTypeParser(...parser);
  }

  #isOwners({ text, name, mode }: Question): boolean {
    return (
      isOfProfile(mode) ||
      (mode & IN_ORDER) !== 0 ||
      name !== undefined ||
      text === undefined ||
      (this.#lending.hasStatementCache && readStatement(text).isPreparable)
    );
  }

  block(question: Question): Blocking {
    const here = this.#parsedHere(question);
    return {
      statement: argumentsOf(here),
      result: (answer, parse) => {
        if (answer.results === undefined) return resultOf(answer, here);
        const { result, columns } = this.#read(answer, question, here);
        if (answer.parsed !== undefined) columns.fillFrom(answer.parsed);
        else if (columns.texts.length > 0) columns.fill(parse(columns.texts));
        return result as QueryResult<any>;
      },
    };
  }

  /** The same, with its rows parsed by this thread's driver. */
  #parsedHere(question: Question): Question {
    if (question.types !== undefined) return question;
    return { ...question, mode: question.mode | RAW, types: this.#types ?? this.#drivers };
  }

  /** An answer whose rows have come as the server's text, parsed. */
  async #parsed(answer: Answer, asked: Question, here: Question, parse: ParseByOwner): Promise<Answer> {
    const { results, own, parsed, ...state } = answer;
    if (results === undefined) return answer;
    const result = async () => {
      const { result, columns } = this.#read(answer, asked, here);
      return filled(result, columns, answer, parse);
    };
    return { ...state, outcome: await outcomeOf(result()) };
  }

  /** Rows that have come as text, parsed by this thread's driver. What only the owner's program has parsers for is left. */
  #read({ results, own = NONE }: Answer, asked: Question, { mode, types }: Question): { result: unknown; columns: TextColumns } {
    const parsers = types!;
    const left = new Set(asked.types === undefined ? own.filter((oid) => !isOwnParser(oid, parsers, this.#drivers)) : NONE);
    const leaving: CustomTypesConfig = {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        left.has(oid) ? (text: unknown) => text : parsers.getTypeParser(oid, format as 'text'),
    };
    const result = receiveResults(results!, mode, left.size === 0 ? parsers : leaving);
    return { result, columns: new TextColumns(result, own, left) };
  }

  get #drivers(): CustomTypesConfig {
    return this.#driver.types as unknown as CustomTypesConfig;
  }

  /** The statement as the driver says it. */
  #ask(question: Question): { lane: Lane; said: Buffer | undefined } {
    // The server would wait for a second sync, which the driver does not send.
    if ((question.mode & EXTENDED) !== 0) assertNoCopyIn(readStatement(question.text!));
    const lane = this.lane();
    const said = lane.ask(this.#types === undefined ? question : { ...question, types: question.types ?? this.#types });
    return { lane, said };
  }

  /** A lane for one statement. It is given back when the client is ready again. */
  lane(): Lane {
    return this.#free.pop() ?? new Lane(this.#driver, this.#lending.address);
  }

  giveBack(lane: Lane): void {
    lane.forget();
    if (lane.isFree && this.#free.length < MOST_FREE) this.#free.push(lane);
  }

  async #refused(lane: Lane, state: Promise<Answer>): Promise<Answer> {
    const answer = await state;
    if (answer.error !== undefined) return answer;
    return { ...answer, outcome: await lane.settled() };
  }

  /** What comes of the call. It is one promise, as it is made for each statement. */
  #answered(lane: Lane, call: Promise<Answer>, question: Question, parse: ParseByOwner): Promise<Answer> {
    return call.then(
      (answer) => this.#hear(lane, answer, question, parse),
      (error) => {
        lane.fail(error as Error);
        throw error;
      },
    );
  }

  /** The driver reads the answer. */
  #hear(lane: Lane, answer: Answer, question: Question, parse: ParseByOwner): Answer | Promise<Answer> {
    const { bytes, own = NONE, error, outcome: known } = answer;
    // It was heard before the connection was given back.
    if (known !== undefined) return answer;
    const { types } = question;
    // The same bytes may go to another connection, and this lane hears the answer then.
    if (answer.unsent) return answer;
    if (error !== undefined && !bytes) {
      lane.fail(receiveError(error));
      return answer;
    }
    if (bytes) lane.hear(unpacked(bytes), types === undefined ? own : NONE);
    if (error !== undefined) lane.fail(receiveError(error));
    const heard = lane.overheard();
    const { outcome } = lane;
    if (outcome === undefined || lane.left.size > 0) return this.#hearLater(lane, answer, heard, parse);
    this.giveBack(lane);
    return told(answer, outcome, heard);
  }

  #parseOn(session: BorrowedSession): ParseByOwner {
    const remote = session instanceof OwnSession ? session.remote : (session as RemoteSession);
    return (columns) => parsedByOwner(this.#sessions, remote, columns);
  }

  /** The driver has not read all of it yet, or has left something for the owner's program to parse. */
  async #hearLater(lane: Lane, answer: Answer, heard: readonly Heard[], parse: ParseByOwner): Promise<Answer> {
    // The owner's program is asked at once, while the connection is borrowed.
    let outcome = lane.outcome ?? (await lane.settled());
    const { left } = lane;
    if (left.size > 0 && 'result' in outcome) {
      const { result } = outcome;
      outcome = await outcomeOf(filled(result, new TextColumns(result, answer.own!, left), answer, parse));
    }
    this.giveBack(lane);
    return told(answer, outcome, heard);
  }
}

const NONE: readonly number[] = [];

/** What its caller is told: the state, and what this thread's driver has made of the bytes. */
function told(answer: Answer, outcome: Outcome, heard: readonly Heard[]): Answer {
  const { turn, pid, status, unclean, pinned, error, broken, undone, granted } = answer;
  const all = answer.heard === undefined ? heard : [...heard, ...answer.heard];
  return { turn, pid, status, unclean, pinned, error, broken, undone, granted, outcome, heard: all.length > 0 ? all : undefined };
}

/** With the columns that this thread has left. */
async function filled(result: unknown, columns: TextColumns, { parsed }: Answer, parse: ParseByOwner): Promise<unknown> {
  if (columns.texts.length === 0) return result;
  if (parsed === undefined) columns.fill(await parse(columns.texts));
  else columns.fillFrom(parsed);
  return result;
}

const modeOf = ({ text, mode }: Question): number => withReading(WHOLE | (mode & PARSES), text);

const outcomeOf = (outcome: Promise<unknown>): Promise<{ result: unknown } | { thrown: unknown }> =>
  outcome.then(
    (result) => ({ result }),
    (thrown) => ({ thrown }),
  );
