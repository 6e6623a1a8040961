/** What a borrower asks of a session, and what it is told. Everything here can be cloned, and holds no secret. */
import type { Dirt } from '../sql/dirt.ts';
import type { SentError } from './database-error.ts';
import type { Packed } from './frames.ts';
import type { TextColumn } from './own-columns.ts';
import type { SentResult } from './results.ts';

export interface Statement {
  readonly text: string | undefined;
  readonly values: readonly unknown[] | undefined;
  readonly name: string | undefined;
  readonly mode: number;
  /** The time limit of this query, in ms. Undefined: that of the connection. */
  readonly timeout: number | undefined;
}

/** A statement as arguments. They are flat, so that calls of one tick go in one message. */
export type StatementArguments = [
  text: string | undefined,
  values: readonly unknown[] | undefined,
  name: string | undefined,
  mode: number,
  timeout: number | undefined,
];

/** The server's word for the session: I (idle), T (in a transaction), E (in a failed transaction). */
export type TransactionStatus = 'I' | 'T' | 'E';

export interface Answer {
  /** The number of this answer. Answers may overtake each other on their way to a thread, so the session counts them. */
  readonly turn: number;
  readonly pid: number;
  readonly status: TransactionStatus;
  /** Something has to be undone before the next borrower. */
  readonly unclean: boolean;
  /** Something is open that the borrower will come back for. */
  readonly pinned: boolean;
  readonly results?: SentResult | readonly SentResult[] | undefined;
  readonly error?: SentError | undefined;
  /** What this thread's own driver has made of the answer. It is on no other thread. */
  readonly outcome?: Outcome | undefined;
  /** The connection is lost. */
  readonly broken?: boolean | undefined;
  /** What this borrower had open was ended by something else than its statements: nothing of it goes on. */
  readonly undone?: boolean | undefined;
  /** Nothing was sent to the server: the connection was broken before. */
  readonly unsent?: boolean | undefined;
  /** To a cursor's fetch: there are no more rows. */
  readonly done?: boolean | undefined;
  /** To the end of a cursor's own transaction: a statement in it had failed, so it could not be committed. */
  readonly rolledBack?: boolean | undefined;
  /** To a borrower that listens: there is nothing more to hear, as its borrow is over. */
  readonly over?: boolean | undefined;
  /** To a submission: what the server said. */
  readonly messages?: readonly ServerMessage[] | undefined;
  /** To a borrower that speaks the protocol itself: what the server said. */
  readonly bytes?: Packed | undefined;
  /** Types of columns in it for which the owner's program has parsers: those of the connection, of onConnect, or of the owner's driver. */
  readonly own?: readonly number[] | undefined;
  /**
   * To a statement for which the owner has borrowed: what the owner's program makes of the columns of those types, in their order, or why
   * it cannot. To ask for that later would take another borrow.
   */
  readonly parsed?: readonly (readonly unknown[] | SentError)[] | undefined;
  /** To a statement for which the owner has borrowed: when it had a connection, in ms (see clock.ts). */
  readonly granted?: number | undefined;
  /** There will be more of it. */
  readonly more?: boolean | undefined;
  /** The socket is offered to the borrower's thread. */
  readonly socket?: OfferedSocket | undefined;
  /** Notices and notifications since the last answer. */
  readonly heard?: readonly Heard[] | undefined;
}

/** What a thread needs to speak on the connection's own socket. */
export interface OfferedSocket {
  /** A descriptor for that thread; undefined if it has one. */
  readonly descriptor: PassedDescriptor | undefined;
  /** See custody.ts. */
  readonly custody: SharedArrayBuffer;
  /** What the session holds that has to be undone: see dirt.ts. */
  readonly dirt: Dirt;
  /** A statement of the transaction that goes on has asked for READ ONLY. */
  readonly asksReadOnly: boolean;
  /** The number of the borrow's profile, which is in force. No other profile ever has it. 0: that of a session as it was made. */
  readonly profile: number;
  /** The time limit of a query that has none of its own, in ms. 0: there is none. */
  readonly queryTimeout: number;
  /** Of the types that columns often have: those for which the owner's program has parsers of its own, and the others. */
  readonly types: { readonly own: readonly number[]; readonly others: readonly number[] };
}

/** It belongs to the thread that claims it: see `Custody.pass`. */
export interface PassedDescriptor {
  readonly fd: number;
  readonly pass: number;
}

export type Outcome = { readonly result: unknown } | { readonly thrown: unknown };

export interface Heard {
  /** 'unheard': so many more came where the borrower did not listen. */
  readonly event: 'notice' | 'notification' | 'unheard';
  readonly message: Readonly<Record<string, unknown>>;
}

/** A message of the protocol that a submission wants sent: a method of pg's Connection and its argument. */
export type ClientMessage = readonly [
  type: 'parse' | 'bind' | 'describe' | 'execute' | 'close' | 'query' | 'flush' | 'sync',
  body?: unknown,
];
/** A message of the server, named as pg names its event. */
export type ServerMessage = readonly [event: string, body?: unknown];

/**
 * The methods of a session that borrowers call. `borrow` names the borrower, and its profile (see profile.ts); where the owner borrows,
 * there is only the profile. When another borrower comes, the session is first cleaned of whatever the last one forgot.
 */
export interface SessionMethods {
  /** Begins a borrow. */
  hello(borrow: string): Promise<Answer>;
  run(borrow: string, ...statement: StatementArguments): Promise<Answer>;
  /** A borrow for one statement: the session runs it, and is clean afterwards. */
  once(profile: string, ...statement: StatementArguments): Promise<Answer>;
  /** Undoes what the borrower left. Rejects if that cannot be done; the session is broken then. */
  reset(borrow: string): Promise<void>;
  /** BEGIN, or a savepoint if a transaction is open already. While calls are still on their way, only the session knows which. */
  begin(borrow: string, begin: string, savepoint: string): Promise<Answer>;
  /** The next rows of a cursor. The first call opens it: in the open transaction, or in one of its own. */
  fetch(borrow: string, cursor: string, rows: number, ...statement: StatementArguments): Promise<Answer>;
  close(borrow: string, cursor: string): Promise<Answer>;
  /** Sends messages for a submission, which has a name. From its first message to the end of its last, nothing else runs here. */
  submit(borrow: string, submission: string, messages: readonly ClientMessage[], parsed: boolean): Promise<Answer>;
  /**
   * Says this to the server, in the protocol: one conversation, by its name, from its first bytes until the server has answered all of it
   * and is ready. `mode`: see mode.ts. `timeout`: the time limit of the whole, in ms.
   */
  speak(borrow: string, conversation: string, bytes: Packed, mode: number, timeout?: number): Promise<Answer>;
  /** What the server says next in the conversation. */
  hear(borrow: string, conversation: string): Promise<Answer>;
  /** A borrow for one conversation, which is whole. */
  speakOnce(profile: string, bytes: Packed, mode: number, timeout?: number): Promise<Answer>;
  /** Texts of the server, column by column, as the owner's program has them parsed. */
  parse(columns: readonly TextColumn[]): unknown[][];
  /** Resolves when the server says something unasked, when the connection is lost, or when the borrow is over. */
  listen(borrow: string): Promise<Answer>;
  /**
   * Offers the socket to the borrower's thread, which takes it up by the word that comes with it, or leaves it. Anything that is asked of
   * the session afterwards takes it back. Answers without a socket where there is none to be had.
   */
  adopt(borrow: string, attachment: number, hasDescriptor: boolean): Promise<Answer>;
  /** Resolves when the borrower, which has the socket, speaks there no more. */
  comesBack(borrow: string): Promise<Answer>;
  /** Of these types, those for which the owner's program has parsers of its own. */
  ownTypes(types: readonly number[]): number[];
  /** What the server has complained about while the borrower had the socket. */
  judge(borrow: string, error: SentError): Promise<Answer>;
  /** The borrower that had the socket has lost the connection. Resolves with why, if the owner has taken it back. */
  lost(error: SentError): SentError | undefined;
  /** Asks the server once to cancel what the borrower, which has the socket, has asked. */
  interrupt(): Promise<void>;
  /** Asks the server to cancel what runs now. */
  cancel(borrow: string): Promise<void>;
  /**
   * The borrower has stopped waiting for an answer, so the state of the session is not known. What runs is cancelled, what waits is not
   * begun, and the connection is lost.
   */
  giveUp(): Promise<void>;
}
