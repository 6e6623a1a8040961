/** What a runner and its threads say to each other. Small arrays, as each job costs two of them. */

import type { MessagePort } from 'node:worker_threads';
import type { WireError } from '../shared/index.ts';
import type { PoolHandle } from '../worker/index.ts';

/**
 * The one task that Piscina carries to a thread: it attaches to the pools and loads the job's file. Answered by undefined, or by what went
 * wrong. All else goes by the port that it brings, in order both ways.
 */
export interface Setup {
  /** As a URL. */
  readonly file: string;
  readonly seats: number;
  /** See seat.ts. */
  readonly buffer: SharedArrayBuffer;
  /** The thread's end of its own port. */
  readonly port: MessagePort;
  readonly pools: readonly { readonly name: string; readonly isPg: boolean; readonly handle: PoolHandle<unknown> }[];
  /** Most often that messages of progress are sent, in ms. */
  readonly progressInterval: number;
  /** Say with each answer how large the heap is. */
  readonly notesHeap: boolean;
}

// ── runner -> thread
export const JOB = 1;
/** That job is cancelled. Sent before the word in its seat is set, so that a thread that sees the word finds this in its port. */
export const CANCEL = 2;
export type JobMessage = readonly [
  type: typeof JOB,
  seat: number,
  job: number,
  attempt: number,
  name: string | undefined,
  payload: unknown,
];
export type CancelMessage = readonly [type: typeof CANCEL, seat: number, job: number, reason: WireError, buffers: readonly Uint8Array[]];
export type ToThread = JobMessage | CancelMessage;

// ── thread -> runner
export const BELL = 1;
export const NO_BELL = 2;
export const SAID = 3;
export const RETURNED = 4;
export const THREW = 5;
/** A job's function has ended, and what it had borrowed has been taken back. `heap` in MB, if it is to be noted. */
export type Answer =
  | readonly [type: typeof RETURNED, seat: number, value: unknown, heap: number | undefined]
  | readonly [type: typeof THREW, seat: number, error: WireError, heap: number | undefined];
export type ToRunner =
  /** Ring there when you cancel a job of this thread. `bell` is a number of the thread's: a buffer is another object after each clone. */
  | readonly [type: typeof BELL, bell: number, buffer: SharedArrayBuffer, at: number]
  | readonly [type: typeof NO_BELL, bell: number]
  /** A message of progress of the job that runs there. */
  | readonly [type: typeof SAID, seat: number, message: string]
  | Answer;
