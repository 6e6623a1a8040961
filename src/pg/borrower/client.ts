/** A borrowed connection as its borrower sees it: one object for as long as the connection is borrowed, on any thread. */
import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import type { CustomTypesConfig, QueryArrayConfig, QueryArrayResult, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { driverHere } from '../driver/driver-here.ts';
import { OwnParsers } from '../driver/own-parsers.ts';
import type { Heard } from '../messages/protocol.ts';
import { ask, askedBy, type Question, tell } from '../messages/question.ts';
import type { QueryCallback, Submission, PgClient as Type } from '../types.ts';
import { apart } from './apart.ts';
import { copyOver, isCopyStream } from './copying.ts';
import type { Hold, HoldListener } from './hold.ts';
import { traced } from './query-channel.ts';
import { PLACE } from './roster.ts';
import { isSubmission, refuseSubmission, submitTo } from './submission.ts';
import { warnOfUnheard } from './warnings.ts';

/** How long a connection is borrowed before it asks for what the server says unasked, in ms: most are given back before. */
const PATIENCE = 20;

/** What a 'connect' listener does with a client belongs to the connection. */
export interface Setup {
  run(question: Question): Promise<QueryResult<any>>;
  setTypeParser(...parser: Parameters<OwnParsers['setTypeParser']>): void;
}

export class PgClient extends EventEmitter implements Type {
  static override readonly name: string = 'Client';
  /** Libraries tell by this that it is a client and no pool, and that it need not connect. */
  readonly _connected = true;
  #types: OwnParsers | undefined;
  readonly #hold: Hold;
  readonly #giveBack: (destroy: Error | undefined) => void;
  readonly #assertInside: () => void;
  readonly #listener: HoldListener;
  readonly #setup: Setup | undefined;
  #isReleased = false;
  /** It was released by its end. Programs that end a client release it as well. */
  #isEnded = false;
  [PLACE]: number | undefined;

  /** `assertInside` throws when what the client was borrowed for has ended, and the connection has gone on to something else. */
  constructor(hold: Hold, giveBack: (destroy: Error | undefined) => void, assertInside: () => void = () => {}, setup?: Setup) {
    super();
    this.#hold = hold;
    this.#giveBack = giveBack;
    this.#assertInside = assertInside;
    this.#setup = setup;
    this.#listener = {
      heard: (heard) => this.#heard(heard),
      broken: (error) => this.#broken(error),
    };
    hold.listen(this.#listener);
  }

  get processID(): number {
    return this.#hold.pid;
  }

  /** As in pg: 'I' idle, 'T' in a transaction, 'E' in a failed one. It is the state of the last answer. */
  getTransactionStatus(): 'I' | 'T' | 'E' {
    return this.#hold.status;
  }

  escapeIdentifier(name: string): string {
    return `"${name.replaceAll('"', '""')}"`;
  }

  escapeLiteral(text: string): string {
    if (typeof text !== 'string') return "''";
    const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
    return text.includes('\\') ? ` E${quoted}` : quoted;
  }

  query<R extends QueryResultRow = any>(text: string | QueryConfig, callback: QueryCallback<R>): void;
  query<R extends QueryResultRow = any>(
    text: string | QueryConfig,
    values: readonly unknown[] | undefined,
    callback: QueryCallback<R>,
  ): void;
  query<S extends Submission>(submission: S): S;
  query<R extends any[] = any[]>(config: QueryArrayConfig, values?: readonly unknown[]): Promise<QueryArrayResult<R>>;
  query<R extends QueryResultRow = any>(text: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<R>>;
  query(text: string | QueryConfig | Submission, values?: unknown, callback?: unknown): unknown {
    if (isSubmission(text)) return this.#submit(text, values, callback);
    const then = typeof values === 'function' ? values : (callback ?? (text as { callback?: unknown } | null)?.callback);
    const result = this.#query(text as string | QueryConfig, typeof values === 'function' ? undefined : values);
    if (typeof then !== 'function') return result;
    tell(result, then as QueryCallback as never, null);
    return undefined;
  }

  #query(text: string | QueryConfig, values: unknown): Promise<QueryResult<any>> {
    try {
      this.#assertUsable();
      const question = askedBy(this, ask(text, values, this.#types));
      if (this.#setup !== undefined) return this.#setup.run(question);
      return traced(this.#hold.sessions, question, 0, () => this.#hold.run(question));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As in pg, for what is asked through this client: parsers are gone when it is given back. Throws on a thread without the driver. */
  setTypeParser(...parser: Parameters<OwnParsers['setTypeParser']>): void {
    if (this.#setup !== undefined) return this.#setup.setTypeParser(...parser);
    this.#types ??= new OwnParsers(this.#parsersHere());
    this.#types.setTypeParser(...parser);
  }

  getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
    return (this.#types ?? this.#parsersHere()).getTypeParser(oid, format as 'text');
  }

  #parsersHere(): CustomTypesConfig {
    const driver = driverHere();
    if (driver === undefined) throw new Error('type parsers need pg on this thread: npm install pg@8, or pass { pg } to attachPgPool');
    return driver.types as unknown as CustomTypesConfig;
  }

  /** It is connected already, as pg says it. */
  async connect(): Promise<never> {
    throw new Error('Client has already been connected. You cannot reuse a client.');
  }

  /** Gives the connection back for good: it is ended. */
  end(callback?: (error?: Error) => void): Promise<void> | undefined {
    if (!this.#isReleased) {
      this.release(true);
      this.#isEnded = true;
    }
    if (callback === undefined) return Promise.resolve();
    process.nextTick(callback);
    return undefined;
  }

  /** The pool sees to that: a query under way and a client that listens keep the process alive, an idle connection does not. */
  ref(): void {}
  unref(): void {}

  #submit(submission: Submission, values: unknown, callback: unknown): Submission {
    const query = submission as Submission & { callback?: unknown };
    query.callback ??= typeof values === 'function' ? values : callback;
    try {
      this.#assertUsable();
    } catch (error) {
      refuseSubmission(submission, error as Error);
      return submission;
    }
    if (isCopyStream(submission)) copyOver(this.#hold, submission, () => {});
    else submitTo(this.#hold, submission, () => {}, this.#types);
    return submission;
  }

  /** A function of its own, as in pg: it works without its object, and can be replaced on one client. */
  release = (destroy?: boolean | Error): void => {
    if (this.#isEnded) {
      this.#isEnded = false;
      return;
    }
    if (this.#isReleased) throw new Error('Release called on client which has already been released to the pool.');
    this.retire();
    this.#giveBack(
      destroy instanceof Error ? destroy : destroy ? new Error('the borrower asked for the connection to be destroyed') : undefined,
    );
  };

  /** Ends the client, whether its borrower released it or the pool took it back. */
  retire(): void {
    this.#isReleased = true;
    this.#hold.unlisten(this.#listener);
  }

  get isReleased(): boolean {
    return this.#isReleased;
  }

  #assertUsable(): void {
    if (!this.#isReleased) this.#hold.assertNotGivenUp();
    if (this.#isReleased || this.#hold.isOver)
      throw new Error('Client has been released to the pool, and refuses further queries: connect() again');
    this.#assertInside();
  }

  // ── events

  override on(event: string | symbol, listener: (...args: any[]) => void): this {
    this.#hears(event);
    return super.on(event, listener);
  }

  override addListener(event: string | symbol, listener: (...args: any[]) => void): this {
    return this.on(event, listener);
  }

  override once(event: string | symbol, listener: (...args: any[]) => void): this {
    this.#hears(event);
    return super.once(event, listener);
  }

  override prependListener(event: string | symbol, listener: (...args: any[]) => void): this {
    this.#hears(event);
    return super.prependListener(event, listener);
  }

  /** A borrower that listens is told when it happens, and not with the next answer. */
  #hears(event: string | symbol): void {
    if (this.#isReleased) return;
    if (event === 'notification') this.#hold.awaitNotifications(0);
    else if (event === 'notice' || event === 'error' || event === 'end') this.#hold.listenSoon(PATIENCE);
  }

  #heard({ event, message }: Heard): void {
    if (event === 'unheard') warnOfUnheard(this, message);
    else apart(() => this.emit(event, message));
  }

  #broken(error: Error): void {
    if (this.listenerCount('error') > 0) apart(() => this.emit('error', error));
    apart(() => this.emit('end'));
  }

  [inspect.custom](): string {
    return `Client { processID: ${this.processID}${this.#isReleased ? ', released' : ''} }`;
  }
}
