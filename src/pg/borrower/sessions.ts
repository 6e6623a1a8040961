/** The sessions of a pool as a borrowing thread has them, and the pool underneath as far as this wing needs it. */
import type { AcquireOptions, Remote, ResourcePool, SyncRemote } from '../../worker/index.ts';
import type { SessionMethods } from '../messages/protocol.ts';

/** The session's methods, the same on every thread. On the owner this is the session itself. */
export type RemoteSession = Remote<SessionMethods>;
export type SyncSession = SyncRemote<SessionMethods>;
export interface Sessions extends ResourcePool<RemoteSession> {
  /** The number of the attachment. Only a worker's pool has one. */
  readonly attachment?: number;
  /** See WorkerPool. Only a worker's pool has them. */
  borrowIdle?(): RemoteSession | undefined;
  readonly hasParts?: boolean;
  identify?(session: RemoteSession): readonly [slot: number, generation: number];
  readonly left?: Promise<void>;
  /** See PoolBase. */
  take<V>(options: AcquireOptions, taken: (session: RemoteSession) => V | PromiseLike<V>): Promise<V>;
}

export interface Returning {
  /** Without the event loop. Throws CallTimeoutError if that takes longer than so many ms. */
  finishNow(timeout: number | undefined): void;
}
