/** How the connections of a pool are spoken to on this thread: by the owner's driver, which is asked by message, or by the thread's own. */
import type { QueryResult } from 'pg';
import type { TextColumn } from '../messages/own-columns.ts';
import type { Answer, StatementArguments } from '../messages/protocol.ts';
import { argumentsOf, type Question } from '../messages/question.ts';
import { resultOf } from './answers.ts';
import type { OwnSession } from './own-session.ts';
import type { SaysGranted } from './query-channel.ts';
import type { Roster } from './roster.ts';
import type { RowParsing } from './row-parsing.ts';
import type { BorrowedSession, RemoteSession, Returning, Sessions } from './sessions.ts';

/**
 * A call on the session that was borrowed under that name. It is made once more, on another session, if its answer says that it was not
 * sent; nothing of the attempt before may be left in it.
 */
export type Call = (session: BorrowedSession, borrow: string) => Promise<Answer>;

/** The same in a borrow of its own. `granted` is told when it has a connection; or the answer says so. */
export type CallOnce = (granted: SaysGranted) => Promise<Answer>;

export interface Way {
  /** Speaks to a session that was borrowed under that name by itself; undefined where that cannot be. `told`: see OwnSession. */
  own?(session: RemoteSession, borrow: string, told: (answer: Answer) => void): OwnSession | undefined;
  /** What was given back while this thread was speaking there. Before the thread blocks, it has to see to that. */
  readonly returning?: Roster<Returning>;
  /** One statement. What it is given is taken now, whenever the call is made. */
  run(question: Question): Call;
  /** One statement, in a borrow of its own and a session of that profile. What it is given is taken now, however often it is called. */
  once(question: Question, profile: string): CallOnce;
  /** The next rows of a cursor. */
  fetch(cursor: string, rows: number, question: Question): Call;
  /** For the rows of a submission that brings no parsers; where there is none, the owner parses them. */
  rows?(): RowParsing;
  /** One statement of a call that blocks this thread. */
  block(question: Question): Blocking;
}

export interface Blocking {
  /** What the session is asked. */
  readonly statement: StatementArguments;
  /** What its answer comes to. Throws what the server said. `parse`: by the owner's program, for what it alone has parsers for. */
  result(answer: Answer, parse: (columns: TextColumn[]) => unknown[][]): QueryResult<any>;
}

/** By the owner's driver. */
export class OwnersWay implements Way {
  readonly #sessions: Sessions;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  run(question: Question): Call {
    const statement = argumentsOf(question);
    return (session, borrow) => session.run(borrow, ...statement);
  }

  once(question: Question, profile: string): CallOnce {
    const statement = argumentsOf(question);
    return () => this.#sessions.call('once', [profile, ...statement]);
  }

  fetch(cursor: string, rows: number, question: Question): Call {
    const statement = argumentsOf(question);
    return (session, borrow) => session.fetch(borrow, cursor, rows, ...statement);
  }

  block(question: Question): Blocking {
    return { statement: argumentsOf(question), result: (answer) => resultOf(answer, question) };
  }
}

const ways = new WeakMap<Sessions, Way>();

export function wayOf(sessions: Sessions): Way {
  let way = ways.get(sessions);
  if (way === undefined) {
    way = new OwnersWay(sessions);
    ways.set(sessions, way);
  }
  return way;
}

/** From now on these sessions are spoken to in that way. */
export function setWay(sessions: Sessions, way: Way): void {
  ways.set(sessions, way);
}
