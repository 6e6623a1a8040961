// Atomics.wait, waitAsync and notify as the explorer models them: a table of who waits where, woken in the order in which they came.
import { C, type Control, D, MAX_WAITERS, WAITER_WORDS } from './control.ts';
import type { Place } from './memory.ts';

// Words of an entry.
const STATE = 0;
const THREAD = 1;
const PLACE = 2;
const SERIAL = 3;
const ASYNC = 4;

const NONE = 0;
const WAITS = 1;
export const NOTIFIED = 2;
export const TIMED_OUT = 3;

export class Waiting {
  readonly #control: Control;
  constructor(control: Control) {
    this.#control = control;
  }

  clear(): void {
    this.#control.waiters.fill(0);
    this.#control.words[C.waiters] = 0;
    this.#control.words[C.timed] = 0;
  }

  #get(waiter: number, word: number): number {
    return this.#control.waiters[waiter * WAITER_WORDS + word];
  }

  #set(waiter: number, word: number, value: number): void {
    this.#control.waiters[waiter * WAITER_WORDS + word] = value;
  }

  add(thread: number, place: Place, timeout: number, isAsync: boolean): number {
    let waiter = 0;
    while (waiter < MAX_WAITERS && this.#get(waiter, STATE) !== NONE) waiter++;
    if (waiter === MAX_WAITERS) throw new Error(`More than ${MAX_WAITERS} waits at once`);
    this.#set(waiter, STATE, WAITS);
    this.#set(waiter, THREAD, thread);
    this.#set(waiter, PLACE, place);
    this.#set(waiter, SERIAL, this.#control.words[C.waiters]++);
    this.#set(waiter, ASYNC, isAsync ? 1 : 0);
    this.#control.doubles[D.deadlines + waiter] = this.#control.doubles[D.now] + timeout;
    if (timeout !== Number.POSITIVE_INFINITY) this.#control.words[C.timed]++;
    return waiter;
  }

  /** NOTIFIED or TIMED_OUT, and its entry is free again; 0 if it still waits. */
  take(waiter: number): number {
    const state = this.#get(waiter, STATE);
    if (state === WAITS) return 0;
    this.#set(waiter, STATE, NONE);
    return state;
  }

  /** Wakes the one that has waited longest at a place: its thread, or -1. */
  wakeOne(place: Place): number {
    let first = -1;
    for (let waiter = 0; waiter < MAX_WAITERS; waiter++) {
      if (this.#get(waiter, STATE) !== WAITS || this.#get(waiter, PLACE) !== place) continue;
      if (first < 0 || this.#get(waiter, SERIAL) < this.#get(first, SERIAL)) first = waiter;
    }
    if (first < 0) return -1;
    return this.#end(first, NOTIFIED);
  }

  #end(waiter: number, state: number): number {
    this.#set(waiter, STATE, state);
    if (this.#control.doubles[D.deadlines + waiter] !== Number.POSITIVE_INFINITY) this.#control.words[C.timed]--;
    return this.#get(waiter, THREAD);
  }

  /** A thread is gone: nobody wakes it, and no notification is spent on it. */
  forget(thread: number): void {
    for (let waiter = 0; waiter < MAX_WAITERS; waiter++) {
      if (this.#get(waiter, THREAD) !== thread || this.#get(waiter, STATE) === NONE) continue;
      if (this.#get(waiter, STATE) === WAITS) this.#end(waiter, NONE);
      else this.#set(waiter, STATE, NONE);
    }
  }

  /** The wait of a thread that ends first by itself, or -1; `threads`: a mask. */
  earliest(threads: number): number {
    let first = -1;
    for (let waiter = 0; waiter < MAX_WAITERS; waiter++) {
      if (this.#get(waiter, STATE) !== WAITS || ((threads >> this.#get(waiter, THREAD)) & 1) === 0) continue;
      const deadline = this.#control.doubles[D.deadlines + waiter];
      if (deadline !== Number.POSITIVE_INFINITY && (first < 0 || deadline < this.#control.doubles[D.deadlines + first])) first = waiter;
    }
    return first;
  }

  /** Time passes until this wait is over: its thread. */
  timeOut(waiter: number): number {
    const { doubles } = this.#control;
    doubles[D.now] = Math.max(doubles[D.now], doubles[D.deadlines + waiter]);
    return this.#end(waiter, TIMED_OUT);
  }

  /** Mask of the threads with a wait that ends by itself. */
  timed(): number {
    let mask = 0;
    if (this.#control.words[C.timed] === 0) return 0;
    for (let waiter = 0; waiter < MAX_WAITERS; waiter++) {
      if (this.#get(waiter, STATE) === WAITS && this.#control.doubles[D.deadlines + waiter] !== Number.POSITIVE_INFINITY)
        mask |= 1 << this.#get(waiter, THREAD);
    }
    return mask;
  }
}
