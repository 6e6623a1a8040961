/** What a runner and its threads say to each other. */

import type { WireError } from '../shared/index.ts';
import type { PoolHandle } from '../worker/index.ts';

/** The first task of a thread: it attaches to the pools and loads the job's file. Answered by undefined, or by what went wrong. */
export interface Setup {
  /** As a URL. */
  readonly file: string;
  readonly seats: number;
  /** See seat.ts. */
  readonly buffer: SharedArrayBuffer;
  /** The thread's end of its own port. */
  readonly port: import('node:worker_threads').MessagePort;
  readonly pools: readonly { readonly name: string; readonly isPg: boolean; readonly handle: PoolHandle<unknown> }[];
  /** Most often that messages of progress are sent, in ms. */
  readonly progressInterval: number;
  /** Note the heap after each job. */
  readonly notesHeap: boolean;
}

/** Every other task: a job. Answered as its seat's OUTCOME says. */
export type JobTask = readonly [seat: number, job: number, attempt: number, name: string | undefined, payload: unknown];

// ── runner -> thread
/** That job is cancelled. Sent before the word in its seat is set, so that a thread that sees the word finds this in its port. */
export const CANCEL = 1;
export type ToThread = readonly [type: typeof CANCEL, seat: number, job: number, reason: WireError, buffers: readonly Uint8Array[]];

// ── thread -> runner
export const BELL = 1;
export const NO_BELL = 2;
export const SAID = 3;
export const RESULT = 4;
export type ToRunner =
  /** Ring there when you cancel one of this thread's jobs. */
  | readonly [type: typeof BELL, buffer: SharedArrayBuffer, at: number]
  | readonly [type: typeof NO_BELL, buffer: SharedArrayBuffer, at: number]
  /** The message of that report of progress. */
  | readonly [type: typeof SAID, seat: number, job: number, report: number, message: string]
  /** The value of a job that has ended. */
  | readonly [type: typeof RESULT, seat: number, job: number, value: unknown];
