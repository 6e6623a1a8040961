/** The sessions of a pool as a borrowing thread has them, and the pool underneath as far as this wing needs it. */
import type { Cancellation } from '../../shared/index.ts';
import type { AcquireOptions, Remote, ResourcePool, SyncRemote } from '../../worker/index.ts';
import type { SessionMethods } from '../messages/protocol.ts';
import type { Rostered } from './roster.ts';

/** The session's methods, the same on every thread. On the owner this is the session itself. */
export type RemoteSession = Remote<SessionMethods>;
export type SyncSession = SyncRemote<SessionMethods>;
/** What is called on a session that was borrowed. The rest is for a borrow by the owner, or about the socket. */
export type BorrowedSession = Pick<
  RemoteSession,
  'hello' | 'begin' | 'speak' | 'hear' | 'run' | 'reset' | 'fetch' | 'close' | 'submit' | 'parse' | 'listen' | 'cancel' | 'giveUp'
>;

/** The arguments of a session's `speakOnce`. */
export type SingleArguments = Parameters<RemoteSession['speakOnce']>;

export interface Sessions extends ResourcePool<RemoteSession> {
  /** The number of the attachment. Only a worker's pool has one. */
  readonly attachment?: number;
  /** See WorkerPool. Only a worker's pool has them. */
  borrowIdle?(): RemoteSession | undefined;
  sharedPlace?(): SharedPlace;
  readonly hasParts?: boolean;
  presentPart?(): Cancellation | undefined;
  outsideParts?<V>(body: () => V): V;
  isBorrowed?(session: RemoteSession): boolean;
  tell?(above: Above): void;
  identify?(session: RemoteSession): readonly [slot: number, generation: number];
  readonly left?: Promise<void>;
  /** See PoolBase. */
  take<V>(options: AcquireOptions, taken: (session: RemoteSession) => V | PromiseLike<V>, leaver?: Leaver): Promise<V>;
}

/** See the core's Waiters. */
export interface Leaver {
  waits(leave: (reason: unknown) => void): void;
}

/** See the worker's pool. */
export interface Above {
  leaves(slot: number): boolean;
}

/** See the worker's SharedPlace. */
export interface SharedPlace {
  readonly waitingForEach: number;
  wait(sharer: Sharer): WaitingSharer | undefined;
  takeAlong(fits: (sharer: Sharer) => boolean): WaitingSharer | undefined;
}

export interface Sharer {
  granted(session: RemoteSession): void;
  refused(error: unknown): void;
}

export interface WaitingSharer {
  readonly sharer: Sharer;
  begin(): boolean;
  back(): void;
  leave(): void;
}

export interface Returning extends Rostered {
  /** Without the event loop. Throws CallTimeoutError if that takes longer than so many ms. */
  finishNow(timeout: number | undefined): void;
  /** This thread leaves the pool. The lease ends when what is under way there has ended. */
  finishLater(): void;
}
