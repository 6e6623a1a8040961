/**
 * The place of a client that a program makes by itself. It has a connection while something is open there. A plain statement that finds
 * nothing open needs none of its own: it is a single query, and waits together with the others of its thread. All is done in the order in
 * which it was asked.
 */
import type { QueryResult } from 'pg';
import { isOfProfile } from '../messages/mode.ts';
import type { Answer } from '../messages/protocol.ts';
import type { Question } from '../messages/question.ts';
import { DIRTY, readStatement } from '../sql/dirt.ts';
import { runOnce } from './borrow.ts';
import type { Hold } from './hold.ts';
import type { Lender } from './lender.ts';
import { traced } from './query-channel.ts';
import { Scope } from './scope.ts';

/** The client. */
export interface Sitter {
  /** What it has set before anything else: see profile.ts. */
  profile(): string;
  /** Some of that was set by statements, and was not given with the client. */
  isSetUp(): boolean;
  /** It may have this connection. Nothing has been asked there. */
  met(hold: Hold): void;
  /** It has this connection now. */
  arrived(hold: Hold): void;
  /** Its statement was answered on a connection that is not its own. */
  answered(answer: Answer): void;
}

/** What was begun. What is asked next begins when `before` has settled; undefined: at once. */
interface Begun<V> {
  readonly result: Promise<V>;
  readonly before: Promise<unknown> | undefined;
}

class Turn {
  readonly over: Promise<void>;
  end!: () => void;

  constructor() {
    this.over = new Promise((resolve) => {
      this.end = resolve;
    });
  }
}

export class Seat {
  readonly #scope: Scope;
  readonly #lender: Lender;
  readonly #sitter: Sitter;
  /** Of what was asked last. What is asked next waits until it is over. */
  #last: Turn | undefined;

  constructor(lender: Lender, sitter: Sitter) {
    this.#lender = Object.create(lender, {
      profile: { get: () => sitter.profile() },
      isSetUp: { get: () => sitter.isSetUp() },
      met: { value: (hold: Hold) => sitter.met(hold) },
    });
    this.#sitter = sitter;
    this.#scope = new Scope(this.#lender, (hold) => sitter.arrived(hold));
  }

  /** Of what is open. */
  get scope(): Scope {
    return this.#scope;
  }

  run(question: Question): Promise<QueryResult<any>> {
    return this.#inTurn(() => {
      if (!this.#isSingle(question)) return { result: this.#scope.run(question), before: undefined };
      const result = this.#runSingle(question);
      return { result, before: result };
    });
  }

  /** Gives the connection to what speaks there by itself, a cursor for instance. `start` is told what to call when that is through. */
  submit(start: (hold: Hold, over: () => void) => void): Promise<void> {
    return this.#inTurn(() => {
      const result = this.#scope.enter().then((hold) => start(hold, () => this.#scope.leave()));
      return { result, before: result };
    });
  }

  async #inTurn<V>(begin: () => Begun<V>): Promise<V> {
    const last = this.#last;
    let turn: Turn | undefined;
    if (last !== undefined) {
      this.#last = turn = new Turn();
      await last.over;
    }
    const { result, before } = begin();
    if (before !== undefined) turn ??= this.#last = new Turn();
    const end = (): void => {
      if (this.#last === turn) this.#last = undefined;
      turn?.end();
    };
    if (before === undefined) end();
    else before.then(end, end);
    return result;
  }

  #runSingle(question: Question): Promise<QueryResult<any>> {
    const { sessions, profile } = this.#lender;
    return traced(sessions, question, undefined, (granted) =>
      runOnce(sessions, question, profile, granted, (answer) => this.#sitter.answered(answer)),
    );
  }

  /** It leaves nothing that this client could come back for, and nothing is there that it could come back to. */
  #isSingle({ text, name, mode }: Question): boolean {
    if (text === undefined || name !== undefined || isOfProfile(mode)) return false;
    // What the program listens for is a borrow of this client's.
    if (!this.#scope.isFree || this.#lender.isListenedTo) return false;
    const { isPreparable, dirt } = readStatement(text);
    return isPreparable && dirt !== DIRTY;
  }

  /** When this resolves, nothing is left: see the scope's. */
  async end(): Promise<void> {
    while (this.#last !== undefined) await this.#last.over;
    await this.#scope.end();
  }
}
