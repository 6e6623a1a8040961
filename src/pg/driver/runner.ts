/**
 * Runs one statement at a time on the driver's client. The statement is prepared if that is worth it, and prepared again if its plan is
 * stale. Its rows come as they can be sent.
 */
import type { Client, CustomTypesConfig, QueryResult } from 'pg';
import { assertNoCopyIn } from '../messages/copy.ts';
import { EXTENDED, RAW } from '../messages/mode.ts';
import type { StatementArguments, TransactionStatus } from '../messages/protocol.ts';
import { type SentResult, sendResults } from '../messages/results.ts';
import type { Reading } from '../sql/dirt.ts';
import { closeAll, internals } from './internals.ts';
import { LeftAsText } from './left-as-text.ts';
import { Statements } from './statements.ts';

/** What is known of the client's session. */
export interface State {
  status(): TransactionStatus;
  /** Resolves after an error, when the session is ready for something else or known to be lost. */
  readyAfter(error: unknown): Promise<void>;
}

/** Leaves text and bytes as they came. */
export const UNPARSED: CustomTypesConfig = { getTypeParser: () => (raw: unknown) => raw };

/**
 * True if the server may complain that a prepared statement's parameters or result do not fit its tables any more. Such errors are of the
 * plan (0A), the values (22, 23 for a domain), the statement's name (26), its words (42), a type that is gone (XX). Errors about the
 * transaction, a lock, a cancel or the server are not among them.
 */
function mayBeStale(error: unknown): boolean {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown };
  return typeof code === 'string' && severity !== undefined && /^(?:0A|22|23|26|42|XX)/.test(code);
}

const discards = ({ command }: QueryResult<unknown[]>): boolean => command === 'DISCARD' || command === 'DEALLOCATE';

export class Runner {
  readonly #client: Client;
  readonly #statements: Statements;
  readonly #state: State;
  /** The server has taken the values of what was sent last. From then on the statement may have done something. */
  #hasBegun = false;

  constructor(client: Client, cacheSize: number, state: State) {
    this.#client = client;
    this.#statements = new Statements(cacheSize);
    this.#state = state;
    const { connection } = internals(client);
    // A statement may be called like something that every object has. onConnect may have prepared some already.
    connection.parsedStatements = Object.assign(Object.create(null), connection.parsedStatements);
    Object.assign(connection, { submittedNamedStatements: Object.create(null) });
    connection.on('bindComplete', () => {
      this.#hasBegun = true;
    });
  }

  async run(reading: Reading, ...[text, values, name, mode, timeout]: StatementArguments): Promise<SentResult | SentResult[]> {
    const isCached = name === undefined && reading.isPreparable && this.#statements.isOn;
    const called = isCached ? this.#statements.name(text!) : name;
    if (called !== undefined && !isCached) this.#makeWayFor(called, text);
    if (this.#statements.hasGarbage) await this.#takeOutGarbage();
    if (called !== undefined || (mode & EXTENDED) !== 0) assertNoCopyIn(reading);
    const prepared = called === undefined ? undefined : internals(this.#client).connection.parsedStatements[called];
    this.#hasBegun = false;
    try {
      return await this.#query(text, values, called, mode, timeout);
    } catch (error) {
      if (called === undefined) throw error;
      await this.#state.readyAfter(error);
      // Whatever the error was: a statement that the driver does not take for prepared is not prepared.
      if (isCached && internals(this.#client).connection.parsedStatements[called] === undefined) this.#statements.forget(called);
      // It had been prepared for an earlier call, and the server did not even begin with it: it is prepared anew, now or by the next call.
      if (prepared === undefined || this.#hasBegun || !mayBeStale(error)) throw error;
      this.#statements.discard(called);
      await this.#takeOutGarbage();
      if (this.#state.status() !== 'I') throw error;
      const again = isCached ? this.#statements.name(text!) : called;
      return await this.#query(text ?? prepared, values, again, mode, timeout);
    }
  }

  async #query(...[text, values, name, mode, timeout]: StatementArguments): Promise<SentResult | SentResult[]> {
    const config: Record<string, unknown> = { text, values, rowMode: 'array' };
    if (name !== undefined) config.name = name;
    const left = (mode & RAW) === 0 ? new LeftAsText(this.#client) : undefined;
    config.types = left ?? UNPARSED;
    if ((mode & EXTENDED) !== 0) config.queryMode = 'extended';
    if (timeout !== undefined) config.query_timeout = timeout;
    const results = (await this.#client.query(config as never)) as unknown as QueryResult<unknown[]> | QueryResult<unknown[]>[];
    if (Array.isArray(results) ? results.some(discards) : discards(results)) this.forgetStatements();
    return sendResults(results, left);
  }

  // ── prepared statements

  /** The server has forgotten all of them. */
  forgetStatements(): void {
    this.#statements.clear();
    internals(this.#client).connection.parsedStatements = Object.create(null);
  }

  /** Frees these names for a submission. Neither it nor the driver knows what is prepared here. The names are taken back afterwards. */
  async lendNames(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    for (const name of names) this.#statements.discard(name);
    await this.#takeOutGarbage();
    for (const name of names) this.#statements.discard(name);
  }

  /** The name may stand for another text: then that statement goes. */
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
}
