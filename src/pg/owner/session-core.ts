/**
 * One connection on the owner, between and around the calls of its borrowers: the turn in which a call is made, what is known of the
 * session behind the connection, and how it is made clean and ended. What may be called is in `Session`.
 *
 * What uses the client does so in its turn, one after the other. At the end of each turn the server is ready for the next, and its word on
 * the transaction is read. Every answer says how the session is left, so that the borrower that gives it back need not ask.
 */
import { performance } from 'node:perf_hooks';
import type { Client, QueryConfig } from 'pg';
import { Backend } from '../driver/backend.ts';
import type { Descriptors } from '../driver/descriptors.ts';
import { DriverEnd } from '../driver/driver-end.ts';
import { endClient } from '../driver/ending.ts';
import { Portals } from '../driver/portals.ts';
import { isReadTimeout } from '../driver/read-timeout.ts';
import { Runner } from '../driver/runner.ts';
import { Submissions } from '../driver/submissions.ts';
import { Wire } from '../driver/wire.ts';
import { timeAt } from '../messages/clock.ts';
import { type SentError, sendError, sendOwnError } from '../messages/database-error.ts';
import { profileOf, withProfile } from '../messages/profile.ts';
import type { Answer, Heard, OfferedSocket, TransactionStatus } from '../messages/protocol.ts';
import { wasIdle } from '../messages/telling-errors.ts';
import { TransactionWatch } from '../messages/transaction-watch.ts';
import type { Dirt, Reading } from '../sql/dirt.ts';
import { Cancels } from './cancels.ts';
import { Cleaning } from './cleaning.ts';
import { Custodian, type LeftBy } from './custodian.ts';
import { Fitness } from './fitness.ts';
import { Hearing } from './hearing.ts';
import { Leftovers, type Reset } from './leftovers.ts';
import { OwnTypes } from './own-types.ts';
import type { ProfileNumbers } from './profile-numbers.ts';
import { SessionState } from './session-state.ts';
import { Speech } from './speech.ts';
import { Turns } from './turns.ts';

export interface SessionSettings {
  readonly reset: Reset;
  readonly statementCacheSize: number;
  /** The time limit of a reset, in ms. 0: no limit. */
  readonly checkTimeout: number;
  readonly descriptors: Descriptors;
  readonly profiles: ProfileNumbers;
}

export interface Origin {
  /** The statements that made the session what a new one is. They are run again after everything was discarded. */
  readonly setup: readonly QueryConfig[];
  /** Asks the server, over another connection, to cancel what this one runs. */
  cancel(): Promise<void>;
  /** Called once, when the connection is lost. */
  broke(error: Error): void;
  /** The connection still answers, but must go to no other borrower: the server is not what it was. */
  unfit(error: Error): void;
}

/** A connection whose last use ended less than this ago is taken to be as it was, in ms. */
const SETTLED = 1;

/** To a borrower that listens when its borrow is over: it says nothing of the session, which is another borrower's by now. */
const OVER: Answer = { turn: 0, pid: 0, status: 'I', unclean: false, pinned: false, over: true };
const NOTHING: readonly Heard[] = [];
const UNDONE = 'what was open on this connection has been ended, and rolled back, by something else than its borrower';

export class SessionCore {
  readonly backend: Backend;
  readonly #settings: SessionSettings;
  readonly #origin: Origin;
  /** Whose it is, and whether it is of use. */
  readonly life = new SessionState();
  readonly transaction: TransactionWatch;
  readonly turns = new Turns();
  readonly runner: Runner;
  readonly leftovers: Leftovers;
  readonly portals: Portals;
  readonly submissions: Submissions;
  readonly wire: Wire;
  readonly speech = new Speech();
  readonly hearing = new Hearing();
  readonly ownTypes: OwnTypes;
  readonly #fitness: Fitness;
  readonly cleaning: Cleaning;
  readonly cancels: Cancels;
  readonly custodian: Custodian;
  #usedAt = performance.now();
  #answers = 0;
  /** How a borrower has left the session to the owner. No borrower has had its turn since. */
  #left: LeftBy | undefined;

  constructor(client: Client, settings: SessionSettings, origin: Origin) {
    this.#settings = settings;
    this.#origin = origin;
    const backend = new Backend(client, {
      commandComplete: (text) => this.transaction.completed(text),
      readyForQuery: (status) => this.#ready(status),
      errorMessage: (error) => this.judge(error),
      heard: (event, message) => this.#hear(event, message),
      lost: (error) => this.break(error),
    });
    this.backend = backend;
    const transaction = new TransactionWatch(backend.status);
    this.transaction = transaction;
    const runner = new Runner(client, settings.statementCacheSize, {
      status: () => transaction.status,
      readyAfter: (error) => this.readyAfter(error),
    });
    this.runner = runner;
    const leftovers = new Leftovers(settings.reset, origin.setup);
    this.leftovers = leftovers;
    const portals = new Portals(client);
    this.portals = portals;
    this.ownTypes = new OwnTypes(backend);
    this.submissions = new Submissions(client, this.ownTypes, (error) => this.break(error));
    const fitness = new Fitness(backend, transaction, settings.checkTimeout);
    this.#fitness = fitness;
    this.cleaning = new Cleaning({ backend, transaction, leftovers, portals, runner, fitness }, settings.checkTimeout);
    this.cancels = new Cancels(backend, () => origin.cancel());
    this.custodian = new Custodian(backend, settings.descriptors);
    this.wire = new Wire(new DriverEnd(client), {
      commandComplete: (text) => this.transaction.completed(text),
      columns: (types) => {
        for (const oid of types) if (this.ownTypes.has(oid)) this.speech.noteOwnType(oid);
      },
      error: (error) => {
        this.speech.noteError(error);
        this.judge(error);
      },
      ready: () => {},
    });
  }

  // ── the turn

  /**
   * Takes a turn and makes its answer. A query under way keeps the process alive; an idle connection does not. `last`: the borrower that
   * has had the socket, if it is that one which calls.
   */
  answer(
    borrow: string | undefined,
    body: () => Promise<Partial<Answer>>,
    inTurn = (turn: () => Promise<Answer>): Promise<Answer> => this.turns.take(turn),
    last = borrow,
  ): Promise<Answer> {
    this.backend.use();
    const cancels = this.cancels.count;
    return inTurn(async () => {
      await this.#regain(last);
      const isFirst = borrow !== undefined && (isOnce(borrow) || borrow !== this.life.borrow);
      return (await this.#refusal(borrow, isFirst, cancels)) ?? (await this.#answerIn(borrow, body));
    }).finally(() => {
      this.#usedAt = performance.now();
      this.backend.unuse();
    });
  }

  /** The same for a borrow that is for this one call: the session is clean afterwards, and the answer says when the call had it. */
  async answerOnce(borrow: string, body: () => Promise<Partial<Answer>>): Promise<Answer> {
    let granted: number | undefined;
    const answer = await this.answer(borrow, () => {
      granted = timeAt(performance.now());
      return this.cleanAfter(body);
    });
    return granted === undefined ? answer : Object.assign(answer, { granted });
  }

  /** The owner's driver speaks to the server again, and knows how the borrower has left the session that has spoken there by itself. */
  async #regain(last: string | undefined): Promise<void> {
    const { custodian, life } = this;
    // A 'connect' listener may ask something at any time.
    if (last === undefined) await custodian.whenBack(() => life.isOver);
    if (life.isOver) return;
    try {
      const left = custodian.regain();
      if (left !== undefined) {
        this.transaction.resume(left.status, left.asksReadOnly);
        this.leftovers.touch({ dirt: left.dirt as Dirt });
        this.#left = left;
      }
      // A 'connect' listener comes between: whose turn is next is still to be seen.
      if (last === undefined) return;
      const { attachment, isUndone } = this.#left ?? NOT_LEFT;
      this.#left = undefined;
      // The borrower that calls goes on. What a borrower that is gone has left is undone before this call.
      if (attachment === undefined || attachment !== Number.parseInt(last, 10)) return;
      life.begin(last);
      if (isUndone) life.undo();
    } catch (error) {
      this.break(error as Error);
    }
  }

  /** Offers the socket to the thread of that borrow, if its session is one that can be spoken to there. */
  offerSocket(borrow: string, attachment: number, hasDescriptor: boolean): OfferedSocket | undefined {
    const { backend, leftovers } = this;
    const isKnown = this.cleaning.profile === profileOf(borrow) && !this.resetsAlways && !this.#fitness.isInDoubt;
    const isQuiet = backend.isReady && !this.portals.isAnyLeft && !this.submissions.isOpen && !this.wire.isLent;
    const profile = this.#settings.profiles.of(profileOf(borrow));
    if (this.life.isOver || !isKnown || !isQuiet || profile === undefined) return undefined;
    const offered = this.custodian.offer(attachment, hasDescriptor);
    if (offered === undefined) return undefined;
    const { dirt } = leftovers;
    const { asksReadOnly } = this.transaction;
    return {
      ...offered,
      custody: this.custodian.buffer,
      dirt,
      asksReadOnly,
      profile,
      queryTimeout: backend.queryTimeout,
      types: this.ownTypes.usual(),
    };
  }

  /** Makes the session ready for a call of that borrower; or gives the answer, if the call cannot be made. */
  async #refusal(borrow: string | undefined, isFirst: boolean, cancels: number): Promise<Answer | undefined> {
    const life = this.life;
    // The server may have hung up in the idle time.
    if (isFirst && performance.now() - this.#usedAt >= SETTLED) await this.backend.news();
    // The cancel must not hit what comes next. What waited meanwhile was meant by it as well.
    if (this.cancels.isUnderWay) await this.cancels.settled();
    if (borrow === life.borrow && cancels !== this.cancels.count)
      return { ...this.stateFor(borrow), error: sendError(new Error('canceled before it was sent')) };
    if (isFirst && this.turns.isSettingUp) await this.turns.setUp();
    if (life.why !== undefined) return { ...this.state(), error: this.#sent(life.why), unsent: life.takenBack === undefined };
    try {
      if (isFirst) {
        this.#begin(borrow!);
        if (this.isUnclean) await this.clean();
      }
    } catch (error) {
      return { ...this.state(), error: sendError(error), unsent: true };
    }
    try {
      // If it was refused, what comes behind must not run without it.
      const isToSet = isFirst || (borrow !== undefined && this.cleaning.profile === undefined);
      if (isToSet && profileOf(borrow!) !== this.cleaning.profile) await this.#change(profileOf(borrow!));
    } catch (error) {
      return { ...this.state(), error: sendError(error) };
    }
    if (!isFirst && life.isUndoneFor(borrow)) return { ...this.stateFor(borrow), error: sendError(new Error(UNDONE)) };
    return undefined;
  }

  async #answerIn(borrow: string | undefined, body: () => Promise<Partial<Answer>>): Promise<Answer> {
    try {
      const answer: Partial<Answer> = await body();
      await this.#settleFitness();
      return Object.assign(answer, this.stateFor(borrow));
    } catch (error) {
      await this.readyAfter(error);
      await this.#settleFitness();
      const unsent = this.life.broken !== undefined && wasIdle(error) ? { unsent: true } : {};
      return { ...this.stateFor(borrow), error: this.#sent(error), ...unsent };
    }
  }

  #sent(error: unknown): SentError {
    const { takenBack } = this.life;
    return takenBack === undefined ? sendError(error) : sendOwnError(takenBack);
  }

  /** Another borrower begins: what the last one forgot has to be undone now. */
  #begin(borrow: string): void {
    this.life.begin(borrow);
    this.#tellListening();
    this.hearing.forget();
  }

  /** Resolves after an error, when the session is ready for something else or known to be lost. */
  readyAfter(error: unknown): Promise<void> {
    if (isReadTimeout(error)) this.break(error);
    return this.life.isOver ? Promise.resolve() : this.backend.whenReady();
  }

  // ── what is known

  /** Something is open that the borrower comes back for. */
  get isOpen(): boolean {
    return this.transaction.isOpen || this.submissions.isOpen || this.wire.isLent || this.leftovers.isOnPurpose;
  }

  /** Something has to be undone before the next borrower. */
  get isUnclean(): boolean {
    return this.isSoiled || this.submissions.isOpen || this.wire.isLent;
  }

  /** What was answered has left something. */
  get isSoiled(): boolean {
    return this.transaction.isOpen || this.leftovers.isAny || this.#fitness.isInDoubt;
  }

  /** A statement's text says nothing of what it leaves. */
  get resetsAlways(): boolean {
    return this.#settings.reset === 'always';
  }

  state(heard = this.hearing.take()): Answer {
    const turn = ++this.#answers;
    const { status } = this.transaction;
    const state: Answer = { turn, pid: this.backend.processID, status, unclean: this.isUnclean, pinned: this.isOpen };
    if (this.life.isOver) Object.assign(state, { broken: true });
    if (heard.length > 0) Object.assign(state, { heard });
    return state;
  }

  /** The state of the session as that borrower is told it. */
  stateFor(borrow: string | undefined): Answer {
    // What the server says unasked is for the borrower.
    if (borrow === undefined && !this.life.isNew) return this.state(NOTHING);
    return this.life.isUndoneFor(borrow) ? { ...this.state(), undone: true } : this.state();
  }

  /** Called before a text is sent. Notes what it may leave behind, and what it asks for. */
  touch(reading: Reading): void {
    this.leftovers.touch(reading);
    this.transaction.sends(reading);
  }

  #ready(status: TransactionStatus): void {
    if (this.transaction.ready(status)) this.life.undo();
    if (status === 'I') this.portals.lose();
  }

  #hear(event: Heard['event'], message: object): void {
    this.hearing.hear(event, message);
    this.#tellListening();
  }

  /** Resolves when the server says something unasked, or the borrow is over. */
  listen(borrow: string): Promise<Answer> {
    if (!this.life.isWith(borrow)) return Promise.resolve(OVER);
    this.hearing.heed();
    if (this.life.isOver || this.hearing.isAny) return Promise.resolve(this.stateFor(borrow));
    return this.hearing.listen(borrow);
  }

  #tellListening(): void {
    for (const { borrow, resolve } of this.hearing.takeListening()) resolve(this.life.isWith(borrow) ? this.stateFor(borrow) : OVER);
  }

  break(error: Error): void {
    const isNews = this.life.lose(error);
    // A conversation that goes on has no answer to wait for any more, even if the owner was ending it.
    this.wire.drop();
    if (!isNews) return;
    this.submissions.abandon();
    this.transaction.tellEnded();
    this.#tellListening();
    this.#origin.broke(error);
  }

  /** The connection is not lost, but goes to no other borrower. */
  condemn(why: Error): void {
    this.#origin.unfit(why);
  }

  /** Called for every error of the server on this connection, whatever it was an answer to. */
  judge(error: Error): void {
    this.#fitness.judge(error);
    this.#tellUnfit();
  }

  #tellUnfit(): void {
    const unfit = this.#fitness.takeUnfit();
    if (unfit !== undefined) this.condemn(unfit);
  }

  async #settleFitness(): Promise<void> {
    if (!this.life.isOver) await this.#fitness.settle();
    this.#tellUnfit();
  }

  /** The borrower says nothing more. A submission that it does not end holds the turn, or will when its turn comes. */
  leave(borrow: string): void {
    this.life.leave(borrow);
    if (borrow === this.life.borrow) this.abandon();
    this.#tellListening();
  }

  /** What the borrower has not ended will not be ended by it. */
  abandon(): void {
    this.submissions.abandon();
    try {
      this.speech.abandon();
    } catch (error) {
      this.break(error as Error);
    }
  }

  // ── cleaning

  /** Runs, and leaves the session clean. */
  async cleanAfter(body: () => Promise<Partial<Answer>>): Promise<Partial<Answer>> {
    try {
      return await body();
    } catch (error) {
      await this.readyAfter(error);
      throw error;
    } finally {
      // If this fails the connection is lost. But the statement was run, and that is what the asker is told.
      if (this.isUnclean && !this.life.isOver) await this.clean().catch(() => {});
    }
  }

  /** Makes the session as good as new. If that fails, the connection must not be used any more. */
  async clean(): Promise<void> {
    try {
      await this.cleaning.clean();
    } catch (error) {
      this.break(error as Error);
      throw error;
    }
    this.#tellUnfit();
  }

  async #change(profile: string): Promise<void> {
    try {
      await this.cleaning.change(profile);
    } catch (error) {
      await this.readyAfter(error);
      // The server has refused some of it; anything else costs the connection.
      if ((error as { severity?: unknown }).severity === undefined) this.break(error as Error);
      throw error;
    }
  }

  // ── the end

  /** Ends what was begun, and then the connection. If the server does not react within `limit` ms, the connection is cut. */
  async hangUp(limit: number): Promise<void> {
    this.speech.batch?.release();
    this.abandon();
    this.transaction.tellEnded();
    this.#tellListening();
    const isTorn = this.custodian.seize();
    if (isTorn) this.wire.tear();
    const { checkTimeout } = this.#settings;
    const most = checkTimeout > 0 ? Math.min(limit, checkTimeout * 0.8) : limit;
    // This comes before the pool takes the connection for gone.
    await endClient(this.backend.client, () => this.#origin.cancel(), most, isTorn);
  }
}

const NOT_LEFT = { attachment: undefined, isUndone: false };

/** A borrow for one call has no name of its own. */
const isOnce = (borrow: string): boolean => borrow === withProfile('', profileOf(borrow));
