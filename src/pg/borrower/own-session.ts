/**
 * A borrowed session that this thread speaks to by itself, on the connection's own socket, as far as it can: statements that are said
 * whole. Everything else is the owner's: before that, the socket is handed over, and the rest of the borrow goes on there.
 *
 * Calls are made in the order in which they were asked, one after the other.
 */
import { clearTimeout, setTimeout } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../../shared/index.ts';
import type { Company } from '../../shared/options/company.ts';
import { CallTimeoutError, LeaseRevokedError } from '../../worker/index.ts';
import type { Batch } from '../driver/batch.ts';
import type { OwnConnection, Speaker } from '../driver/own-connection.ts';
import { readTimeout } from '../driver/read-timeout.ts';
import { type SentError, sendError, sendOwnError } from '../messages/database-error.ts';
import { CLIENT, type Packed, repacked, unpacked } from '../messages/frames.ts';
import { isWhole } from '../messages/mode.ts';
import { profileOf } from '../messages/profile.ts';
import type { Answer, ClientMessage, Heard, SessionMethods, StatementArguments } from '../messages/protocol.ts';
import type { SentResult } from '../messages/results.ts';
import { wasIdle } from '../messages/telling-errors.ts';
import { readStatement } from '../sql/dirt.ts';
import type { OwnConnections, Which } from './own-connections.ts';
import type { BorrowedSession, RemoteSession, SingleArguments } from './sessions.ts';

/** Longer ones go by the owner, in bytes: the socket takes no more at once, and a thread that blocks could not send the rest. */
const LONGEST = 65_536;
/** How long a cancelled query may take to notice before it is cancelled again, in ms, and how often. */
const CANCEL_AGAIN = 500;
const CANCELS = 20;

const UNDONE = 'what was open on this connection has been ended, and rolled back, by something else than its borrower';

/** What is told of a statement beside the state of the session. */
type Told = Pick<Answer, 'results' | 'error' | 'bytes'>;

/** What is said whole, in the moment in which it is its turn. */
interface Said {
  bytes(connection: OwnConnection): Buffer;
  readonly mode: number;
  readonly timeout: number | undefined;
  outcome(connection: OwnConnection, pieces: Buffer[]): Told;
  /** What may go with it. */
  readonly along?: Along | undefined;
}

/** Others may be said with a statement. `told` hears its answer then; the call's own answer comes when the last of them has its. */
export interface Along {
  /** The statement. */
  readonly args: SingleArguments;
  readonly company: Company;
  readonly told: (answer: Answer | Promise<Answer>) => void;
}

interface Asked {
  /** Undefined: only the owner can do it. */
  readonly said: Said | undefined;
  byOwner(): Promise<Answer>;
  resolve(answer: Answer | PromiseLike<Answer>): void;
}

export class OwnSession implements BorrowedSession, Speaker {
  readonly #remote: RemoteSession;
  readonly #borrow: string;
  readonly #profile: string;
  readonly #connections: OwnConnections;
  readonly #which: Which;
  /**
   * NEW: nothing was asked. ASKING: the owner has been asked for the socket. OWNERS: the owner speaks. HERE: this thread does. LOST: the
   * connection is gone.
   */
  #state: 'NEW' | 'ASKING' | 'OWNERS' | 'HERE' | 'LOST' = 'NEW';
  #connection: OwnConnection | undefined;
  /** Settles when the owner has answered whether this thread gets the socket. */
  #asked: Promise<void> | undefined;
  /** What waits for its turn. */
  #waiting: Asked[] = [];
  /** What the server is at. */
  #current: Asked | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Cancel requests are on their way, or the socket is being looked at: nothing is said before that is over. */
  #holdUps = 0;
  #whenQuiet: (() => void)[] = [];
  /** The number of the owner's last answer. */
  #turn = 0;
  /** Why the connection is lost. */
  #why: Promise<SentError> | undefined;
  /** The connection was lost in the middle of an answer. */
  #isCutOff = false;
  /** Settles when the answer is told for which the owner is asked something. */
  #asking: Promise<void> | undefined;
  #listening: ((answer: Answer) => void) | undefined;
  readonly #told: (answer: Answer) => void;

  /** `told` hears of what the server says unasked, with the state of the session. */
  constructor(remote: RemoteSession, borrow: string, connections: OwnConnections, which: Which, told: (answer: Answer) => void) {
    this.#remote = remote;
    this.#borrow = borrow;
    this.#profile = profileOf(borrow);
    this.#connections = connections;
    this.#which = which;
    this.#told = told;
  }

  /** The session as it is on the owner. */
  get remote(): RemoteSession {
    return this.#remote;
  }

  // ── how it is given back

  /** This thread speaks, or waits until it may. */
  get isHere(): boolean {
    return this.#state === 'HERE' || this.#state === 'ASKING';
  }

  get isQuiet(): boolean {
    return this.#current === undefined && this.#waiting.length === 0 && this.#holdUps === 0;
  }

  /** True if this thread has the socket, or gets it without asking the owner. If it finds it lost, the first call says so. */
  takesSocket(): boolean {
    if (this.#state === 'NEW') {
      const connection = this.#connections.take(this.#which, this, this.#profile);
      if (connection !== undefined) {
        this.#begin(connection);
        connection.wake();
      }
    }
    return this.#state === 'HERE';
  }

  /** Resolves when it is known which thread speaks. */
  async known(): Promise<void> {
    await this.#asked;
  }

  /** What is asked and was not said is not said any more. If the socket was asked for, it is not taken up: the borrow ends. */
  abandon(error: Error): void {
    if (this.#state === 'ASKING') this.#state = 'OWNERS';
    for (const { resolve } of this.#waiting.splice(0)) resolve(Promise.reject(error));
    this.#next();
  }

  /** Something has to be undone before the next borrower. */
  get isUnclean(): boolean {
    return this.#state === 'HERE' && this.#connection!.isUnclean;
  }

  /** Resolves when nothing is under way. */
  async quiet(): Promise<void> {
    while (!this.isQuiet) await new Promise<void>((resolve) => this.#whenQuiet.push(resolve));
  }

  /** The borrow is over: any thread may speak there. If something has to be undone before, that is left to the owner. */
  park(): void {
    if (this.#state !== 'HERE') return;
    if (this.#connection!.isUnclean) return this.#handOver();
    this.#state = 'OWNERS';
    this.#connection!.park();
    this.#stopListening({ over: true });
  }

  /** The borrow is over, and the connection is to be destroyed. */
  destroy(): void {
    if (this.#state === 'ASKING') return this.abandon(new Error('this connection was given up'));
    if (this.#state !== 'HERE') return;
    this.#state = 'LOST';
    this.#connection!.destroy();
    this.#stopListening({ over: true });
    this.#next();
  }

  /**
   * For a thread that is about to block: what was asked is answered, and the owner goes on. Throws if that takes longer than `timeout` ms.
   */
  block(timeout: number | undefined): void {
    if (this.#state === 'NEW' || this.#state === 'ASKING') {
      this.#state = 'OWNERS';
      this.#next();
    }
    if (this.#state !== 'HERE') return;
    const end = performance.now() + (timeout ?? Number.POSITIVE_INFINITY);
    // Nothing that has been asked for may be left for later.
    this.#holdUps = 0;
    this.#next();
    while (this.#current !== undefined && this.#state === 'HERE') {
      if (performance.now() > end)
        throw new CallTimeoutError(
          `what was asked on this connection before was not answered within ${timeout} ms`,
          this.#connections.pool,
        );
      this.#connections.parts?.assertGoesOn();
      this.#connection!.readNow();
    }
    if (this.#state === 'HERE') this.#handOver();
  }

  // ── asking

  #ask(byOwner: () => Promise<Answer>, said?: Said): Promise<Answer> {
    // A borrow that begins with what only the owner does goes on there.
    if (this.#state === 'NEW' && said === undefined) this.#state = 'OWNERS';
    if (this.#state === 'NEW') this.#open();
    if (this.#state === 'OWNERS') return this.#byOwner(byOwner);
    const { parts } = this.#connections;
    if (parts === undefined) return new Promise((resolve) => this.#put({ said, byOwner, resolve }));
    // Calls of the owner see to that by themselves.
    const cancelled = said === undefined ? undefined : parts.present?.untold();
    if (cancelled !== undefined) return Promise.reject(cancelled.reason);
    let asked: Asked;
    const ask = (): Promise<Answer> =>
      new Promise((resolve) => {
        asked = { said, byOwner: parts.bound(byOwner), resolve };
        this.#put(asked);
      });
    return parts.follow(ask, (reason) => this.#giveUpFor(asked, reason));
  }

  #put(asked: Asked): void {
    this.#waiting.push(asked);
    this.#next();
  }

  /** Its asker is at an end. If the server is at it, what becomes of it is not known. */
  #giveUpFor(asked: Asked, reason: unknown): void {
    const at = this.#waiting.indexOf(asked);
    if (at !== -1) this.#waiting.splice(at, 1);
    if (this.#current !== asked || this.#state !== 'HERE') return;
    const why = asError(reason);
    this.#connections.giveUp(this.#remote, why);
    this.#forsake(why);
  }

  /** The connection is of no use any more, and the owner hears of that by the end of the lease: it has not lost it. */
  #forsake(why: Error): void {
    this.#why = Promise.resolve(sendError(why));
    this.destroy();
  }

  /** See Speaker. */
  leave(): boolean {
    const why = 'what has borrowed this connection has ended without giving it back';
    if (this.#state === 'ASKING') this.abandon(new Error(why));
    if (this.#state !== 'HERE') return false;
    const isBusy = !this.isQuiet;
    if (isBusy) this.#forsake(new Error(why));
    else this.#handOver();
    return isBusy;
  }

  /** Before the first call. */
  #open(): void {
    if (this.takesSocket() || this.#state === 'LOST') return;
    if (this.#connections.mayAsk(this.#which)) {
      this.#state = 'ASKING';
      this.#asked = this.#adopt(this.#connections.of(this.#which) !== undefined);
    } else this.#state = 'OWNERS';
  }

  #begin(connection: OwnConnection): void {
    this.#connection = connection;
    this.#state = 'HERE';
  }

  async #byOwner(call: () => Promise<Answer>): Promise<Answer> {
    const answer = await call();
    if (answer.turn > this.#turn) this.#turn = answer.turn;
    return answer;
  }

  /** Asks for the socket. What is asked meanwhile waits. */
  async #adopt(hasDescriptor: boolean): Promise<void> {
    let refused: Answer | Promise<never> | undefined;
    const [slot] = this.#which;
    this.#connections.asks(slot, this);
    try {
      const { attachment } = this.#connections;
      const answer = await this.#byOwner(() => this.#remote.adopt(this.#borrow, attachment, hasDescriptor));
      if (this.#state !== 'ASKING') return this.#connections.refuse(answer);
      const connection = this.#connections.accept(this.#which, this, this.#profile, answer);
      if (connection !== undefined) this.#begin(connection);
      if (answer.error !== undefined) refused = answer;
    } catch (error) {
      refused = Promise.reject(error);
      refused.catch(() => {});
    } finally {
      this.#connections.isAnswered(slot, this);
    }
    if (this.#state === 'ASKING') this.#state = 'OWNERS';
    // What the owner says of this call it would say of the first one that waits.
    if (refused !== undefined) this.#waiting.shift()?.resolve(refused);
    this.#next();
  }

  async #holdUp(until: Promise<unknown>): Promise<void> {
    this.#holdUps++;
    await until.catch(() => {});
    if (this.#holdUps > 0) this.#holdUps--;
    this.#next();
  }

  /** What is next, if nothing is under way. */
  #next(): void {
    while (this.#current === undefined && this.#holdUps === 0 && this.#waiting.length > 0 && this.#state !== 'ASKING') {
      const [asked] = this.#waiting;
      if (this.#state === 'LOST') this.#waiting.shift()!.resolve(this.#refused());
      else if (this.#state === 'OWNERS') {
        this.#waiting.shift();
        asked.resolve(this.#byOwner(() => asked.byOwner()));
      } else if (asked.said === undefined) this.#handOver();
      else {
        this.#waiting.shift();
        if (asked.said === NOTHING) asked.resolve(this.#stateNow());
        else if (this.#connection!.isUndone) asked.resolve({ ...this.#stateNow(), error: sendError(new Error(UNDONE)) });
        else this.#say(asked, asked.said);
      }
    }
    if (this.isQuiet) for (const then of this.#whenQuiet.splice(0)) then();
  }

  #say(asked: Asked, said: Said): void {
    const connection = this.#connection!;
    this.#current = asked;
    const limit = said.timeout ?? connection.queryTimeout;
    const batch = limit > 0 || said.along === undefined ? undefined : this.#batchOf(connection, asked, said.along);
    if (batch !== undefined && batch.size > 1) return this.#sayTogether(connection, asked, batch, said.along!);
    if (limit > 0) this.#timer = setTimeout(() => connection.destroy(readTimeout()), limit);
    batch?.beginAlone();
    const answered = (pieces: Buffer[]): void => {
      clearTimeout(this.#timer);
      batch?.endAlone(sizeOf(pieces));
      const outcome = said.outcome(connection, pieces);
      asked.resolve(this.#inOrder(connection.lost === undefined ? this.#answered(connection, outcome) : this.#cutOff(connection, outcome)));
      this.#current = undefined;
      if (connection.lost === undefined) this.#next();
    };
    try {
      connection.say(said.bytes(connection), said.mode, answered);
    } catch (error) {
      // It is nothing that the server would answer, and was not sent.
      clearTimeout(this.#timer);
      this.#current = undefined;
      asked.resolve(Promise.reject(error));
    }
  }

  /** An answer for which the owner is asked something is not overtaken by the next. */
  #inOrder(answer: Answer | Promise<Answer>): Answer | Promise<Answer> {
    const before = this.#asking;
    if (before === undefined && !(answer instanceof Promise)) return answer;
    const told = before === undefined ? (answer as Promise<Answer>) : before.then(() => answer);
    const over = told.then(
      () => {},
      () => {},
    );
    this.#asking = over;
    void over.then(() => {
      if (this.#asking === over) this.#asking = undefined;
    });
    return told;
  }

  #batchOf(connection: OwnConnection, asked: Asked, { args, company }: Along): Batch {
    return connection.batchOf(args, company, {
      touch: (text) => connection.touch(readStatement(text)),
      told: (pieces) => this.#toldTogether(connection, bytesOf(pieces)),
      cancel: () => void this.#holdUp(this.#interrupt(asked)),
      isDone: () => this.#state !== 'HERE' || connection.lost !== undefined || connection.isUnclean || connection.isTelling,
    });
  }

  #sayTogether(connection: OwnConnection, asked: Asked, batch: Batch, { told }: Along): void {
    try {
      connection.sayTogether(batch, told, () => {
        this.#current = undefined;
        asked.resolve(connection.lost === undefined ? this.#answered(connection, {}) : this.#cutOff(connection, {}));
        if (connection.lost === undefined) this.#next();
      });
    } catch (error) {
      this.#current = undefined;
      asked.resolve(Promise.reject(error));
    }
  }

  /** One of several has been answered. What the server has said of the connection itself is judged when all of them are. */
  #toldTogether(connection: OwnConnection, outcome: Told): Answer | Promise<Answer> {
    if (connection.lost !== undefined) return this.#cutOff(connection, outcome);
    const answer = this.#typed(connection, outcome);
    connection.forget();
    return answer;
  }

  #answered(connection: OwnConnection, outcome: Told): Answer | Promise<Answer> {
    const telling = connection.takeTelling();
    return telling === undefined ? this.#typed(connection, outcome) : this.#judged(telling, outcome);
  }

  #typed(connection: OwnConnection, outcome: Told): Answer | Promise<Answer> {
    const unknown = connection.unknownTypes;
    if (unknown.length > 0) return this.#learned(connection, unknown, outcome);
    const own = connection.ownTypes;
    // Spelt out, as it is made for each statement.
    const { turn, pid, status, unclean, pinned, undone } = this.#stateNow();
    const { results, error, bytes } = outcome;
    return { turn, pid, status, unclean, pinned, undone, results, error, bytes, own: own.length > 0 ? own : undefined };
  }

  /** The owner decides whether the connection goes to another borrower. */
  async #judged(telling: Error, outcome: Told): Promise<Answer> {
    this.#handOver();
    const answer = await this.#byOwner(() => this.#remote.judge(this.#borrow, sendError(telling)));
    return { ...answer, ...outcome };
  }

  async #learned(connection: OwnConnection, unknown: readonly number[], outcome: Told): Promise<Answer> {
    const state = this.#stateNow();
    const types = connection.ownTypes;
    // Once this thread has left the pool there is no owner to ask.
    const own = await this.#remote.ownTypes(unknown).catch(() => []);
    connection.learn(unknown, own);
    return { ...state, ...outcome, own: [...types, ...own] };
  }

  /** The connection was lost while the server was at it. */
  async #cutOff(connection: OwnConnection, outcome: Told): Promise<Answer> {
    this.#isCutOff = true;
    const unsent = wasIdle(connection.error) ? { unsent: true } : {};
    const error = await this.#whyLost();
    return { ...this.#stateNow(), ...outcome, error, broken: true, ...unsent };
  }

  /** What is asked when the connection is lost is not said. */
  async #refused(): Promise<Answer> {
    const error = await this.#whyLost();
    return { ...this.#stateNow(), error, broken: true, unsent: error.own === undefined };
  }

  /** The owner learns of the loss by this. It may have taken the connection back: then that is why. */
  #whyLost(): Promise<SentError> {
    this.#why ??= this.#askWhyLost(this.#connection!.lost!);
    return this.#why;
  }

  async #askWhyLost(lost: Error): Promise<SentError> {
    const error = sendError(lost);
    try {
      return (await this.#remote.lost(error)) ?? error;
    } catch (refused) {
      return refused instanceof LeaseRevokedError ? sendOwnError(refused) : error;
    }
  }

  // ── the state

  #stateNow(): Answer {
    // Nothing was said yet, or it is not known here.
    if (this.#connection === undefined) return { turn: this.#turn, pid: 0, status: 'I', unclean: false, pinned: false };
    const { pid, status, isUnclean, isOpen, isUndone } = this.#connection;
    const state: Answer = { turn: this.#turn, pid, status, unclean: isUnclean, pinned: isOpen };
    return isUndone ? { ...state, undone: true } : state;
  }

  #handOver(): void {
    this.#state = 'OWNERS';
    this.#connection!.hand();
    this.#stopListening({});
    this.#next();
  }

  // ── what is heard

  onHeard(heard: readonly Heard[]): void {
    this.#told({ ...this.#stateNow(), heard });
  }

  onLost(): void {
    if (this.#state !== 'HERE') return;
    this.#state = 'LOST';
    // What was under way tells its asker. Without that, the owner and whatever listens here are told now.
    if (!this.#isCutOff) void this.#whyLost().then((error) => this.#told({ ...this.#stateNow(), error, broken: true }));
    this.#stopListening({ broken: true });
    this.#next();
  }

  listen(borrow: string): Promise<Answer> {
    if (this.#state !== 'HERE') return this.#remote.listen(borrow);
    // It hears by itself.
    return new Promise((resolve) => {
      this.#listening = resolve;
    });
  }

  #stopListening(how: Partial<Answer>): void {
    const listening = this.#listening;
    this.#listening = undefined;
    listening?.({ ...this.#stateNow(), ...how });
  }

  // ── the session's methods

  hello(borrow: string): Promise<Answer> {
    return this.#ask(() => this.#remote.hello(borrow), NOTHING);
  }

  begin(borrow: string, begin: string, savepoint: string): Promise<Answer> {
    return this.#ask(() => this.#remote.begin(borrow, begin, savepoint), {
      bytes: ({ status }) => query(status === 'I' ? begin : `SAVEPOINT ${savepoint}`),
      mode: 0,
      timeout: undefined,
      outcome: ({ error, tag }) => (error === undefined ? { results: onlySaid(tag) } : { error: sendError(error) }),
    });
  }

  speak(borrow: string, name: string, bytes: Packed, mode: number, timeout?: number): Promise<Answer> {
    return this.#speak(borrow, name, bytes, mode, timeout, undefined);
  }

  /** One statement, and others with it. */
  speakAlong(borrow: string, along: Along): Promise<Answer> {
    const [, bytes, mode, timeout] = along.args;
    return this.#speak(borrow, '', bytes, mode, timeout, along);
  }

  #speak(
    borrow: string,
    name: string,
    bytes: Packed,
    mode: number,
    timeout: number | undefined,
    along: Along | undefined,
  ): Promise<Answer> {
    const byOwner = (): Promise<Answer> => this.#remote.speak(borrow, name, repacked(bytes), mode, timeout);
    if (name !== '' || !isWhole(mode) || bytes.length > LONGEST) return this.#ask(byOwner);
    return this.#ask(byOwner, {
      bytes: () => unpacked(bytes),
      mode,
      timeout,
      outcome: (_connection, pieces) => bytesOf(pieces),
      along,
    });
  }

  run(borrow: string, ...statement: StatementArguments): Promise<Answer> {
    return this.#ask(() => this.#remote.run(borrow, ...statement));
  }

  async reset(borrow: string): Promise<void> {
    await this.#ask(() => this.#remote.reset(borrow).then(() => this.#stateNow()));
  }

  fetch(borrow: string, cursor: string, rows: number, ...statement: StatementArguments): Promise<Answer> {
    return this.#ask(() => this.#remote.fetch(borrow, cursor, rows, ...statement));
  }

  close(borrow: string, cursor: string): Promise<Answer> {
    return this.#ask(() => this.#remote.close(borrow, cursor));
  }

  submit(borrow: string, submission: string, messages: readonly ClientMessage[], parsed: boolean): Promise<Answer> {
    return this.#ask(() => this.#remote.submit(borrow, submission, messages, parsed));
  }

  hear(borrow: string, conversation: string): Promise<Answer> {
    return this.#ask(() => this.#remote.hear(borrow, conversation));
  }

  parse(columns: Parameters<SessionMethods['parse']>[0]): Promise<unknown[][]> {
    return this.#remote.parse(columns);
  }

  async cancel(borrow: string): Promise<void> {
    if (!this.isHere) return this.#remote.cancel(borrow);
    const before = this.#waiting.splice(0);
    for (const { resolve } of before) resolve({ ...this.#stateNow(), error: sendError(new Error('canceled before it was sent')) });
    const current = this.#current;
    if (current === undefined) return;
    const cancelling = this.#interrupt(current);
    // It must not hit what comes next.
    void this.#holdUp(cancelling);
    await cancelling;
  }

  async #interrupt(current: Asked): Promise<void> {
    for (let tries = 0; tries < CANCELS && this.#current === current; tries++) {
      await this.#remote.interrupt();
      const until = performance.now() + CANCEL_AGAIN;
      while (this.#current === current && performance.now() < until) await sleep(1);
    }
  }

  async giveUp(): Promise<void> {
    if (this.#state === 'HERE') {
      this.#state = 'LOST';
      this.#connection!.destroy();
      this.#next();
    }
    await this.#remote.giveUp();
  }
}

const sizeOf = (pieces: readonly Buffer[]): number => pieces.reduce((sum, { length }) => sum + length, 0);

const bytesOf = (pieces: Buffer[]): Told => ({ bytes: pieces.length === 1 ? pieces[0] : Buffer.concat(pieces) });

/** Says nothing. */
const NOTHING: Said = { bytes: () => Buffer.alloc(0), mode: 0, timeout: undefined, outcome: () => ({}) };

function query(text: string): Buffer {
  const size = Buffer.byteLength(text) + 1;
  const bytes = Buffer.alloc(5 + size);
  bytes[0] = CLIENT.query;
  bytes.writeUInt32BE(4 + size, 1);
  bytes.write(text, 5);
  return bytes;
}

/** The result of a statement without rows. */
const onlySaid = (tag: string): SentResult => ({
  command: tag.split(' ', 1)[0],
  rowCount: null,
  oid: 0,
  fields: [],
  length: 0,
  values: [],
  bytes: undefined,
  texts: undefined,
});
