/** The server's word on the transaction of a session, from the last time when it was ready, and what statements have said of it. */

import type { Reading } from '../sql/dirt.ts';
import type { TransactionStatus } from './protocol.ts';

/** What the server says of a statement that ends a transaction. It says the same of ROLLBACK TO, which does not end it. */
const ENDS = /^(?:COMMIT|ROLLBACK|PREPARE TRANSACTION)$/;

export class TransactionWatch {
  #status: TransactionStatus;
  /** Since it was last ready, the server has said that a statement has ended a transaction. */
  #saidEnd = false;
  #asksReadOnly = false;
  #whenEnded: (() => void)[] = [];

  constructor(status: TransactionStatus) {
    this.#status = status;
  }

  get status(): TransactionStatus {
    return this.#status;
  }

  get isOpen(): boolean {
    return this.#status !== 'I';
  }

  /** A statement of the transaction that goes on has asked for READ ONLY. */
  get asksReadOnly(): boolean {
    return this.#asksReadOnly;
  }

  /** Called before a text is sent. */
  sends({ asksReadOnly }: Reading): void {
    this.#asksReadOnly = asksReadOnly || (this.isOpen && this.#asksReadOnly);
  }

  /** Another thread has spoken to the server meanwhile, and this is its last word. */
  resume(status: TransactionStatus, asksReadOnly: boolean): void {
    this.#status = status;
    this.#asksReadOnly = asksReadOnly;
    if (!this.isOpen) this.tellEnded();
  }

  completed(text: string): void {
    if (ENDS.test(text)) this.#saidEnd = true;
  }

  /** The server is ready. True if a transaction has ended, and no statement has ended it. */
  ready(status: TransactionStatus): boolean {
    const isUndone = status === 'I' && this.isOpen && !this.#saidEnd;
    this.#saidEnd = false;
    this.#status = status;
    if (!this.isOpen) this.tellEnded();
    return isUndone;
  }

  /** Resolves when no transaction is open, or none can be any more. */
  ended(): Promise<void> {
    return this.isOpen ? new Promise((resolve) => this.#whenEnded.push(resolve)) : Promise.resolve();
  }

  /** Called as well when the connection is of no use any more. */
  tellEnded(): void {
    for (const then of this.#whenEnded.splice(0)) then();
  }
}
