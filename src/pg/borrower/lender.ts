/** What a pool does for the code that borrows from it, the same on every thread. */
import type { AcquireOptions } from '../../worker/index.ts';
import type { Granted } from './borrow.ts';
import type { Hold } from './hold.ts';
import type { Sessions } from './sessions.ts';
import type { Call } from './way.ts';

export interface Lender {
  readonly sessions: Sessions;
  /** The timeout of an acquire that sets none, in ms. 0: no limit. */
  readonly acquireTimeout: number;
  /** What is set in each connection before anything else: see profile.ts. */
  readonly profile: string;
  /** Some of that was set by statements: RESET would take it back. */
  readonly isSetUp: boolean;
  /** True if the program listens for what this thread borrows. */
  readonly isListenedTo: boolean;
  /** A connection has been borrowed, and nothing was asked there. It may turn out to be lost. */
  met(hold: Hold): void;
  /** Lets 'connect' listeners configure the connection, if this thread has not done so yet. */
  configure(hold: Hold): Promise<void>;
  /** Shows listeners what has been borrowed without a client. Throws what a listener throws; the connection has been given back by then. */
  announce(hold: Hold): void;
  /** Borrows a connection and makes the first call on it. */
  borrow(options: AcquireOptions | undefined, first: Call): Promise<Granted>;
  /** The error that rejects an acquire which has waited so many ms. */
  timedOut(timeout: number): Error;
  /** Something begins that the end of the pool has to wait for. Throws if the end has begun. */
  begin(): void;
  /** What began has ended. */
  done(): void;
}
