/**
 * One connection, on the owner: the driver's client, and what is known of the session behind it. Workers call its methods.
 *
 * What uses the client does so in `#exclusive`, one after the other. At the end of each turn the server is ready for the next, and its word
 * on the transaction is read. Every answer says how the session is left, so that the borrower that gives it back need not ask.
 */
import { performance } from 'node:perf_hooks';
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import type { Client, CustomTypesConfig, QueryConfig } from 'pg';
import type { Company } from '../../shared/options/company.ts';
import { driverHere } from '../driver/driver-here.ts';
import { cancelUntilReady, endClient } from '../driver/ending.ts';
import { internals, isReadTimeout } from '../driver/internals.ts';
import { isOwnParser } from '../driver/left-as-text.ts';
import { Portals } from '../driver/portals.ts';
import { isAbout, Runner, UNPARSED } from '../driver/runner.ts';
import { Submissions } from '../driver/submissions.ts';
import { type Said, Wire } from '../driver/wire.ts';
import { assertNoCopyIn } from '../messages/copy.ts';
import { receiveError, type SentError, sendError } from '../messages/database-error.ts';
import { type Packed, packed, unpacked } from '../messages/frames.ts';
import { isOfProfile, isWhole, longReadingOf, RAW, readingOf } from '../messages/mode.ts';
import { profileOf, profileWith, statementsOf, withProfile } from '../messages/profile.ts';
import type { Answer, ClientMessage, Heard, SessionMethods, StatementArguments, TransactionStatus } from '../messages/protocol.ts';
import type { SentResult } from '../messages/results.ts';
import { type Reading, readStatement } from '../sql/dirt.ts';
import { Batch } from './batch.ts';
import { Conversation, type Part } from './conversation.ts';
import { isToBlame, mayBeReadOnly, saysGone } from './fitness.ts';
import { Leftovers, type Reset } from './leftovers.ts';

export interface SessionSettings {
  readonly reset: Reset;
  readonly statementCacheSize: number;
  /** The time limit of a reset, in ms. 0: no limit. */
  readonly checkTimeout: number;
}

export interface Origin {
  /** The statements that made the session what a new one is. They are run again after everything was discarded. */
  readonly setup: readonly QueryConfig[];
  /** Asks the server, over another connection, to cancel what this one runs. */
  cancel(): Promise<void>;
  /** Called once, when the connection is lost. */
  broke(session: Session, error: Error): void;
  /** The connection still answers, but must go to no other borrower: the server is not what it was. */
  unfit(session: Session, error: Error): void;
}

/** How many notices and notifications are kept for the next answer, at most. */
const MOST_HEARD = 1000;
/** How long the end of a connection may take before it is cut, in ms. */
const GIVE_UP = 3000;
/** A connection whose last use ended less than this ago is taken to be as it was, in ms. */
const SETTLED = 1;

/**
 * By `idle_session_timeout` (57P05) the server ends only idle sessions: it has not begun what was sent at that moment. The other codes of
 * 57P do not say that.
 */
const wasIdle = (error: unknown): boolean => isAbout(error, '57P05');

/** What the server says of a statement that ends a transaction. It says the same of ROLLBACK TO, which does not end it. */
const ENDS = /^(?:COMMIT|ROLLBACK|PREPARE TRANSACTION)$/;
/** To a borrower that listens when its borrow is over: it says nothing of the session, which is another borrower's by now. */
const OVER: Answer = { turn: 0, pid: 0, status: 'I', unclean: false, pinned: false, over: true };
/** As the driver says it. */
const READ_TIMEOUT = 'Query read timeout';
const UNDONE = 'what was open on this connection has been ended, and rolled back, by something else than its borrower';

export class Session implements SessionMethods {
  readonly #client: Client;
  readonly #settings: SessionSettings;
  readonly #runner: Runner;
  readonly #leftovers: Leftovers;
  readonly #portals: Portals;
  readonly #submissions: Submissions;
  readonly #wire: Wire;
  /** The last conversation, over or not. */
  #conversation: Conversation | undefined;
  /** Statements of one thread that are served in one go, while they are. */
  #batch: Batch | undefined;
  /** Borrowers that wait for what the server says unasked. */
  readonly #listening: { readonly borrow: string; readonly resolve: (answer: Answer) => void }[] = [];
  readonly #origin: Origin;
  #tail: Promise<unknown> = Promise.resolve();
  /** The calls of a 'connect' listener that come before the first borrower. */
  #setup: Promise<unknown> | undefined;
  #borrow = '';
  /** What the session is set to, beyond what made it. Undefined: that is not known. */
  #profile: string | undefined = '';
  /** The borrower that wants the session to be reset. */
  #leaving = '';
  #isNew = true;
  #transaction: TransactionStatus;
  /** Since it was last ready, the server has said that a statement has ended a transaction. */
  #saidEnd = false;
  /** A transaction, or what else the borrower had open, was ended by something else than the borrower's statements. */
  #isUndone = false;
  #whenEnded: (() => void)[] = [];
  /** A statement of the transaction that goes on has asked for READ ONLY. */
  #asksReadOnly = false;
  /** Types in the conversation that goes on for which this thread's program has parsers of its own. */
  readonly #ownTypes = new Set<number>();
  /** The last error in the conversation that goes on. */
  #saidLast: Error | undefined;
  /** The server has refused to write, and it is not known yet whether that was asked for. */
  #refusal: Error | undefined;
  #cancels = 0;
  #cancelling: Promise<unknown> | undefined;
  #usedAt = performance.now();
  #underWay = 0;
  #broken: Error | undefined;
  #isEnding = false;
  /** Why the connection was taken back from its borrower, if it was: the answer to all that is asked from then on. */
  #revoked: Error | undefined;
  #heard: Heard[] = [];
  #answers = 0;

  constructor(client: Client, settings: SessionSettings, origin: Origin) {
    this.#client = client;
    this.#settings = settings;
    this.#origin = origin;
    this.#runner = new Runner(client, settings.statementCacheSize, {
      status: () => this.#transaction,
      readyAfter: (error) => this.#readyAfter(error),
    });
    this.#leftovers = new Leftovers(settings.reset, origin.setup);
    this.#portals = new Portals(client);
    this.#submissions = new Submissions(client, (error) => this.#break(error));
    this.#transaction = internals(client).getTransactionStatus?.() ?? 'I';
    this.#wire = new Wire(client, {
      commandComplete: (text) => this.#completed(text),
      columns: (types) => {
        for (const oid of types) if (this.#isOwnType(oid)) this.#ownTypes.add(oid);
      },
      error: (error) => {
        this.#saidLast = error;
        this.#judge(error);
      },
    });
    internals(client).connection.on('commandComplete', ({ text }: { text: string }) => this.#completed(text));
    internals(client).connection.on('readyForQuery', ({ status }: { status: TransactionStatus }) => {
      if (status === 'I' && this.#transaction !== 'I' && !this.#saidEnd) this.#isUndone = true;
      this.#saidEnd = false;
      this.#transaction = status;
      if (status !== 'I') return;
      this.#portals.lose();
      this.#tellEnded();
    });
    internals(client).connection.on('errorMessage', (error: Error) => this.#judge(error));
    client.on('error', (error) => this.#break(error));
    client.on('end', () => this.#break(new Error('Connection terminated unexpectedly')));
    client.on('notice', (message) => this.#hear('notice', message));
    client.on('notification', (message) => this.#hear('notification', message));
    internals(client).unref();
  }

  get processID(): number {
    return (this.#client as unknown as { processID: number }).processID;
  }

  /** The borrower that has the session, or had it last. */
  get borrow(): string {
    return this.#borrow;
  }

  /** The server is at work for a borrower, which will be told of whatever happens. */
  get isAtWork(): boolean {
    return !internals(this.#client).readyForQuery;
  }

  /** Why the connection is lost, if it is. */
  get broken(): Error | undefined {
    return this.#broken;
  }

  // ── for the owner

  /** For the healthcheck. The session has no borrower meanwhile. */
  async isAlive(): Promise<boolean> {
    const { error } = await this.#answer('', async () => {
      await this.#client.query('SELECT 1');
      return {};
    });
    return error === undefined;
  }

  /**
   * The session for a 'connect' listener, which configures it: what the listener sets belongs to the session from then on. What it asks at
   * once, and each time right after an answer, comes before the first borrower. What it asks later waits until no borrower's transaction is
   * open, which might take it along.
   */
  forSetup(): Pick<SessionMethods, 'hello' | 'run'> {
    return { hello: () => this.#answer(undefined, async () => ({})), run: (_, ...statement) => this.#setUp(statement) };
  }

  /** A parser for this connection, for as long as it lives, whichever thread borrows it. */
  setTypeParser(...parser: unknown[]): void {
    (this.#client as unknown as { setTypeParser(...parser: unknown[]): void }).setTypeParser(...parser);
  }

  async #setUp(statement: StatementArguments): Promise<Answer> {
    const run = async (): Promise<Partial<Answer>> => {
      const [text = '', values, , mode] = statement;
      const reading = readingOf(mode, text);
      const results = await this.#runner.run(reading, ...statement);
      this.#leftovers.adopt(reading, text, values);
      return { results };
    };
    if (this.#isNew) return this.#answer(undefined, run, (body) => this.#early(body));
    for (;;) {
      let isOpen = false;
      const answer = await this.#answer(undefined, async () => {
        isOpen = this.#status() !== 'I';
        if (isOpen) return {};
        const said = await run();
        if (this.#status() === 'I') return said;
        await this.#client.query('ROLLBACK');
        throw new Error('a connect listener cannot leave a transaction open once the connection is in use: configure it in onConnect');
      });
      if (!isOpen) return answer;
      await this.#transactionsEnd();
    }
  }

  // ── for borrowers

  hello(borrow: string): Promise<Answer> {
    return this.#answer(borrow, async () => ({}));
  }

  run(borrow: string, ...statement: StatementArguments): Promise<Answer> {
    return this.#answer(borrow, () => this.#run(...statement));
  }

  once(...[profile, ...statement]: [profile: string, ...StatementArguments]): Promise<Answer> {
    return this.#answer(withProfile('', profile), () => this.#cleanAfter(() => this.#run(...statement)));
  }

  async #cleanAfter(body: () => Promise<Partial<Answer>>): Promise<Partial<Answer>> {
    try {
      return await body();
    } catch (error) {
      await this.#readyAfter(error);
      throw error;
    } finally {
      // If this fails the connection is lost. But the statement was run, and that is what the asker is told.
      if (this.#isUnclean() && !this.#isLost) await this.#clean().catch(() => {});
    }
  }

  begin(borrow: string, begin: string, savepoint: string): Promise<Answer> {
    return this.#answer(borrow, () =>
      this.#run(this.#status() === 'I' ? begin : `SAVEPOINT ${savepoint}`, undefined, undefined, 0, undefined),
    );
  }

  fetch(borrow: string, cursor: string, rows: number, ...statement: StatementArguments): Promise<Answer> {
    return this.#answer(borrow, async () => {
      if (!this.#portals.has(cursor)) {
        const [text = '', values, , mode] = statement;
        const reading = readingOf(mode, text);
        assertNoCopyIn(reading);
        this.#touch(reading);
        if (this.#status() === 'I') {
          await this.#client.query('BEGIN');
          this.#portals.ownTransaction = true;
        }
        this.#portals.open(cursor, text, values, (mode & RAW) === 0 ? undefined : UNPARSED);
      }
      const { results, ...rest } = await this.#portals.fetch(cursor, rows);
      return { ...rest, ...this.#ownIn(statement[3], results!) };
    });
  }

  close(borrow: string, cursor: string): Promise<Answer> {
    return this.#answer(borrow, async () => {
      await this.#portals.close(cursor);
      if (!this.#portals.ownTransaction || this.#portals.isAnyLeft) return {};
      this.#portals.ownTransaction = false;
      if (this.#status() === 'I') return {};
      const { command } = await this.#client.query('COMMIT');
      return { rolledBack: command === 'ROLLBACK' };
    });
  }

  /** A submission's first call holds `#exclusive` until the server is ready again. Its other calls come while it does. */
  submit(borrow: string, submission: string, messages: readonly ClientMessage[], parsed: boolean): Promise<Answer> {
    if (this.#submissions.knows(submission)) {
      for (const reading of readingsOf(messages)) this.#touch(reading);
      return this.#submissions.send(submission, messages).then((said) => ({ ...this.#state(), messages: said }));
    }
    return new Promise((resolve, reject) => {
      this.#answer(borrow, async () => {
        const readings = readingsOf(messages);
        if (messages.some(([type]) => type === 'parse')) readings.forEach(assertNoCopyIn);
        for (const reading of readings) this.#touch(reading);
        await this.#runner.lendNames(namesOf(messages));
        const first = this.#submissions.open(submission, messages, parsed);
        const { ended } = this.#submissions;
        if (this.#leaving === borrow) this.#submissions.abandon();
        const said = await first;
        if (this.#submissions.isOpen) resolve({ ...this.#state(), messages: said });
        await ended;
        return { messages: said };
      }).then(resolve, reject);
    });
  }

  /** A conversation's first call holds `#exclusive` until the server is ready again. Its other calls come while it does. */
  speak(borrow: string, name: string, bytes: Packed, mode: number, timeout?: number): Promise<Answer> {
    if (this.#conversation?.name === name) return this.#sayMore(this.#conversation, unpacked(bytes), mode);
    return new Promise((resolve, reject) => {
      const first = (part: Part): void => resolve({ ...this.#stateFor(borrow), ...part });
      this.#answer(borrow, () => this.#converse(borrow, name, unpacked(bytes), mode, timeout, first)).then(resolve, reject);
    });
  }

  async hear(borrow: string, name: string): Promise<Answer> {
    const part = this.#conversation?.name === name ? await this.#conversation.hear() : { bytes: '', more: false };
    return { ...this.#stateFor(borrow), ...part };
  }

  speakOnce(profile: string, bytes: Packed, mode: number, timeout?: number, company?: Company): Promise<Answer> {
    const borrow = withProfile('', profile);
    const converse = () => this.#converse('', '', unpacked(bytes), mode, timeout, () => {});
    const limit = timeout ?? internals(this.#client).connectionParameters.query_timeout;
    if (company === undefined || limit || this.#settings.reset === 'always') return this.#answer(borrow, () => this.#cleanAfter(converse));
    return new Promise((resolve, reject) => {
      const together = (): Promise<Partial<Answer>> => this.#converseTogether(borrow, [profile, bytes, mode], company, resolve, converse);
      this.#answer(borrow, () => this.#cleanAfter(together)).then(resolve, reject);
    });
  }

  parse(columns: readonly (readonly [oid: number, texts: readonly (string | null)[]])[]): unknown[][] {
    return columns.map(([oid, texts]) => {
      const parser = this.#client.getTypeParser(oid, 'text') as (text: string) => unknown;
      return texts.map((text) => (text === null ? null : parser(text)));
    });
  }

  /** What the asker parses itself may have types for which this thread's program has parsers. */
  #ownIn(mode: number, results: SentResult | readonly SentResult[]): Partial<Answer> {
    if ((mode & RAW) === 0) return { results };
    const types = new Set([results].flat().flatMap(({ fields }) => fields.map(([, , , oid]) => oid)));
    const own = [...types].filter((oid) => this.#isOwnType(oid));
    return own.length === 0 ? { results } : { results, own };
  }

  #isOwnType(oid: number): boolean {
    const driver = driverHere();
    return (
      driver !== undefined && isOwnParser(oid, this.#client as unknown as CustomTypesConfig, driver.types as unknown as CustomTypesConfig)
    );
  }

  listen(borrow: string): Promise<Answer> {
    if (borrow !== this.#borrow || this.#leaving === borrow) return Promise.resolve(OVER);
    if (this.#isLost || this.#heard.length > 0) return Promise.resolve(this.#stateFor(borrow));
    return new Promise((resolve) => this.#listening.push({ borrow, resolve }));
  }

  async cancel(borrow: string): Promise<void> {
    if (borrow !== this.#borrow || this.#underWay === 0) return;
    this.#cancels++;
    this.#batch?.release();
    await this.#cancel();
  }

  /** The next turn waits for this. */
  #cancel(): Promise<void> {
    const cancelling = cancelUntilReady(this.#client, () => this.#origin.cancel());
    this.#cancelling = Promise.all([this.#cancelling, cancelling]);
    return cancelling;
  }

  async giveUp(): Promise<void> {
    this.#break(new Error('the borrower of this connection has stopped waiting for its answer'));
    if (this.isAtWork) await cancelUntilReady(this.#client, () => this.#origin.cancel());
  }

  /** What the borrower has not ended will not be ended by it. */
  #abandon(): void {
    this.#submissions.abandon();
    try {
      this.#conversation?.abandon();
    } catch (error) {
      this.#break(error as Error);
    }
  }

  async #converse(
    borrow: string,
    name: string,
    bytes: Buffer,
    mode: number,
    timeout: number | undefined,
    first: (part: Part) => void,
  ): Promise<Partial<Answer>> {
    this.#saidLast = undefined;
    this.#ownTypes.clear();
    const said = this.#wire.read(bytes, isWhole(mode));
    this.#touchAll(said, mode);
    await this.#runner.lendNames(said.flatMap((each) => each.name || []));
    const conversation = new Conversation(name, this.#wire);
    if (name !== '') this.#conversation = conversation;
    const limit = timeout ?? internals(this.#client).connectionParameters.query_timeout;
    const timer = limit ? setTimeout(() => this.#break(new Error(READ_TIMEOUT)), Number(limit)) : undefined;
    try {
      const running = conversation.run(bytes, isWhole(mode), first);
      if (this.#leaving === borrow && borrow !== '') this.#abandon();
      return this.#heardAll(await running);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The end of what was said to the server: what has come, and if that is not all, why. */
  #heardAll(part: Part | undefined): Partial<Answer> {
    const own = this.#ownTypes.size > 0 ? { own: [...this.#ownTypes] } : {};
    if (this.#broken === undefined) return { ...part, ...own };
    return { ...part, ...own, error: sendError(this.#broken), ...(wasIdle(this.#saidLast) ? { unsent: true } : {}) };
  }

  /** What is asked first, and what may go behind it. `told` is for the first. Alone, it is as any other. */
  async #converseTogether(
    borrow: string,
    args: readonly unknown[],
    company: Company,
    told: (answer: Answer) => void,
    converse: () => Promise<Partial<Answer>>,
  ): Promise<Partial<Answer>> {
    const session = this;
    const begin = (): void => {
      this.#saidLast = undefined;
      this.#ownTypes.clear();
    };
    const batch = new Batch(
      this.#wire,
      {
        touch: (text) => this.#touch(readStatement(text)),
        told: (bytes) => {
          const answer = { ...this.#stateFor(borrow), ...this.#heardAll({ bytes: packed(bytes), more: false }) };
          begin();
          return answer;
        },
        cancel: () => void this.#cancel(),
        get isDone() {
          return session.#isLost || session.#isSoiled;
        },
      },
      args,
      company,
    );
    if (batch.size < 2) return batch.alone(converse);
    begin();
    this.#batch = batch;
    await batch.run(told);
    this.#batch = undefined;
    return {};
  }

  async #sayMore(conversation: Conversation, bytes: Buffer, mode: number): Promise<Answer> {
    try {
      if (!conversation.isOver) {
        this.#touchAll(this.#wire.read(bytes), mode);
        conversation.say(bytes);
      }
    } catch (error) {
      this.#break(error as Error);
    }
    return { ...this.#state(), more: !conversation.isOver };
  }

  #touchAll(said: readonly Said[], mode: number): void {
    for (const { text } of said) this.#touch(longReadingOf(mode, text));
  }

  async reset(borrow: string): Promise<void> {
    if (this.#isEnding) return;
    // A submission that is never ended holds the turn, or will when its turn comes.
    this.#leaving = borrow;
    if (borrow === this.#borrow) this.#abandon();
    this.#tellListening();
    const { error } = await this.#answer(undefined, async () => {
      if (borrow !== this.#borrow || !this.#isUnclean()) return {};
      // If the borrower goes on all the same, it must not go on as if nothing had happened.
      if (this.#isOpen()) this.#isUndone = true;
      await this.#clean();
      return {};
    });
    if (error !== undefined) throw receiveError(error);
  }

  // ── taking turns

  #exclusive<V>(body: () => Promise<V>): Promise<V> {
    const turn = this.#tail.then(body);
    this.#tail = turn.catch(() => {});
    return turn;
  }

  /** Calls before the first borrower. They are made one after the other, while that borrower's turn has to wait. */
  #early<V>(body: () => Promise<V>): Promise<V> {
    const turn = (this.#setup ?? Promise.resolve()).then(body);
    this.#setup = turn.catch(() => {});
    return turn;
  }

  /** Resolves when a listener asks nothing more: one that was answered may go on from there. */
  async #settingUp(): Promise<void> {
    for (let last: Promise<unknown> | undefined; last !== this.#setup; ) {
      last = this.#setup;
      await last;
      await new Promise(setImmediate);
    }
    this.#setup = undefined;
  }

  /** Resolves when no transaction is open, or the connection is lost. */
  #transactionsEnd(): Promise<void> {
    if (this.#status() === 'I' || this.#isLost) return Promise.resolve();
    return new Promise((resolve) => this.#whenEnded.push(resolve));
  }

  #tellEnded(): void {
    for (const then of this.#whenEnded.splice(0)) then();
  }

  /** Takes a turn and makes its answer. A query under way keeps the process alive; an idle connection does not. */
  #answer(
    borrow: string | undefined,
    body: () => Promise<Partial<Answer>>,
    inTurn = (turn: () => Promise<Answer>): Promise<Answer> => this.#exclusive(turn),
  ): Promise<Answer> {
    if (this.#underWay++ === 0) internals(this.#client).ref();
    const cancels = this.#cancels;
    return inTurn(async (): Promise<Answer> => {
      const isFirst = borrow !== undefined && (isOnce(borrow) || borrow !== this.#borrow);
      if (isFirst && performance.now() - this.#usedAt >= SETTLED) await this.#news();
      // The cancel must not hit what comes next. What waited meanwhile was meant by it as well.
      if (this.#cancelling !== undefined) await this.#cancelled();
      if (borrow === this.#borrow && cancels !== this.#cancels)
        return { ...this.#stateFor(borrow), error: sendError(new Error('canceled before it was sent')) };
      if (isFirst && this.#setup !== undefined) await this.#settingUp();
      const lost = this.#broken ?? (this.#isEnding ? new Error('Connection terminated') : undefined);
      if (lost !== undefined) return { ...this.#state(), error: this.#sent(lost), unsent: this.#revoked === undefined };
      try {
        if (isFirst) {
          this.#begin(borrow);
          if (this.#isUnclean()) await this.#clean();
        }
      } catch (error) {
        return { ...this.#state(), error: sendError(error), unsent: true };
      }
      try {
        if (isFirst && profileOf(borrow) !== this.#profile) await this.#change(profileOf(borrow));
      } catch (error) {
        return { ...this.#state(), error: sendError(error) };
      }
      if (!isFirst && borrow === this.#borrow && this.#isUndone) return { ...this.#stateFor(borrow), error: sendError(new Error(UNDONE)) };
      try {
        const answer: Partial<Answer> = await body();
        await this.#settleRefusal();
        return Object.assign(answer, this.#stateFor(borrow));
      } catch (error) {
        await this.#readyAfter(error);
        await this.#settleRefusal();
        return {
          ...this.#stateFor(borrow),
          error: this.#sent(error),
          ...(this.#broken !== undefined && wasIdle(error) ? { unsent: true } : {}),
        };
      }
    }).finally(() => {
      this.#usedAt = performance.now();
      if (--this.#underWay === 0) internals(this.#client).unref();
    });
  }

  #sent(error: unknown): SentError {
    return this.#revoked === undefined ? sendError(error) : { ...sendError(this.#revoked), itself: this.#revoked };
  }

  /** Hears what the socket has to say of the idle time (the server may have hung up) before anything is sent on it. */
  async #news(): Promise<void> {
    // One turn of the event loop may have looked at the sockets already; so it takes two.
    for (let turns = 0; turns < 2; turns++) await new Promise(setImmediate);
  }

  async #cancelled(): Promise<void> {
    await this.#cancelling;
    this.#cancelling = undefined;
  }

  /** Another borrower begins: what the last one forgot has to be undone now. */
  #begin(borrow: string): void {
    this.#isNew = false;
    this.#isUndone = false;
    this.#borrow = borrow;
    this.#tellListening();
    this.#heard = [];
  }

  /** Resolves after an error, when the session is ready for something else or known to be lost. */
  #readyAfter(error: unknown): Promise<void> {
    if (isReadTimeout(error)) this.#break(error);
    return this.#whenReady();
  }

  /** The driver tells an error at once, and the server is ready a little later. Only then its word on the transaction is new. */
  #whenReady(): Promise<void> {
    if (this.#isLost || internals(this.#client).readyForQuery) return Promise.resolve();
    return new Promise((resolve) => {
      const { connection } = internals(this.#client);
      const done = (): void => {
        connection.off('readyForQuery', done);
        this.#client.off('error', done);
        this.#client.off('end', done);
        // The driver's own listener has read the message by then, whichever listener comes first.
        setImmediate(resolve);
      };
      connection.on('readyForQuery', done);
      this.#client.on('error', done);
      this.#client.on('end', done);
    });
  }

  // ── what is known

  /** The server's own word, from the last time when it was ready. */
  #status(): TransactionStatus {
    return this.#transaction;
  }

  /** Something is open that the borrower comes back for. */
  #isOpen(): boolean {
    return this.#status() !== 'I' || this.#submissions.isOpen || this.#wire.isLent || this.#leftovers.isOnPurpose;
  }

  #isUnclean(): boolean {
    return this.#isSoiled || this.#submissions.isOpen || this.#wire.isLent;
  }

  /** What was answered has left something. */
  get #isSoiled(): boolean {
    return this.#status() !== 'I' || this.#leftovers.isAny || this.#refusal !== undefined;
  }

  #state(): Answer {
    const heard = this.#heard;
    const turn = ++this.#answers;
    if (heard.length > 0) this.#heard = [];
    const status = this.#status();
    const state: { -readonly [K in keyof Answer]: Answer[K] } = {
      turn,
      pid: this.processID,
      status,
      unclean: this.#isUnclean(),
      pinned: this.#isOpen(),
    };
    if (this.#isLost) state.broken = true;
    if (heard.length > 0) state.heard = heard;
    return state;
  }

  /** The state of the session as that borrower is told it. */
  #stateFor(borrow: string | undefined): Answer {
    return this.#isUndone && borrow === this.#borrow ? { ...this.#state(), undone: true } : this.#state();
  }

  /** Called before a text is sent. Notes what it may leave behind, and what it asks for. */
  #touch(reading: Reading): void {
    this.#leftovers.touch(reading);
    const isFirst = this.#status() === 'I';
    this.#asksReadOnly = reading.asksReadOnly || (!isFirst && this.#asksReadOnly);
  }

  #hear(event: Heard['event'], message: object): void {
    if (this.#heard.length < MOST_HEARD) this.#heard.push({ event, message: { ...message } });
    this.#tellListening();
  }

  #tellListening(): void {
    for (const { borrow, resolve } of this.#listening.splice(0))
      resolve(borrow !== this.#borrow || this.#leaving === borrow ? OVER : this.#stateFor(borrow));
  }

  #completed(text: string): void {
    if (ENDS.test(text)) this.#saidEnd = true;
  }

  get #isLost(): boolean {
    return this.#broken !== undefined || this.#isEnding;
  }

  #break(error: Error): void {
    if (this.#isLost) return;
    this.#broken = error;
    this.#submissions.abandon();
    this.#wire.drop();
    this.#tellEnded();
    this.#tellListening();
    this.#origin.broke(this, error);
  }

  // ── whether the next borrower may have it

  /** Called for every error of the server on this connection, whatever it was an answer to. */
  #judge(error: Error): void {
    if (saysGone(error)) this.#origin.unfit(this, error);
    else if (mayBeReadOnly(error) && !this.#asksReadOnly) this.#refusal ??= error;
  }

  /** Settles whether read-only was asked for: when no transaction is open, and before a reset changes the server's answer. */
  async #settleRefusal(): Promise<void> {
    const refusal = this.#refusal;
    if (refusal === undefined || this.#status() !== 'I' || this.#isLost) return;
    const asking = isToBlame(this.#client, refusal);
    const isUnfit = await this.#inTime('asking a connection why it is read-only', asking).catch(() => true);
    // Not before: until then the connection goes to no other borrower.
    this.#refusal = undefined;
    if (isUnfit) this.#origin.unfit(this, refusal);
  }

  async #run(...statement: StatementArguments): Promise<Partial<Answer>> {
    const [text = '', values, , mode] = statement;
    const reading = readingOf(mode, text);
    if (!isOfProfile(mode) || this.#status() !== 'I') {
      this.#touch(reading);
      return this.#ownIn(mode, await this.#runner.run(reading, ...statement));
    }
    const results = await this.#runner.run(reading, ...statement);
    this.#profile = profileWith(this.#profile ?? '', text, values);
    return this.#ownIn(mode, results);
  }

  // ── cleaning

  /** Makes the session as good as new, within `checkTimeout`. If that fails, the connection must not be used any more. */
  async #clean(): Promise<void> {
    try {
      await this.#inTime('resetting a connection', this.#undo());
    } catch (error) {
      this.#break(error as Error);
      throw error;
    }
  }

  /** Rejects if it takes longer than `checkTimeout`. */
  async #inTime<V>(what: string, done: Promise<V>): Promise<V> {
    const { checkTimeout } = this.#settings;
    if (checkTimeout <= 0) return done;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} took longer than ${checkTimeout} ms`)), checkTimeout);
    });
    try {
      return await Promise.race([done, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sets the session to another profile. If the server refuses some of it, the session is reset before the next borrower. */
  async #change(profile: string): Promise<void> {
    const isAsMade = this.#profile === '';
    this.#profile = undefined;
    const change = async (): Promise<void> => {
      if (!isAsMade) await this.#renew();
      for (const statement of statementsOf(profile)) await this.#client.query(statement);
      if (this.#status() !== 'I') throw new Error('what is set in a session before its first query must not begin a transaction');
    };
    try {
      await this.#inTime('setting up a connection', change());
    } catch (error) {
      await this.#readyAfter(error);
      if ((error as { severity?: unknown }).severity === undefined) this.#break(error as Error);
      throw error;
    }
    this.#profile = profile;
  }

  #renew(): Promise<void> {
    return this.#leftovers.undo(this.#client, () => this.#runner.forgetStatements());
  }

  async #undo(): Promise<void> {
    this.#portals.forget();
    if (this.#status() !== 'I') await this.#client.query('ROLLBACK');
    await this.#settleRefusal();
    if (!this.#leftovers.isAny) return;
    await this.#renew();
    this.#profile = '';
  }

  // ── the end

  /**
   * Takes the connection from its borrower, which is told why. A backend at work does not notice that its socket has gone, and would keep
   * its locks, so what runs is cancelled first. If the server does not react within `limit` ms, the connection is cut.
   */
  abort(why: Error, limit: number): Promise<void> {
    this.#revoked = why;
    return this.end(limit);
  }

  /**
   * Ends the connection, and resolves when the server has closed it: its backend is gone by then. What still runs there is cancelled first.
   * If the server does not react within `limit` ms, the connection is cut.
   */
  async end(limit = GIVE_UP): Promise<void> {
    this.#isEnding = true;
    this.#batch?.release();
    this.#abandon();
    this.#tellEnded();
    this.#tellListening();
    const { checkTimeout } = this.#settings;
    // This comes before the pool takes the connection for gone.
    await endClient(this.#client, () => this.#origin.cancel(), checkTimeout > 0 ? Math.min(limit, checkTimeout * 0.8) : limit);
  }
}

/** A borrow for one call has no name of its own. */
const isOnce = (borrow: string): boolean => borrow === withProfile('', profileOf(borrow));

/** The readings of the texts that these messages send. */
const readingsOf = (messages: readonly ClientMessage[]): Reading[] =>
  messages.flatMap(([type, body]) =>
    type === 'parse' ? readStatement((body as { text: string }).text) : type === 'query' ? readStatement(body as string) : [],
  );

/** The names of the statements that these messages prepare. */
const namesOf = (messages: readonly ClientMessage[]): string[] =>
  messages.flatMap(([type, body]) => (type === 'parse' && (body as { name?: string }).name) || []);
