/** A borrowed connection as its borrower sees it: one object for as long as the connection is borrowed, on any thread. */
import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import type { QueryArrayConfig, QueryArrayResult, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import type { Hold, HoldListener } from './hold.ts';
import type { Heard } from './protocol.ts';
import { traced } from './query-channel.ts';
import { ask, tell } from './question.ts';
import { isSubmission, refuseSubmission, submitTo } from './submission.ts';
import type { QueryCallback, Submission, PgClient as Type } from './types.ts';
import { warnOfLateEvent } from './warnings.ts';

export class PgClient extends EventEmitter implements Type {
  static override readonly name: string = 'PgClient';
  readonly #hold: Hold;
  readonly #giveBack: (destroy: Error | undefined) => void;
  readonly #assertInside: () => void;
  readonly #listener: HoldListener;
  #isReleased = false;

  /** `assertInside` throws when what the client was borrowed for has ended, and the connection has gone on to something else. */
  constructor(hold: Hold, giveBack: (destroy: Error | undefined) => void, assertInside: () => void = () => {}) {
    super();
    this.#hold = hold;
    this.#giveBack = giveBack;
    this.#assertInside = assertInside;
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

  async #query(text: string | QueryConfig, values: unknown): Promise<QueryResult<any>> {
    this.#assertUsable();
    const question = ask(text, values);
    return traced(this.#hold.sessions, question, 0, () => this.#hold.run(question));
  }

  #submit(submission: Submission, values: unknown, callback: unknown): Submission {
    const query = submission as Submission & { callback?: unknown };
    query.callback ??= typeof values === 'function' ? values : callback;
    try {
      this.#assertUsable();
    } catch (error) {
      refuseSubmission(submission, error as Error);
      return submission;
    }
    submitTo(this.#hold, submission, () => {});
    return submission;
  }

  /** A function of its own, as in pg: it works without its object, and can be replaced on one client. */
  release = (destroy?: boolean | Error): void => {
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
    warnOfLateEvent(event);
    return super.on(event, listener);
  }

  override addListener(event: string | symbol, listener: (...args: any[]) => void): this {
    return this.on(event, listener);
  }

  override prependListener(event: string | symbol, listener: (...args: any[]) => void): this {
    warnOfLateEvent(event);
    return super.prependListener(event, listener);
  }

  #heard({ event, message }: Heard): void {
    this.emit(event, message);
  }

  #broken(error: Error): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
    this.emit('end');
  }

  [inspect.custom](): string {
    return `PgClient { processID: ${this.processID}${this.#isReleased ? ', released' : ''} }`;
  }
}
