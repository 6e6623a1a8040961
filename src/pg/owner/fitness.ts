/**
 * Answers of the server after which a connection is not fit for the next borrower, though it still answers. Errors with which the server
 * closes the connection need no list: the socket says so.
 */
import type { Client } from 'pg';
import type { Backend } from '../driver/backend.ts';
import { mayBeReadOnly, saysGone } from '../messages/telling-errors.ts';
import type { TransactionWatch } from '../messages/transaction-watch.ts';
import { inTime } from './time-limit.ts';

/**
 * After such a refusal, asks the server whether the connection is to blame. It is not if this side has set `default_transaction_read_only`,
 * by a SET or when connecting: another connection would be the same. What an administrator has set (for the server, a database or a role)
 * is the value of the time when this session began, and may have changed since.
 */
async function isToBlame(client: Client, refusal: Error): Promise<boolean> {
  const { rows } = await client.query<{ standby: boolean; chosen: boolean }>(
    `select pg_is_in_recovery() as standby, exists (
      select from pg_settings where name = 'default_transaction_read_only' and setting = 'on' and source in ('session', 'client')) as chosen`,
  );
  const [{ standby, chosen }] = rows;
  return (refusal as { code?: string }).code === '25006' ? !chosen : standby;
}

/** Whether the next borrower may have the connection. */
export class Fitness {
  readonly #backend: Backend;
  readonly #transaction: TransactionWatch;
  /** In ms. */
  readonly #limit: number;
  /** The server has refused to write, and it is not known yet whether that was asked for. */
  #refusal: Error | undefined;
  /** Why it may not. */
  #unfit: Error | undefined;

  constructor(backend: Backend, transaction: TransactionWatch, limit: number) {
    this.#backend = backend;
    this.#transaction = transaction;
    this.#limit = limit;
  }

  /** Called for every error of the server on this connection, whatever it was an answer to. */
  judge(error: Error): void {
    if (saysGone(error)) this.#unfit = error;
    else if (mayBeReadOnly(error) && !this.#transaction.asksReadOnly) this.#refusal ??= error;
  }

  get isInDoubt(): boolean {
    return this.#refusal !== undefined;
  }

  /** Settles whether read-only was asked for: when no transaction is open, and before a reset changes the server's answer. */
  async settle(): Promise<void> {
    const refusal = this.#refusal;
    if (refusal === undefined || this.#transaction.isOpen) return;
    const asking = isToBlame(this.#backend.client, refusal);
    const isUnfit = await inTime(this.#limit, 'asking a connection why it is read-only', asking).catch(() => true);
    // Not before: until then the connection goes to no other borrower.
    this.#refusal = undefined;
    if (isUnfit) this.#unfit = refusal;
  }

  /** Why no other borrower may have it, the first time when it is asked; else undefined. */
  takeUnfit(): Error | undefined {
    const unfit = this.#unfit;
    this.#unfit = undefined;
    return unfit;
  }
}
