/** One connection, on the owner, as its borrowers and the pool call it: what they may ask of it, and what each does in its turn. */
import type { Client } from 'pg';
import type { Company } from '../../shared/options/company.ts';
import { UNPARSED } from '../driver/runner.ts';
import { assertNoCopyIn } from '../messages/copy.ts';
import { receiveError, type SentError, sendOwnError } from '../messages/database-error.ts';
import { isHeeded, isOfProfile, RAW, readingOf } from '../messages/mode.ts';
import { withProfile } from '../messages/profile.ts';
import type { Answer, ClientMessage, SessionMethods, StatementArguments } from '../messages/protocol.ts';
import { type Reading, readStatement } from '../sql/dirt.ts';
import { Conversations } from './conversations.ts';
import { type Origin, SessionCore, type SessionSettings } from './session-core.ts';

/** How long the end of a connection may take before it is cut, in ms. */
const GIVE_UP = 3000;

export class Session implements SessionMethods {
  readonly #core: SessionCore;
  readonly #conversations: Conversations;

  constructor(client: Client, settings: SessionSettings, origin: Origin) {
    this.#core = new SessionCore(client, settings, origin);
    this.#conversations = new Conversations(this.#core);
  }

  get processID(): number {
    return this.#core.backend.processID;
  }

  /** The borrower that has the session, or had it last. */
  get borrow(): string {
    return this.#core.life.borrow;
  }

  /** The server is at work for a borrower, which will be told of whatever happens. */
  get isAtWork(): boolean {
    return !this.#core.backend.isReady;
  }

  /**
   * That attachment is gone. What it has begun on the socket by itself is not known, so the connection is lost; what it has left is undone.
   */
  orphan(attachment: number): void {
    const { custodian } = this.#core;
    if (!custodian.isWith(attachment)) return;
    if (custodian.isAway) this.#core.break(new Error('the thread that has spoken on this connection is gone'));
    else void this.#core.answer('', async () => ({}));
  }

  /**
   * A borrower has ended without giving it back: what it has left is undone. If it speaks on the socket, the connection goes to no other
   * one.
   */
  forsaken(): void {
    if (this.#core.custodian.isAway) return this.#core.condemn(new Error('the borrower of this connection has not given back its socket'));
    this.#core.leave(this.borrow);
    void this.#core.answer('', async () => ({}));
  }

  /** Reads the socket again, if no borrower does, so that the server can say that it hangs up. */
  recall(): void {
    this.#core.custodian.recall();
  }

  /** Why the connection is lost, if it is. */
  get broken(): Error | undefined {
    return this.#core.life.broken;
  }

  // ── for the owner

  /** For the healthcheck. The session has no borrower meanwhile. */
  async isAlive(): Promise<boolean> {
    const { error } = await this.#core.answer('', async () => {
      await this.#core.backend.client.query('SELECT 1');
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
    return { hello: () => this.#core.answer(undefined, async () => ({})), run: (_, ...statement) => this.#setUp(statement) };
  }

  /** A parser for this connection, for as long as it lives, whichever thread borrows it. */
  setTypeParser(...parser: unknown[]): void {
    this.#core.backend.setTypeParser(...parser);
  }

  async #setUp(statement: StatementArguments): Promise<Answer> {
    const run = async (): Promise<Partial<Answer>> => {
      const [text = '', values, , mode] = statement;
      const reading = readingOf(mode, text);
      const results = await this.#core.runner.run(reading, ...statement);
      this.#core.leftovers.adopt(reading, text, values);
      return { results };
    };
    if (this.#core.life.isNew) return this.#core.answer(undefined, run, (body) => this.#core.turns.takeEarly(body));
    for (;;) {
      let isOpen = false;
      const answer = await this.#core.answer(undefined, async () => {
        isOpen = this.#core.transaction.isOpen;
        if (isOpen) return {};
        const said = await run();
        if (!this.#core.transaction.isOpen) return said;
        await this.#core.backend.client.query('ROLLBACK');
        throw new Error('a connect listener cannot leave a transaction open once the connection is in use: configure it in onConnect');
      });
      if (!isOpen) return answer;
      if (!this.#core.life.isOver) await this.#core.transaction.ended();
    }
  }

  // ── for borrowers

  hello(borrow: string): Promise<Answer> {
    return this.#core.answer(borrow, async () => ({}));
  }

  run(borrow: string, ...statement: StatementArguments): Promise<Answer> {
    return this.#core.answer(borrow, () => this.#run(...statement));
  }

  once(...[profile, ...statement]: [profile: string, ...StatementArguments]): Promise<Answer> {
    return this.#core.answerOnce(withProfile('', profile), async () => {
      const answer = await this.#run(...statement);
      return { ...answer, ...this.#core.ownTypes.parsed(answer, statement[3]) };
    });
  }

  begin(borrow: string, begin: string, savepoint: string): Promise<Answer> {
    return this.#core.answer(borrow, () =>
      this.#run(this.#core.transaction.isOpen ? `SAVEPOINT ${savepoint}` : begin, undefined, undefined, 0, undefined),
    );
  }

  fetch(borrow: string, cursor: string, rows: number, ...statement: StatementArguments): Promise<Answer> {
    return this.#core.answer(borrow, async () => {
      if (!this.#core.portals.has(cursor)) {
        const [text = '', values, , mode] = statement;
        const reading = readingOf(mode, text);
        assertNoCopyIn(reading);
        this.#core.touch(reading);
        if (!this.#core.transaction.isOpen) {
          await this.#core.backend.client.query('BEGIN');
          this.#core.portals.ownTransaction = true;
        }
        this.#core.portals.open(cursor, text, values, (mode & RAW) === 0 ? undefined : UNPARSED);
      }
      const { results, ...rest } = await this.#core.portals.fetch(cursor, rows);
      return { ...rest, ...this.#core.ownTypes.in(statement[3], results!) };
    });
  }

  close(borrow: string, cursor: string): Promise<Answer> {
    return this.#core.answer(borrow, async () => {
      await this.#core.portals.close(cursor);
      if (!this.#core.portals.ownTransaction || this.#core.portals.isAnyLeft) return {};
      this.#core.portals.ownTransaction = false;
      if (!this.#core.transaction.isOpen) return {};
      const { command } = await this.#core.backend.client.query('COMMIT');
      return { rolledBack: command === 'ROLLBACK' };
    });
  }

  /** A submission's first call holds the turn until the server is ready again. Its other calls come while it does. */
  submit(borrow: string, submission: string, messages: readonly ClientMessage[], parsed: boolean): Promise<Answer> {
    if (this.#core.submissions.knows(submission)) {
      for (const reading of readingsOf(messages)) this.#core.touch(reading);
      return this.#core.submissions.send(submission, messages).then((said) => ({ ...this.#core.state(), messages: said }));
    }
    return new Promise((resolve, reject) => {
      this.#core
        .answer(borrow, async () => {
          const readings = readingsOf(messages);
          if (messages.some(([type]) => type === 'parse')) readings.forEach(assertNoCopyIn);
          for (const reading of readings) this.#core.touch(reading);
          await this.#core.runner.lendNames(namesOf(messages));
          const first = this.#core.submissions.open(submission, messages, parsed);
          const { ended } = this.#core.submissions;
          if (this.#core.life.hasLeft(borrow)) this.#core.submissions.abandon();
          const said = await first;
          if (this.#core.submissions.isOpen) resolve({ ...this.#core.state(), messages: said });
          await ended;
          return { messages: said };
        })
        .then(resolve, reject);
    });
  }

  speak(...call: Parameters<SessionMethods['speak']>): Promise<Answer> {
    return this.#conversations.speak(...call);
  }

  hear(borrow: string, name: string): Promise<Answer> {
    return this.#conversations.hear(borrow, name);
  }

  /** `company`: statements of the same thread that wait behind this one, and may go with it. */
  speakOnce(...call: [...Parameters<SessionMethods['speakOnce']>, company?: Company]): Promise<Answer> {
    return this.#conversations.speakOnce(...call);
  }

  adopt(borrow: string, attachment: number, hasDescriptor: boolean): Promise<Answer> {
    return this.#core.answer(borrow, async () => {
      const socket = this.#core.offerSocket(borrow, attachment, hasDescriptor);
      return socket === undefined ? {} : { socket };
    });
  }

  async comesBack(borrow: string): Promise<Answer> {
    const { custodian, life } = this.#core;
    await custodian.whenBack(() => life.isOver);
    return this.hello(borrow);
  }

  ownTypes(types: readonly number[]): number[] {
    return types.filter((oid) => this.#core.ownTypes.has(oid));
  }

  judge(borrow: string, error: SentError): Promise<Answer> {
    return this.#core.answer(borrow, async () => {
      this.#core.judge(receiveError(error));
      return {};
    });
  }

  lost(error: SentError): SentError | undefined {
    const { takenBack } = this.#core.life;
    if (takenBack !== undefined) return sendOwnError(takenBack);
    this.#core.break(receiveError(error));
    return undefined;
  }

  interrupt(): Promise<void> {
    return this.#core.cancels.request();
  }

  parse(columns: Parameters<SessionMethods['parse']>[0]): unknown[][] {
    return this.#core.ownTypes.parse(columns);
  }

  listen(borrow: string): Promise<Answer> {
    return this.#core.listen(borrow);
  }

  async cancel(borrow: string): Promise<void> {
    if (this.#core.custodian.isAway) return this.interrupt();
    if (borrow !== this.#core.life.borrow || this.#core.backend.uses === 0) return;
    this.#core.speech.batch?.release();
    await this.#core.cancels.cancel();
  }

  async giveUp(): Promise<void> {
    this.#core.break(new Error('the borrower of this connection has stopped waiting for its answer'));
    if (this.isAtWork) await this.#core.cancels.untilReady();
  }

  async reset(borrow: string): Promise<void> {
    // What that borrower has left another one has found undone, or is at work on.
    if (this.#core.life.isEnded || this.#core.custodian.isElsewhere(Number.parseInt(borrow, 10))) return;
    this.#core.leave(borrow);
    const { error } = await this.#core.answer(
      undefined,
      async () => {
        if (borrow !== this.#core.life.borrow || !this.#core.isUnclean) return {};
        // If the borrower goes on all the same, it must not go on as if nothing had happened.
        if (this.#core.isOpen) this.#core.life.undo();
        await this.#core.clean();
        return {};
      },
      undefined,
      borrow,
    );
    if (error !== undefined) throw receiveError(error);
  }

  async #run(...statement: StatementArguments): Promise<Partial<Answer>> {
    const [text = '', values, , mode] = statement;
    const reading = readingOf(mode, text);
    const isSetting = isOfProfile(mode) && !this.#core.transaction.isOpen;
    if (!isSetting) this.#core.touch(reading);
    if (isHeeded(mode)) this.#core.hearing.heed();
    try {
      const results = await this.#core.runner.run(reading, ...statement);
      if (isSetting) this.#core.cleaning.adopt(text, values);
      return this.#core.ownTypes.in(mode, results);
    } catch (error) {
      // It may be in force, and its asker does not count it to its profile: its answer cannot be read, for example.
      if (isSetting) this.#core.touch(reading);
      throw error;
    }
  }

  // ── the end

  /**
   * Takes the connection from its borrower, which is told why. A backend at work does not notice that its socket has gone, and would keep
   * its locks, so what runs is cancelled first. If the server does not react within `limit` ms, the connection is cut.
   */
  abort(why: Error, limit: number): Promise<void> {
    this.#core.life.takeBack(why);
    return this.#core.hangUp(limit);
  }

  /**
   * Ends the connection, and resolves when the server has closed it: its backend is gone by then. What still runs there is cancelled first.
   * If the server does not react within `limit` ms, the connection is cut.
   */
  end(limit = GIVE_UP): Promise<void> {
    this.#core.life.end();
    return this.#core.hangUp(limit);
  }
}

/** The readings of the texts that these messages send. */
const readingsOf = (messages: readonly ClientMessage[]): Reading[] =>
  messages.flatMap(([type, body]) =>
    type === 'parse' ? readStatement((body as { text: string }).text) : type === 'query' ? readStatement(body as string) : [],
  );

/** The names of the statements that these messages prepare. */
const namesOf = (messages: readonly ClientMessage[]): string[] =>
  messages.flatMap(([type, body]) => (type === 'parse' && (body as { name?: string }).name) || []);
