/** What a pool does for those who borrow of it: the same on every thread. */
import type { AcquireOptions } from '../worker/index.ts';
import type { Hold, RemoteSession } from './hold.ts';
import type { Answer } from './protocol.ts';

export interface Lender {
  /** Of an acquire that sets none, in ms; 0: none. */
  readonly acquireTimeout: number;
  /** A connection, and the answer to the first call on it. No answer: listeners were asked first, and the call is to be made again. */
  borrow(
    options: AcquireOptions | undefined,
    first: (session: RemoteSession, borrow: string) => Promise<Answer>,
  ): Promise<{ hold: Hold; answer: Answer | undefined }>;
  /** What an acquire that has waited so many ms is rejected with. */
  timedOut(timeout: number): Error;
  /** Something begins that the end of the pool has to wait for. Throws if that has begun. */
  begin(): void;
  /** It is over. */
  done(): void;
}
