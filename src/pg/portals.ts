/** Cursors of one session: named portals, read some rows at a time, with room for other statements in between. They live in a transaction. */
import type { Client, CustomTypesConfig, QueryResult } from 'pg';
import { closeAll } from './driver.ts';
import type { Answer } from './protocol.ts';
import { sendResult } from './results.ts';

/** What we use of pg's Connection. */
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
  /** Its transaction has ended: the server does not have it any more. */
  isLost: boolean;
}

export class Portals {
  /** A transaction was begun for them; the last of them ends it. */
  ownTransaction = false;
  readonly #client: Client;
  readonly #portals = new Map<string, Portal>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** The server may have some of them. */
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

  /** A query of the driver's that asks for so many rows, and syncs at once. Only the first makes the portal. */
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

  /** No error if it is not there any more. */
  async close(name: string): Promise<void> {
    const portal = this.#portals.get(name);
    this.#portals.delete(name);
    if (portal === undefined || !portal.isOpen) return;
    await closeAll(this.#client, 'P', [name]);
  }

  /** Their transaction has ended, whoever said so. They keep their names: somebody may still ask, and is not to get rows of another transaction. */
  lose(): void {
    for (const portal of this.#portals.values()) portal.isLost = true;
    this.ownTransaction = false;
  }

  /** Whoever had them has gone. */
  forget(): void {
    this.#portals.clear();
    this.ownTransaction = false;
  }
}
