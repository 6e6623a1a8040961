/**
 * On the owner: the driver's client of one connection, with what of it the driver does not document. A session asks this, and never looks
 * into the client.
 */
import { setImmediate } from 'node:timers';
import type { Client } from 'pg';
import type { Heard, TransactionStatus } from '../messages/protocol.ts';
import { internals } from './internals.ts';

export interface BackendListener {
  /** The server says that a statement has ended, and how. */
  commandComplete(text: string): void;
  readyForQuery(status: TransactionStatus): void;
  /** The server has complained, whatever it was an answer to. */
  errorMessage(error: Error): void;
  heard(event: Heard['event'], message: object): void;
  /** A sign that the connection is lost; there may be several. */
  lost(error: Error): void;
}

export class Backend {
  readonly client: Client;
  #uses = 0;

  constructor(client: Client, listener: BackendListener) {
    this.client = client;
    const { connection } = internals(client);
    connection.on('commandComplete', ({ text }: { text: string }) => listener.commandComplete(text));
    connection.on('readyForQuery', ({ status }: { status: TransactionStatus }) => listener.readyForQuery(status));
    connection.on('errorMessage', (error: Error) => listener.errorMessage(error));
    client.on('error', (error) => listener.lost(error));
    client.on('end', () => listener.lost(new Error('Connection terminated unexpectedly')));
    client.on('notice', (message) => listener.heard('notice', message));
    client.on('notification', (message) => listener.heard('notification', message));
    internals(client).unref();
  }

  get processID(): number {
    return internals(this.client).processID as number;
  }

  /** The server's word on the transaction at the beginning. */
  get status(): TransactionStatus {
    return internals(this.client).getTransactionStatus?.() ?? 'I';
  }

  /** The server has answered all that it was asked. */
  get isReady(): boolean {
    return internals(this.client).readyForQuery;
  }

  /** The time limit of a query that has none of its own, in ms. 0: there is none. */
  get queryTimeout(): number {
    return Number(internals(this.client).connectionParameters.query_timeout || 0);
  }

  /** A use of the connection begins: it keeps the process alive. An idle connection does not. */
  use(): void {
    if (this.#uses++ === 0 && !this.#isGone) internals(this.client).ref();
  }

  unuse(): void {
    if (--this.#uses === 0 && !this.#isGone) internals(this.client).unref();
  }

  /** Uses that are not over. */
  get uses(): number {
    return this.#uses;
  }

  /** A socket that is closed would add a listener at each `ref` and `unref`, for the time when it is open. */
  get #isGone(): boolean {
    return internals(this.client).connection.stream.destroyed;
  }

  /** Reads nothing any more, so that another thread may. What the server has been asked must be answered. */
  park(): void {
    internals(this.client).connection.stream.pause();
  }

  readOn(): void {
    internals(this.client).connection.stream.resume();
  }

  setTypeParser(...parser: unknown[]): void {
    (this.client as unknown as { setTypeParser(...parser: unknown[]): void }).setTypeParser(...parser);
  }

  /**
   * Resolves when the server has answered, or the connection is lost. The driver tells an error at once, and the server is ready a little
   * later. Only then its word on the transaction is new.
   */
  whenReady(): Promise<void> {
    if (this.isReady) return Promise.resolve();
    return new Promise((resolve) => {
      const { connection } = internals(this.client);
      const done = (): void => {
        connection.off('readyForQuery', done);
        this.client.off('error', done);
        this.client.off('end', done);
        // The driver's own listener has read the message by then, whichever listener comes first.
        setImmediate(resolve);
      };
      connection.on('readyForQuery', done);
      this.client.on('error', done);
      this.client.on('end', done);
    });
  }

  /** Resolves when the socket has said what it has to say of the idle time: the server may have hung up. */
  async news(): Promise<void> {
    // One turn of the event loop may have looked at the sockets already; so it takes two.
    for (let turns = 0; turns < 2; turns++) await new Promise(setImmediate);
  }
}
