/**
 * Cursors of one session: named portals, read some rows at a time, with room for other statements in between. A portal lives in a
 * transaction.
 */
import type { Client, CustomTypesConfig, QueryResult } from 'pg';
import type { Answer } from '../messages/protocol.ts';
import { sendResult } from '../messages/results.ts';
import { closeAll } from './internals.ts';

/** The methods of pg's Connection that are used here. */
interface Connection {
  describe(body: { type: 'P'; name: string }): void;
  execute(body: { portal: string; rows: number }): void;
  close(body: { type: 'P'; name: string }): void;
  sync(): void;
}

/** pg's Query, with those methods that its types do not have. */
type QueryClass = new (
  config: Record<string, unknown>,
) => {
  portal: string;
  callback: (error: Error | null, result: QueryResult<unknown[]>) => void;
  prepare(connection: Connection): void;
};

interface Portal {
  readonly text: string;
  readonly values: readonly unknown[] | undefined;
  readonly types: CustomTypesConfig | undefined;
  isOpen: boolean;
  /** The portal's transaction has ended: the server does not have the portal any more. */
  isLost: boolean;
}

export class Portals {
  /** A transaction was begun for these cursors. The last of them ends it. */
  ownTransaction = false;
  readonly #client: Client;
  readonly #portals = new Map<string, Portal>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** The server may still have some of them. */
  get isAnyLeft(): boolean {
    return [...this.#portals.values()].some(({ isLost }) => !isLost);
  }

  has(name: string): boolean {
    return this.#portals.has(name);
  }

  open(name: string, text: string, values: readonly unknown[] | undefined, types: CustomTypesConfig | undefined): void {
    this.#portals.set(name, { text, values, types, isOpen: false, isLost: false });
  }

  async fetch(name: string, rows: number): Promise<Partial<Answer>> {
    const portal = this.#portals.get(name)!;
    const query = this.#fetching(name, portal, rows);
    const result = await new Promise<QueryResult<unknown[]>>((resolve, reject) => {
      query.callback = (error, found) => (error === null ? resolve(found) : reject(error));
      this.#client.query(query as never);
    });
    portal.isOpen = true;
    return { results: sendResult(result), done: !query.isSuspended };
  }

  /** One of the driver's queries. It asks for so many rows, and syncs at once. Only the first one makes the portal. */
  #fetching(name: string, { text, values, types, isOpen }: Portal, rows: number) {
    const Query = (this.#client.constructor as unknown as { Query: QueryClass }).Query;
    class Fetch extends Query {
      isSuspended = false;

      override prepare(connection: Connection): void {
        if (!isOpen) return super.prepare(connection);
        connection.describe({ type: 'P', name });
        this._getRows(connection);
      }

      _getRows(connection: Connection): void {
        connection.execute({ portal: name, rows });
        connection.sync();
      }

      handlePortalSuspended(): void {
        this.isSuspended = true;
      }
    }
    return new Fetch({ text, values, types, portal: name, rowMode: 'array', queryMode: 'extended' });
  }

  /** A portal that does not exist any more is no error. */
  async close(name: string): Promise<void> {
    const portal = this.#portals.get(name);
    this.#portals.delete(name);
    if (portal === undefined || !portal.isOpen) return;
    await closeAll(this.#client, 'P', [name]);
  }

  /**
   * The portals' transaction has ended, by whatever statement. They keep their names: a borrower may still ask, and must not get rows of
   * another transaction.
   */
  lose(): void {
    for (const portal of this.#portals.values()) portal.isLost = true;
    this.ownTransaction = false;
  }

  /** The borrower that had these cursors is gone. */
  forget(): void {
    this.#portals.clear();
    this.ownTransaction = false;
  }
}
