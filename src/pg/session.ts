/**
 * One connection, on the owner: the driver's client, and what is known of the session behind it. What workers call are its methods.
 *
 * Whatever uses the client does so in `#exclusive`, one after the other: at the end of each the server is ready for the next, and its word on the
 * transaction is read. Every answer says how the session is left, so that whoever gives it back needs to ask nobody.
 */
import type { Client, CustomTypesConfig, QueryConfig, QueryResult } from 'pg';
import { NO_COPY } from './copy.ts';
import { receiveError, sendError } from './database-error.ts';
import { CLEAN, DIRTY, type Dirt, readStatement } from './dirt.ts';
import { closeAll, internals, isReadTimeout } from './driver.ts';
import { cancelUntilReady, endClient } from './ending.ts';
import { LeftAsText } from './left-as-text.ts';
import { EXTENDED, RAW } from './mode.ts';
import { Portals } from './portals.ts';
import type { Answer, ClientMessage, Heard, SessionMethods, StatementArguments, TransactionStatus } from './protocol.ts';
import { type SentResult, sendResults } from './results.ts';
import { Statements } from './statements.ts';
import { Submissions } from './submissions.ts';

export interface SessionSettings {
  readonly reset: 'auto' | 'always' | 'never';
  readonly statementCacheSize: number;
  /** Most time for a reset, in ms; 0: none. */
  readonly checkTimeout: number;
}

export interface Origin {
  /** What made the session what a new one is: run again after everything was discarded. */
  readonly setup: readonly QueryConfig[];
  /** Asks the server, over another connection, to cancel what this one runs. */
  cancel(): Promise<void>;
  /** Called once, when the connection is lost. */
  broke(session: Session, error: Error): void;
}

/** Text as it came, bytes as they came. */
const UNPARSED: CustomTypesConfig = { getTypeParser: () => (raw: unknown) => raw };

/** At most so many notices and notifications are kept for the next answer. */
const MOST_HEARD = 1000;
/** How long the end of a connection may take, in ms, before it is cut. */
const GIVE_UP = 3000;
/** A connection that was used so short a while ago, in ms, is as it was. */
const SETTLED = 1;

const discards = ({ command }: QueryResult<unknown[]>): boolean => command === 'DISCARD' || command === 'DEALLOCATE';

/** By `idle_session_timeout` the server ends only what it was idle for: what was sent at that moment it has not begun. Not so for 57P01. */
const wasIdle = (error: unknown): boolean => isAbout(error, '57P05');

/** Said about the statement itself, before it ran: what a function or a procedure in it complains of, by whatever code, has a context. */
function isAbout(error: unknown, ...codes: string[]): boolean {
  const { code, where } = (error ?? {}) as { code?: string; where?: unknown };
  return codes.includes(code!) && where === undefined;
}

export class Session implements SessionMethods {
  readonly #client: Client;
  readonly #settings: SessionSettings;
  readonly #statements: Statements;
  readonly #portals: Portals;
  readonly #submissions: Submissions;
  readonly #origin: Origin;
  readonly #setup: QueryConfig[];
  #tail: Promise<unknown> = Promise.resolve();
  #borrow = '';
  /** Who wants it to be reset. */
  #leaving = '';
  #dirt: Dirt = CLEAN;
  #isUsed = false;
  #isNew = true;
  #transaction: TransactionStatus;
  #cancels = 0;
  #cancelling: Promise<unknown> | undefined;
  #usedAt = performance.now();
  #underWay = 0;
  #broken: Error | undefined;
  #isEnding = false;
  #heard: Heard[] = [];
  #answers = 0;

  constructor(client: Client, settings: SessionSettings, origin: Origin) {
    this.#client = client;
    this.#settings = settings;
    this.#origin = origin;
    this.#statements = new Statements(settings.statementCacheSize);
    this.#portals = new Portals(client);
    this.#submissions = new Submissions(client, (error) => this.#break(error));
    const { connection } = internals(client);
    // A statement may be called like something that every object has. onConnect may have prepared some.
    connection.parsedStatements = Object.assign(Object.create(null), connection.parsedStatements);
    Object.assign(connection, { submittedNamedStatements: Object.create(null) });
    this.#setup = origin.setup.filter(({ text }) => readStatement(text).dirt !== CLEAN);
    this.#transaction = internals(client).getTransactionStatus?.() ?? 'I';
    connection.on('readyForQuery', ({ status }: { status: TransactionStatus }) => {
      this.#transaction = status;
    });
    client.on('error', (error) => this.#break(error));
    client.on('end', () => this.#break(new Error('Connection terminated unexpectedly')));
    client.on('notice', (message) => this.#hear('notice', message));
    client.on('notification', (message) => this.#hear('notification', message));
    internals(client).unref();
  }

  get processID(): number {
    return (this.#client as unknown as { processID: number }).processID;
  }

  /** Whose it is, or was last. */
  get borrow(): string {
    return this.#borrow;
  }

  /** The server is at work for somebody, who will be told of whatever happens. */
  get isAtWork(): boolean {
    return !internals(this.#client).readyForQuery;
  }

  // ── for the owner

  /** For the healthcheck: it is nobody's then. */
  async isAlive(): Promise<boolean> {
    const { error } = await this.#answer('', async () => {
      await this.#client.query('SELECT 1');
      return {};
    });
    return error === undefined;
  }

  /** The session for whoever configures it before its first borrower: what that sets belongs to it from then on. */
  forSetup(): Pick<SessionMethods, 'hello' | 'run'> {
    const setUp = (...statement: StatementArguments): Promise<Answer> =>
      this.#answer(undefined, async () => {
        if (!this.#isNew)
          throw new Error('the connection is in use already: configure it in onConnect, or before the connect listener returns');
        const [text = '', values] = statement;
        const answer = await this.#run(...statement);
        if (this.#dirt !== CLEAN) this.#setup.push({ text, ...(values === undefined ? {} : { values: [...values] }) });
        this.#dirt = CLEAN;
        this.#isUsed = false;
        return answer;
      });
    return { hello: () => this.#answer(undefined, async () => ({})), run: (_, ...statement) => setUp(...statement) };
  }

  // ── for borrowers

  hello(borrow: string): Promise<Answer> {
    return this.#answer(borrow, async () => ({}));
  }

  run(borrow: string, ...statement: StatementArguments): Promise<Answer> {
    return this.#answer(borrow, () => this.#run(...statement));
  }

  once(...statement: StatementArguments): Promise<Answer> {
    return this.#answer('', async () => {
      try {
        return await this.#run(...statement);
      } catch (error) {
        await this.#readyAfter(error);
        throw error;
      } finally {
        // If this fails the connection is lost, but what was run was run, and that is what is told.
        if (this.#isUnclean() && !this.#isLost) await this.#clean().catch(() => {});
      }
    });
  }

  fetch(borrow: string, cursor: string, rows: number, ...statement: StatementArguments): Promise<Answer> {
    return this.#answer(borrow, async () => {
      if (!this.#portals.has(cursor)) {
        const [text = '', values, , mode] = statement;
        assertNoCopyIn(text);
        if (this.#status() === 'I') {
          await this.#client.query('BEGIN');
          this.#portals.ownTransaction = true;
        }
        this.#touch(text);
        this.#portals.open(cursor, text, values, (mode & RAW) === 0 ? undefined : UNPARSED);
      }
      return this.#portals.fetch(cursor, rows);
    });
  }

  close(borrow: string, cursor: string): Promise<Answer> {
    return this.#answer(borrow, async () => {
      await this.#portals.close(cursor);
      if (!this.#portals.ownTransaction || this.#portals.size > 0) return {};
      this.#portals.ownTransaction = false;
      if (this.#status() === 'I') return {};
      const { command } = await this.#client.query('COMMIT');
      return { rolledBack: command === 'ROLLBACK' };
    });
  }

  /** The first call for a submission holds `#exclusive` until the server is ready again; the others come while it does. */
  submit(borrow: string, submission: string, messages: readonly ClientMessage[], parsed: boolean): Promise<Answer> {
    if (this.#submissions.knows(submission)) {
      this.#touchAll(messages);
      return this.#submissions.send(submission, messages).then((said) => ({ ...this.#state(), messages: said }));
    }
    return new Promise((resolve, reject) => {
      this.#answer(borrow, async () => {
        for (const [type, body] of messages) if (type === 'parse') assertNoCopyIn((body as { text: string }).text);
        this.#touchAll(messages);
        // The object does not know what is prepared here, and the driver does not know what it prepares.
        const names = namesOf(messages);
        for (const name of names) this.#statements.discard(name);
        if (names.length > 0) await this.#takeOutGarbage();
        for (const name of names) this.#statements.discard(name);
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

  async cancel(borrow: string): Promise<void> {
    if (borrow !== this.#borrow || this.#underWay === 0) return;
    this.#cancels++;
    const cancelling = cancelUntilReady(this.#client, () => this.#origin.cancel());
    this.#cancelling = Promise.all([this.#cancelling, cancelling]);
    await cancelling;
  }

  async reset(borrow: string): Promise<void> {
    if (this.#isEnding) return;
    // A submission that nobody will end holds the turn, or will when it comes to it.
    this.#leaving = borrow;
    if (borrow === this.#borrow) this.#submissions.abandon();
    const { error } = await this.#answer(undefined, async () => {
      if (borrow === this.#borrow && this.#isUnclean()) await this.#clean();
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

  /** A query under way keeps the process alive; an idle connection does not. */
  #answer(borrow: string | undefined, body: () => Promise<Partial<Answer>>): Promise<Answer> {
    if (this.#underWay++ === 0) internals(this.#client).ref();
    const cancels = this.#cancels;
    return this.#exclusive(async (): Promise<Answer> => {
      const isFirst = borrow !== undefined && (borrow === '' || borrow !== this.#borrow);
      if (isFirst && performance.now() - this.#usedAt >= SETTLED) await this.#news();
      // It must not hit what comes next. What waited meanwhile was meant by it as well.
      if (this.#cancelling !== undefined) await this.#cancelled();
      if (borrow === this.#borrow && cancels !== this.#cancels)
        return { ...this.#state(), error: sendError(new Error('canceled before it was sent')) };
      const lost = this.#broken ?? (this.#isEnding ? new Error('Connection terminated') : undefined);
      if (lost !== undefined) return { ...this.#state(), error: sendError(lost), unsent: true };
      try {
        if (isFirst) {
          this.#begin(borrow);
          if (this.#isUnclean()) await this.#clean();
        }
      } catch (error) {
        return { ...this.#state(), error: sendError(error), unsent: true };
      }
      try {
        return Object.assign(await body(), this.#state());
      } catch (error) {
        await this.#readyAfter(error);
        return { ...this.#state(), error: sendError(error), ...(this.#broken !== undefined && wasIdle(error) ? { unsent: true } : {}) };
      }
    }).finally(() => {
      this.#usedAt = performance.now();
      if (--this.#underWay === 0) internals(this.#client).unref();
    });
  }

  /** What the socket has to say of the time when nobody used it (the server has hung up) is heard before anything is sent on it. */
  async #news(): Promise<void> {
    // One turn of the event loop may have looked at the sockets already.
    for (let turns = 0; turns < 2; turns++) await new Promise(setImmediate);
  }

  async #cancelled(): Promise<void> {
    await this.#cancelling;
    this.#cancelling = undefined;
  }

  /** Another borrower: what was forgotten has to be undone now. */
  #begin(borrow: string): void {
    this.#isNew = false;
    this.#borrow = borrow;
    this.#heard = [];
  }

  /** After an error: ready for something else, or known to be lost. */
  #readyAfter(error: unknown): Promise<void> {
    if (isReadTimeout(error)) this.#break(error);
    return this.#whenReady();
  }

  /** After an error the driver tells at once, and the server is ready a little later. Only then its word on the transaction is new. */
  #whenReady(): Promise<void> {
    if (this.#isLost || internals(this.#client).readyForQuery) return Promise.resolve();
    return new Promise((resolve) => {
      const { connection } = internals(this.#client);
      const done = (): void => {
        connection.off('readyForQuery', done);
        this.#client.off('error', done);
        this.#client.off('end', done);
        // The driver's own listener has read it by then, whichever comes first.
        setImmediate(resolve);
      };
      connection.on('readyForQuery', done);
      this.#client.on('error', done);
      this.#client.on('end', done);
    });
  }

  // ── what is known

  /** The server's own word, from the last time it was ready. */
  #status(): TransactionStatus {
    return this.#transaction;
  }

  #isUnclean(): boolean {
    if (this.#status() !== 'I' || this.#submissions.isOpen) return true;
    const { reset } = this.#settings;
    return reset === 'always' ? this.#isUsed : reset === 'auto' && this.#dirt !== CLEAN;
  }

  #state(): Answer {
    const heard = this.#heard;
    const turn = ++this.#answers;
    if (heard.length > 0) this.#heard = [];
    const status = this.#status();
    const isOpen = this.#submissions.isOpen;
    const state: { -readonly [K in keyof Answer]: Answer[K] } = {
      turn,
      pid: this.processID,
      status,
      unclean: this.#isUnclean(),
      pinned: status !== 'I' || isOpen || this.#dirt === DIRTY,
      streaming: isOpen,
    };
    if (this.#isLost) state.broken = true;
    if (heard.length > 0) state.heard = heard;
    return state;
  }

  #touch(text: string): void {
    this.#isUsed = true;
    const { dirt } = readStatement(text);
    if (dirt > this.#dirt) this.#dirt = dirt;
  }

  #touchAll(messages: readonly ClientMessage[]): void {
    for (const [type, body] of messages)
      if (type === 'parse' || type === 'query') this.#touch(type === 'parse' ? (body as { text: string }).text : (body as string));
  }

  #hear(event: Heard['event'], message: object): void {
    if (this.#heard.length < MOST_HEARD) this.#heard.push({ event, message: { ...message } });
  }

  get #isLost(): boolean {
    return this.#broken !== undefined || this.#isEnding;
  }

  #break(error: Error): void {
    if (this.#isLost) return;
    this.#broken = error;
    this.#submissions.abandon();
    this.#origin.broke(this, error);
  }

  // ── running a statement

  async #run(...[text, values, name, mode, timeout]: StatementArguments): Promise<Partial<Answer>> {
    const { isPreparable } = readStatement(text ?? '');
    this.#touch(text ?? '');
    const isCached = name === undefined && isPreparable && this.#statements.isOn;
    const called = isCached ? this.#statements.name(text!) : name;
    if (called !== undefined && !isCached) this.#makeWayFor(called, text);
    if (this.#statements.hasGarbage) await this.#takeOutGarbage();
    try {
      return { results: await this.#query(text, values, called, mode, timeout) };
    } catch (error) {
      if (called === undefined) throw error;
      await this.#readyAfter(error);
      // Whatever it was, a statement that the driver does not know to be prepared is not.
      if (isCached && internals(this.#client).connection.parsedStatements[called] === undefined) this.#statements.forget(called);
      if (!isPreparable || !isAbout(error, '0A000', '26000')) throw error;
      this.#statements.discard(called);
      await this.#takeOutGarbage();
      if (this.#status() !== 'I') throw error;
      const again = isCached ? this.#statements.name(text!) : called;
      return { results: await this.#query(text, values, again, mode, timeout) };
    }
  }

  async #query(...[text, values, name, mode, timeout]: StatementArguments): Promise<SentResult | SentResult[]> {
    const config: Record<string, unknown> = { text, values, rowMode: 'array' };
    if (name !== undefined) config.name = name;
    const left = (mode & RAW) === 0 ? new LeftAsText(this.#client) : undefined;
    config.types = left ?? UNPARSED;
    if ((mode & EXTENDED) !== 0) config.queryMode = 'extended';
    if (config.name !== undefined || config.queryMode !== undefined) assertNoCopyIn(text ?? '');
    if (timeout !== undefined) config.query_timeout = timeout;
    const results = (await this.#client.query(config as never)) as unknown as QueryResult<unknown[]> | QueryResult<unknown[]>[];
    if (Array.isArray(results) ? results.some(discards) : discards(results)) this.#forgetStatements();
    return sendResults(results, left);
  }

  #forgetStatements(): void {
    this.#statements.clear();
    internals(this.#client).connection.parsedStatements = Object.create(null);
  }

  /** The name was somebody else's, for another text. */
  #makeWayFor(name: string, text: string | undefined): void {
    const before = internals(this.#client).connection.parsedStatements[name];
    if (before !== undefined && text !== undefined && before !== text) this.#statements.discard(name);
  }

  async #takeOutGarbage(): Promise<void> {
    const names = this.#statements.takeGarbage();
    const { parsedStatements } = internals(this.#client).connection;
    for (const name of names) delete parsedStatements[name];
    await closeAll(this.#client, 'S', names);
  }

  // ── cleaning

  /** As new, within `checkTimeout`; if that fails, the connection is not to be used any more. */
  async #clean(): Promise<void> {
    const { checkTimeout } = this.#settings;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      if (checkTimeout > 0)
        timer = setTimeout(() => reject(new Error(`resetting a connection took longer than ${checkTimeout} ms`)), checkTimeout);
    });
    try {
      await Promise.race([this.#undo(), late]);
    } catch (error) {
      this.#break(error as Error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #undo(): Promise<void> {
    const { reset } = this.#settings;
    this.#portals.forget();
    if (this.#status() !== 'I') await this.#client.query('ROLLBACK');
    if (reset === 'always' || (reset === 'auto' && this.#dirt !== CLEAN)) {
      await this.#client.query('DISCARD ALL');
      this.#forgetStatements();
      for (const config of this.#setup) await this.#client.query({ ...config });
    }
    this.#dirt = CLEAN;
    this.#isUsed = false;
  }

  // ── the end

  /**
   * Ends the connection, and resolves when the server has closed it: its backend is gone by then. What still runs there is cancelled first.
   * If the server does not react, the connection is cut.
   */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#submissions.abandon();
    const { checkTimeout } = this.#settings;
    // Before the pool takes it for gone.
    await endClient(this.#client, () => this.#origin.cancel(), checkTimeout > 0 ? Math.min(GIVE_UP, checkTimeout * 0.8) : GIVE_UP);
  }
}

/** By the extended protocol the server would wait for a second sync, which the driver does not send. Otherwise the driver tells it that nothing will come. */
function assertNoCopyIn(text: string): void {
  if (readStatement(text).isCopyIn) throw new Error(NO_COPY);
}

/** Of the statements that are prepared by these. */
const namesOf = (messages: readonly ClientMessage[]): string[] =>
  messages.flatMap(([type, body]) => (type === 'parse' && (body as { name?: string }).name) || []);
