/**
 * The messages between the owner and the workers. Plain tuples: cheap to clone.
 * Only remote calls, and what is rare, go by message; hand-outs never do.
 */
import type { Hold } from '../options/hold-limits.ts';
import type { WireError } from './error-wire.ts';

// ── worker -> owner, by postMessageToThread: the one message that is not on a port of our own
export const ATTACH = 'cenote:attach';
export interface AttachRequest {
  readonly type: typeof ATTACH;
  readonly poolId: number;
  readonly threadId: number;
  readonly name: string;
  /** The control block: says whether the pool has ended, when no listener knows it any more. */
  readonly buffer: SharedArrayBuffer;
  /** The owner's end. Its 'close' says that the thread is gone, however it went. */
  readonly port: import('node:worker_threads').MessagePort;
}

/** Which Uint8Arrays of a message were Buffers. They are in it as well, and a clone keeps that: see parcel.ts. */
export type Buffers = readonly Uint8Array[];

// ── both ways
/** What a call is about is the next message, and all of it: if that cannot be read, the call has failed. */
export const ALONE = 20;

// ── worker -> owner, in batches, in order
export const CALL = 1;
export const CALL_SYNC = 2;
export const RELEASE = 3;
export const DESTROY = 4;
export const TRACE = 5;
export const DETACH = 6;
export const CALL_ONCE = 7;
export const CANCEL = 8;
export const LIMIT = 9;
export const RENEW = 10;
export const ABANDON = 11;
export const LEFT = 12;

/** What goes along with a one-shot call that is not like most. */
export interface OnceTerms {
  /** The claim (see there) of one whose caller does not wait for ever. */
  readonly claim?: SharedArrayBuffer | undefined;
  /** What it is for: as SLOT_TAG. 0 or none: nothing in particular. */
  readonly tag?: number | undefined;
  /** Its own limits, shorter than the pool's. */
  readonly hold?: Hold | undefined;
}

export type Request =
  /**
   * Run a method of the resource of this lease, once for each list of arguments. Answered by id: this one for the first, and so on. Cloning
   * is what costs, so a run of calls is one message.
   */
  | readonly [type: typeof CALL, id: number, slot: number, lease: number, method: string, args: (readonly unknown[])[], buffers?: Buffers]
  /** The same, once, and the caller's bell is rung, too. */
  | readonly [type: typeof CALL_SYNC, id: number, slot: number, lease: number, method: string, args: readonly unknown[], buffers?: Buffers]
  /** Give it back once the calls made before this have settled. */
  | readonly [type: typeof RELEASE, slot: number, lease: number]
  /** It is broken. */
  | readonly [type: typeof DESTROY, slot: number, lease: number, error: WireError, buffers?: Buffers]
  /** The answer to WHERE. */
  | readonly [type: typeof TRACE, question: number, stack: string | undefined]
  /** Detach: the thread has given everything back. */
  | readonly [type: typeof DETACH]
  /** Borrow something, call that method of it, give it back. */
  | readonly [type: typeof CALL_ONCE, id: number, terms: OnceTerms | undefined, method: string, args: readonly unknown[], buffers?: Buffers]
  /** That one-shot call has been withdrawn by its claim: if it waits in line, it need not any more. Not answered. */
  | readonly [type: typeof CANCEL, id: number]
  /** This lease has just begun, and has limits of its own. */
  | readonly [type: typeof LIMIT, slot: number, lease: number, hold: Hold]
  /** The limits of this lease count anew from now. */
  | readonly [type: typeof RENEW, slot: number, lease: number]
  /**
   * No caller waits any more for that one-shot call, and it has begun. What it runs on is destroyed if it does not settle soon.
   * Not answered.
   */
  | readonly [type: typeof ABANDON, id: number]
  /**
   * A part of the program has ended without giving this back: tell of it as a leak, then take it back, or destroy it as calls of it still
   * run there.
   */
  | readonly [
      type: typeof LEFT,
      slot: number,
      lease: number,
      job: string | number,
      heldFor: number,
      stack: string | undefined,
      broken: boolean,
    ]
  /** Before a call whose arguments may be too much for the owner's stack. */
  | readonly [type: typeof ALONE, id: number, name: string];

// ── owner -> worker, in batches
export const ATTACHED = 1;
export const REJECTED = 2;
export const ANSWER = 3;
export const FAILURE = 4;
export const FACTORY_FAILURE = 5;
export const SHARED = 6;
export const DETACHED = 7;
export const LOST = 9;
export const WHERE = 10;
export const SPARED = 11;
export const REVOKED = 12;
export const OVERDUE = 13;
export const SUSPENSIONS = 14;

/** What a thread that attaches has to know of the pool's options. */
export interface AttachTerms {
  readonly maxHold: Hold;
  /** Can anything be taken back from its borrower? Not where workers have a value of their own, and nothing ends it. */
  readonly revocable: boolean;
  /** The labels of the suspensions in force. */
  readonly suspendedBy: readonly string[];
}

export type Response =
  /** Attached, as this thread record; what `expose` lists, and what else it has to know. What has been shared so far follows as SHARED. */
  | readonly [type: typeof ATTACHED, me: number, exposed: readonly string[] | undefined, terms: AttachTerms]
  | readonly [type: typeof REJECTED, error: WireError]
  /** What this call has given, and those after it. */
  | readonly [type: typeof ANSWER, id: number, values: unknown[], buffers?: Buffers]
  | readonly [type: typeof FAILURE, id: number, error: WireError, buffers?: Buffers]
  /** What the factory failed with, for the waiter with this ticket. Posted before the cell says so. */
  | readonly [type: typeof FACTORY_FAILURE, cell: number, ticket: number, error: WireError, buffers?: Buffers]
  /** That waiter was served first, or has left: forget what FACTORY_FAILURE said. */
  | readonly [type: typeof SPARED, cell: number, ticket: number]
  /** What workers get for this resource. Posted before it can be had. */
  | readonly [type: typeof SHARED, slot: number, generation: number, value: unknown, buffers?: Buffers]
  /** The slot of this lease was taken back. Posted before anything else can be had there. */
  | readonly [type: typeof REVOKED, slot: number, lease: number, heldFor: number, cause: WireError | undefined, buffers?: Buffers]
  /** This lease has lasted too long; its borrower may still clean up. */
  | readonly [type: typeof OVERDUE, slot: number, lease: number, heldFor: number]
  /** The labels of the suspensions in force from now on. Posted before the state says so. */
  | readonly [type: typeof SUSPENSIONS, labels: readonly string[]]
  /** Detached, or the pool is no more. */
  | readonly [type: typeof DETACHED]
  /** Before a result that may be too much for the caller's stack. */
  | readonly [type: typeof ALONE, id: number, name: string]
  /** A message could not be read, and was not announced as one that may be too much: what was in it is not known. */
  | readonly [type: typeof LOST]
  /** Where have you borrowed this lease, or (`slot` is NONE) asked for the one-shot call of that number? For a leak warning. */
  | readonly [type: typeof WHERE, question: number, slot: number, lease: number];
