/** What a pool does for those who borrow of it: the same on every thread. */
import type { AcquireOptions } from '../worker/index.ts';
import type { Call, Granted, Hold, Sessions } from './hold.ts';

export interface Lender {
  readonly sessions: Sessions;
  /** Of an acquire that sets none, in ms; 0: none. */
  readonly acquireTimeout: number;
  /** Does the program want to hear of what this thread borrows? */
  readonly isListenedTo: boolean;
  /** Shows listeners what has been borrowed without a client. Throws what one of them throws, and then it has been given back. */
  announce(hold: Hold): void;
  /** A connection, and the answer to the first call on it. */
  borrow(options: AcquireOptions | undefined, first: Call): Promise<Granted>;
  /** What an acquire that has waited so many ms is rejected with. */
  timedOut(timeout: number): Error;
  /** Something begins that the end of the pool has to wait for. Throws if that has begun. */
  begin(): void;
  /** It is over. */
  done(): void;
}
