/**
 * Answers of the server after which a connection is not fit for the next borrower, though it still answers. Errors with which the server
 * closes the connection need no list: the socket says so.
 */
import type { Client } from 'pg';
import type { Backend } from '../driver/backend.ts';
import { isAbout } from '../driver/runner.ts';
import { inTime } from './time-limit.ts';
import type { TransactionWatch } from './transaction-watch.ts';

/**
 * The server, or the pooler in front of it, says that what this connection led to is gone: 08000, 08006 and 08007 (the connection behind it
 * has failed), 57P01 to 57P05 (shut down, crashed, starting, database dropped, idle for too long). 08001, 08003 and 08004 are not in the
 * list: they speak of a connection that could not be made or does not exist, and that is one of dblink or of a foreign table. Neither is
 * 08P01: a wrong number of values has that code.
 */
const GONE = ['08000', '08006', '08007', '57P01', '57P02', '57P03', '57P04', '57P05'];

/** An error that a function raises, by whatever code, is not about this connection. */
const saysGone = (error: unknown): boolean => isAbout(error, ...GONE);

/**
 * The part of the server that refuses a value of a setting. It uses 0A000 to say that a standby cannot be set to READ WRITE, and for other
 * things.
 */
const REFUSES_SETTING = 'call_bool_check_hook';

/**
 * A statement was refused, perhaps because nothing can be written here. A function or a trigger may have tried to write. Another connection
 * may do better.
 */
function mayBeReadOnly(error: unknown): boolean {
  const { code, routine } = error as { code?: string; routine?: string };
  return code === '25006' || (code === '0A000' && routine === REFUSES_SETTING);
}

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
