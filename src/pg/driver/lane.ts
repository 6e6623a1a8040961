/**
 * A client of this thread's driver, on no socket: what it says is taken, and it is given what the server answers. It is a translator, and
 * serves one statement after the other, on whatever connection each of them is spoken.
 */
import type { Duplex } from 'node:stream';
import type * as pg from 'pg';
import type { Client, CustomTypesConfig, QueryConfig, QueryResult } from 'pg';
import { asBuffers, withOwnBytes } from '../messages/bytes.ts';
import { CLIENT } from '../messages/frames.ts';
import { EXTENDED, ROWS_AS_ARRAYS } from '../messages/mode.ts';
import type { Heard, Outcome } from '../messages/protocol.ts';
import type { Question } from '../messages/question.ts';
import { type Channel, StatementChannel } from './channel.ts';
import { internals } from './internals.ts';
import { isOwnParser } from './left-as-text.ts';
import { untraced } from './untraced.ts';

export type Driver = typeof pg;

/** What instrumentations ask a client for. No secret is among them. */
export interface Address {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly database?: string | undefined;
}

/** What a server says to a client that need not show a password: welcome, and ready. */
const WELCOME = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);

export class Lane {
  readonly client: Client;
  readonly #channel: Channel;
  #heard: Heard[] = [];
  /** Types that are left as text in the answer that comes. */
  #left: ReadonlySet<number> = NONE;
  readonly #parsers: CustomTypesConfig;
  readonly #types: CustomTypesConfig = {
    getTypeParser: (oid: number, format?: 'text' | 'binary') =>
      format !== 'binary' && this.#left.has(oid) ? asItCame : this.#parsers.getTypeParser(oid, format as 'text'),
  };
  #isBroken = false;
  #outcome: Outcome | undefined;
  #whenSettled: ((outcome: Outcome) => void) | undefined;

  /** `channel`: what the client has in place of a socket. What reads or writes a stream needs one. */
  constructor(driver: Driver, address: Address, channel: Channel = new StatementChannel()) {
    this.#channel = channel;
    this.client = new driver.Client({
      ...address,
      password: '',
      ssl: false,
      stream: () => channel as unknown as Duplex,
      types: this.#types,
    });
    const { client } = this;
    this.#parsers = driver.types as unknown as CustomTypesConfig;
    // The environment may name a password of this thread's program.
    Object.assign(client, { password: null });
    Object.assign(internals(client).connectionParameters, { password: null, query_timeout: false });
    client.on('error', () => {
      this.#isBroken = true;
    });
    client.on('notice', (message) => this.#heard.push({ event: 'notice', message: { ...message, name: message.name } }));
    client.on('notification', (message) => this.#heard.push({ event: 'notification', message: { ...message } }));
    // It connects to nothing: a span would say that it does.
    untraced(() => client.connect(() => {}));
    channel.emit('connect');
    this.hear(WELCOME);
  }

  /** It may serve another statement. */
  get isFree(): boolean {
    return !this.#isBroken && internals(this.client).readyForQuery;
  }

  /** `said` is given what the client says from now on, at once or later. */
  takes(said: (bytes: Buffer) => void | Promise<void>): void {
    this.#channel.said = (bytes) => {
      // A client that is ended would end the connection, which is its borrower's to give back.
      return bytes[0] === CLIENT.terminate ? undefined : said(bytes);
    };
  }

  /**
   * Has the client say one statement, and gives its bytes; undefined if it refuses the statement, which is the outcome then. It is said at
   * once, so that later changes of what it was given do not reach it.
   */
  ask(question: Question): Buffer | undefined {
    const { text, parameters, types, mode } = question;
    const isUsual = types === undefined && (mode & (ROWS_AS_ARRAYS | EXTENDED)) === 0 && !question.config.binary;
    this.#outcome = undefined;
    const pieces: Buffer[] = [];
    this.takes((bytes) => void pieces.push(bytes));
    // What the driver is given as an object it copies, which takes as long as the rest of it.
    if (isUsual) this.client.query(text!, (parameters && [...parameters]) as unknown[], this.#settle);
    else this.#askInFull(question);
    // What the server asks for meanwhile others answer.
    this.takes(SILENT);
    return pieces.length > 1 ? Buffer.concat(pieces) : pieces[0];
  }

  /** What the client has made of the answer; undefined as long as it has not read it. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  /** Its caller has the outcome, which may be large: the lane does not keep it until the next statement. */
  forget(): void {
    this.#outcome = undefined;
  }

  /** Resolves with it. */
  settled(): Promise<Outcome> {
    return this.#outcome === undefined
      ? new Promise((resolve) => {
          this.#whenSettled = resolve;
        })
      : Promise.resolve(this.#outcome);
  }

  /** The client calls it. */
  readonly #settle = (error: Error | null | undefined, result?: QueryResult | QueryResult[]): void => {
    if (this.#outcome !== undefined) return;
    this.#outcome = error ? { thrown: error } : { result: Array.isArray(result) ? result.map(plain) : plain(result!) };
    const then = this.#whenSettled;
    this.#whenSettled = undefined;
    then?.(this.#outcome);
  };

  #askInFull({ text, parameters, types, mode, config }: Question): void {
    // The driver adds to what it is given. What is left out would need more than one answer.
    const asked = {
      text,
      ...(parameters && { values: [...parameters] }),
      types: types ?? this.#types,
      ...((mode & ROWS_AS_ARRAYS) !== 0 && { rowMode: 'array' }),
      ...((mode & EXTENDED) !== 0 && { queryMode: 'extended' }),
      ...(config.binary ? { binary: true } : {}),
    };
    this.client.query(asked as unknown as QueryConfig, this.#settle);
  }

  /** The server's answer, or a part of it. `left`: types whose values are left as text, if this thread has no parser of its own. */
  hear(bytes: Buffer, left: readonly number[] = []): void {
    this.#left = left.length === 0 ? NONE : new Set(left.filter((oid) => !isOwnParser(oid, this.#parsers, this.#parsers)));
    this.#channel.push(bytes);
  }

  /** The same, and resolves when it is read: its reader may be slow. */
  async hearAll(bytes: Buffer): Promise<void> {
    if (this.#channel.push(bytes) || this.#channel.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#channel.whenRead = resolve;
      this.#channel.once('close', resolve);
    });
  }

  /** The types that were left as text. */
  get left(): ReadonlySet<number> {
    return this.#left;
  }

  /** What the server has said besides, since the last time. */
  overheard(): Heard[] {
    return this.#heard.splice(0);
  }

  /** There will be no answer, or no more of it. The client is of no use any more. */
  fail(error: Error): void {
    this.#isBroken = true;
    internals(this.client).connection.emit('error', error);
    this.#channel.destroy();
  }
}

const NONE: ReadonlySet<number> = new Set();
const SILENT = (): void => {};
const asItCame = (text: unknown): unknown => text;

/** Types of columns with bytes in them: bytea, and lists of it. */
const BYTES: ReadonlySet<number> = new Set([17, 1001]);

/**
 * A result that can be posted to other threads. The driver's own has its parsers in it, which are functions; and small Buffers are parts of
 * a memory that others use as well, which would be posted with them.
 */
function plain({ command, rowCount, oid, rows, fields }: QueryResult): QueryResult {
  for (const [index, { name, dataTypeID }] of fields.entries()) {
    if (!BYTES.has(dataTypeID)) continue;
    const column = Array.isArray(rows[0]) ? index : name;
    for (const row of rows) row[column] = asBuffers(withOwnBytes(row[column]));
  }
  return { command, rowCount, oid, rows, fields };
}
