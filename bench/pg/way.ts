/** What a way to the database is, and what a thread gets of it. Nothing here but types and names: threads import it too. */
import type { MessagePort } from 'node:worker_threads';

export interface Server {
  /** Holds the password: not to be printed. */
  readonly url: string;
  readonly schema: string;
}

export type Rows = readonly unknown[];
export type Query = (text: string, values?: unknown[]) => Promise<Rows>;

/** The database, as a thread has it by one way. */
export interface Access {
  readonly query: Query;
  transaction(body: (query: Query) => Promise<void>): Promise<void>;
  /** What the pool says of where its connections are spoken to. Only cenote's has it. */
  lending?(): string;
  end(): Promise<void>;
}

/** The main thread's part of a way that is open. */
export interface MainSide {
  /** What the next thread needs: the argument of `enter`, and a port in it, if there is one. */
  join(): { readonly given: unknown; readonly port?: MessagePort };
  close(): Promise<void>;
}

export interface Way {
  /** Heads a column of the tables. */
  readonly name: string;
  /** The file whose export `enter` opens this way on a thread: it takes what `join` has given, and gives an Access. */
  readonly module: string;
  /** Opens it on the main thread, with all its connections, which call themselves `application`. */
  open(server: Server, application: string): Promise<MainSide>;
}

/** What the connections of a way are called, as pg_stat_activity has it. */
export const applicationName = (server: Server, way: string): string => `${server.schema} bench: ${way}`;
