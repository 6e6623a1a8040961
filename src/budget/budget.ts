/** A budget as the program has it, on its owner's thread. */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import process from 'node:process';
import { setImmediate } from 'node:timers';
import type { BudgetedPool, PoolPermits } from '../main/index.ts';
import { origin, RealClock } from './clock.ts';
import { BudgetError, type BudgetErrorCode, RefusedError } from './errors.ts';
import { Holdings } from './holdings.ts';
import type { News } from './member.ts';
import { checkedLimit, type Settings } from './options.ts';
import { Speaker } from './speaker.ts';
import type { Budget, BudgetEvents, BudgetMember } from './types.ts';
import { Words } from './words.ts';

/** createBudget gives up after so long, in ms, but not before the thread has tried: it may be starved itself. */
const JOIN_TIMEOUT = 9000;

const ORIGIN = origin();

export class OwnBudget implements Budget {
  readonly key: string;
  readonly #settings: Settings;
  readonly #id = randomBytes(6).toString('hex');
  readonly #words = new Words();
  readonly #clock = new RealClock(ORIGIN);
  readonly #emitter = new EventEmitter();
  readonly #speaker = Speaker.present();
  readonly #holdings: Holdings;
  readonly #number: number;
  /** Joining: what createBudget waits for. */
  #joining: { done(): void; failed(error: Error): void } | undefined;
  #closing: Promise<void> | undefined;
  #trouble: Error | undefined;
  #isLate = false;

  constructor(settings: Settings) {
    const { key, limit, floor, weight, ttl, ownerTimeout, member: label, onUnreachable, onLost } = settings;
    this.key = key;
    this.#settings = settings;
    this.#words.limit = limit;
    this.#holdings = new Holdings({ key, isOpen: onUnreachable === 'open', onLost }, this.#words, this.#clock, (order) =>
      order === 'expired' ? this.#expired() : this.#speaker.order(this.#number, order),
    );
    this.#number = this.#speaker.open(
      settings.engine,
      { settings: { key, id: this.#id, label, limit, floor, weight, ttl, ownerTimeout }, words: this.#words.buffer, origin: ORIGIN },
      this,
    );
    this.#holdings.start();
  }

  /** Resolves when it is a member, or need not be one yet. */
  async join(): Promise<void> {
    try {
      await this.#speaker.during(
        new Promise<void>((done, failed) => {
          this.#joining = { done, failed };
          this.#clock.after(JOIN_TIMEOUT, () => {
            this.#isLate = true;
            this.#giveUp();
          });
        }),
      );
    } catch (error) {
      await this.#end();
      throw error;
    } finally {
      this.#joining = undefined;
    }
  }

  #giveUp(): void {
    if (this.#isLate && this.#trouble !== undefined) this.#joining?.failed(this.#unreachable(this.#trouble));
  }

  // ── what the other thread has heard

  heard(news: News): void {
    switch (news.type) {
      case 'answer':
        return this.#holdings.answered();
      case 'joined':
        return this.#joining?.done();
      case 'granted': {
        this.#holdings.answered();
        return this.#emit('granted', { granted: news.granted, added: news.added, epoch: news.epoch });
      }
      case 'shed': {
        this.#holdings.answered();
        return this.#emit('shed', { granted: news.granted, share: news.share });
      }
      case 'lost': {
        // First what is to be let go of.
        this.#holdings.lost();
        return this.#emit('lost', { granted: news.granted, error: this.#error('ERR_BUDGET_LOST', this.#why(news.why)) });
      }
      case 'regained': {
        this.#holdings.answered();
        return this.#emit('regained', { granted: news.granted, epoch: news.epoch });
      }
      case 'unreachable': {
        this.#trouble = news.error;
        this.#holdings.answered();
        if (this.#joining !== undefined && this.#settings.onUnreachable === 'open' && !isRefusal(news.error)) this.#joining.done();
        this.#giveUp();
        return this.#emit('unreachable', { error: this.#unreachable(news.error) });
      }
      case 'reachable': {
        this.#holdings.answered();
        return this.#emit('reachable', { granted: news.granted });
      }
      case 'mismatch': {
        const error = this.#error(
          'ERR_BUDGET_MISMATCH',
          `limit is ${this.#settings.limit} here, and ${news.limit} for the members that live`,
        );
        if (this.#joining !== undefined) return this.#joining.failed(error);
        return this.#emit('error', error);
      }
      case 'refused': {
        const error = this.#unreachable(news.error);
        if (this.#joining !== undefined) return this.#joining.failed(error);
        return this.#emit('error', error);
      }
    }
  }

  /**
   * Nothing is renewed until there is another thread: if that takes longer than the lease lasts, the permits are lost. As with an engine
   * that does not answer, it is out of reach when this has happened twice.
   */
  ended(error: Error, isAgain: boolean): void {
    if (this.#closing !== undefined) return;
    this.#trouble = error;
    this.#holdings.alone();
    const why = 'the thread that speaks with the engine has ended, and is started again';
    if (this.#joining === undefined) this.#emit('error', this.#error('ERR_BUDGET_UNREACHABLE', `${why}: ${error.message}`, error));
    if (!isAgain || this.#words.isUnreachable) return;
    this.#words.isUnreachable = true;
    this.heard({ type: 'unreachable', error });
  }

  restarted(): void {
    this.#holdings.accompanied();
  }

  #expired(): void {
    const granted = this.#words.allowed;
    this.#words.lose();
    this.heard({ type: 'lost', granted, why: 'expired' });
  }

  #why(why: 'expired' | 'blocked'): string {
    const { ttl, ownerTimeout } = this.#settings;
    return why === 'expired'
      ? `its permits are lost: they were not renewed for nine tenths of ${ttl} ms`
      : `its permits are given up: the owner's thread was blocked for more than ${ownerTimeout} ms`;
  }

  #error(code: BudgetErrorCode, message: string, cause?: unknown): BudgetError {
    const options = cause === undefined ? undefined : { cause };
    return new BudgetError(code, this.key, `budget ${JSON.stringify(this.key)}: ${message}`, options);
  }

  #unreachable(trouble: Error): BudgetError {
    if (trouble instanceof BudgetError) return trouble;
    const cause = trouble instanceof RefusedError && trouble.cause !== undefined ? trouble.cause : trouble;
    return this.#error('ERR_BUDGET_UNREACHABLE', `the engine (${this.#settings.engine.name}) is out of reach: ${trouble.message}`, cause);
  }

  // ── what the program asks

  get limit(): number {
    return this.#words.limit;
  }

  get granted(): number {
    return this.#holdings.isLost ? 0 : this.#words.allowed;
  }

  get used(): number {
    return this.#holdings.used;
  }

  enter(pool: BudgetedPool): PoolPermits {
    if (this.#closing !== undefined) throw this.#error('ERR_BUDGET_CLOSED', 'it is closed, so no pool can use it');
    return this.#holdings.enter(pool);
  }

  async members(): Promise<BudgetMember[]> {
    this.#assertOpen();
    this.#holdings.look();
    const rows = await this.#asked({ to: 'members' });
    // Engines differ in how they sort texts, if they do.
    const order = ({ member, id }: { member: string; id: string }): string => `${member}\0${id}`;
    return rows!.sort((a, b) => (order(a) < order(b) ? -1 : 1)).map(({ id, ...row }) => ({ ...row, you: id === this.#id }));
  }

  async resize(limit: number): Promise<void> {
    checkedLimit(limit);
    this.#assertOpen();
    await this.#asked({ to: 'resize', limit });
  }

  async #asked(what: Parameters<Speaker['call']>[1]): ReturnType<Speaker['call']> {
    try {
      return await this.#speaker.call(this.#number, what);
    } catch (error) {
      throw this.#closing === undefined ? this.#unreachable(error as Error) : this.#error('ERR_BUDGET_CLOSED', 'it was closed meanwhile');
    }
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw this.#error('ERR_BUDGET_CLOSED', 'it is closed');
  }

  async close(): Promise<void> {
    if (this.#closing === undefined && this.#holdings.pools > 0) {
      const names = this.#holdings.names.map((name) => JSON.stringify(name)).join(', ');
      throw this.#error(
        'ERR_BUDGET_IN_USE',
        `it is in use by ${names}: close that first; what is borrowed has to come back, and what is being destroyed to go`,
      );
    }
    await this.#end();
  }

  #end(): Promise<void> {
    this.#closing ??= (async () => {
      this.#holdings.stop();
      await this.#speaker.close(this.#number);
      this.#words.lose();
    })();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ── events

  on<E extends keyof BudgetEvents>(event: E, listener: (info: BudgetEvents[E]) => void): this {
    this.#emitter.on(event, listener);
    return this;
  }

  off<E extends keyof BudgetEvents>(event: E, listener: (info: BudgetEvents[E]) => void): this {
    this.#emitter.off(event, listener);
    return this;
  }

  /** A listener that throws fails for itself: it is reported as uncaught, and the budget goes on. */
  #emit<E extends keyof BudgetEvents>(event: E, info: BudgetEvents[E]): void {
    if (this.#closing !== undefined) return;
    if (event === 'error' && this.#emitter.listenerCount('error') === 0) return process.emitWarning(info as Error);
    try {
      this.#emitter.emit(event, info);
    } catch (error) {
      setImmediate(() => {
        throw error;
      });
    }
  }
}

const isRefusal = (error: Error): boolean => error instanceof RefusedError;
