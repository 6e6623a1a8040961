/** What the driver has and its types do not say, and what it leaves to its users. */
import type { Client } from 'pg';
import type { TransactionStatus } from '../messages/protocol.ts';

export interface Internals {
  readonly readyForQuery: boolean;
  /** Null until the server has said it. */
  readonly processID: number | null;
  readonly connectionParameters: { readonly query_timeout?: number | string | false };
  readonly connection: NodeJS.EventEmitter & {
    readonly stream: { readonly destroyed: boolean; destroy(): void; pause(): void; resume(): void };
    /** What the settings say of TLS; false if it is not wanted. */
    readonly ssl?: unknown;
    parsedStatements: Record<string, string>;
    sync(): void;
  } & Record<string, (body?: unknown) => void>;
  /** Missing in some versions. */
  getTransactionStatus?(): TransactionStatus | null;
  ref(): void;
  unref(): void;
}

export const internals = (client: Client): Internals => client as unknown as Internals;

/**
 * Closes prepared statements (S) or portals (P). Unlike DEALLOCATE this works in a failed transaction, too, and a name that does not exist
 * is no error.
 */
export function closeAll(client: Client, type: 'S' | 'P', names: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const closing = {
      // The driver replaces this callback by its own, which stops its timer for `query_timeout`.
      callback: (error: Error | null): void => (error === null ? resolve() : reject(error)),
      submit(connection: Internals['connection']): void {
        for (const name of names) connection.close({ type, name });
        connection.sync();
      },
      handleReadyForQuery: () => closing.callback(null),
      handleError: (error: Error) => closing.callback(error),
    };
    client.query(closing as never);
  });
}
