/**
 * One bell to a thread: the word it sleeps on, however many things it waits for. Woken, it looks at its cells and its port.
 *
 *     31          2   1   0
 *     +-----------+---+---+
 *     |   rings   | L | S |     S: the thread sleeps in Atomics.wait    L: it listens with Atomics.waitAsync
 *     +-----------+---+---+
 *
 * S and L are set and cleared by the thread itself, `rings` by all other threads. A ring that falls between the look at the cells and the
 * sleep changes the word, and then neither wait begins: the sleeper must pass the word that it read *before* it looked.
 *
 * One word for each thread, not one for all: then a notification that a dying thread swallows (seen: notify in the tick of terminate()
 * counts it) is lost to that thread only.
 * 30 bits of rings: a thread would have to be rung a multiple of 2^30 times between one read and the next instruction.
 */
import { THREAD_BELL, THREAD_STRIDE } from '../layout.ts';
import { queueMicrotask } from '../node.ts';

const SLEEPING = 1;
const LISTENING = 2;
const RING = 4;

/**
 * Any thread that knows where a bell is. If its thread has gone, or it is another's by now, that is a ring too many, which does no harm.
 */
export function ringAt(words: Int32Array, at: number): void {
  if ((Atomics.add(words, at, RING) & (SLEEPING | LISTENING)) !== 0) Atomics.notify(words, at);
}

export class Bells {
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #count: number;

  constructor(words: Int32Array, base: number, count: number) {
    this.#words = words;
    this.#base = base;
    this.#count = count;
  }

  #at(thread: number): number {
    return this.#base + thread * THREAD_STRIDE + THREAD_BELL;
  }

  /** By any thread. The notify costs more than the rest, so only if the thread sleeps or listens. */
  ring(thread: number): void {
    // A number out of a damaged cell: what lies there is no bell.
    if (thread < this.#count) ringAt(this.#words, this.#at(thread));
  }

  /** Where the bell of a thread is, for `ringAt`. */
  at(thread: number): number {
    return this.#at(thread);
  }

  /** Read this before looking at what the bell is about. */
  read(me: number): number {
    return Atomics.load(this.#words, this.#at(me));
  }

  /** Blocks this thread for at most `timeout` ms, or not at all if the bell was rung since `seen` was read. */
  sleep(me: number, seen: number, timeout: number): void {
    const at = this.#at(me);
    if (Atomics.compareExchange(this.#words, at, seen, seen | SLEEPING) !== seen) return;
    Atomics.wait(this.#words, at, seen | SLEEPING, timeout);
    Atomics.and(this.#words, at, ~SLEEPING);
  }

  /** Calls `heard` once, on the event loop, when the bell is rung after `seen` was read. Does not keep the process alive. */
  listen(me: number, heard: () => void): void {
    const at = this.#at(me);
    const seen = Atomics.or(this.#words, at, LISTENING) | LISTENING;
    const wait = Atomics.waitAsync(this.#words, at, seen);
    if (wait.async) wait.value.then(heard);
    else queueMicrotask(heard);
  }

  /** The thread listens no more: rings cost no notify. */
  stopListening(me: number): void {
    Atomics.and(this.#words, this.#at(me), ~LISTENING);
    // A standing wait ends, or it would keep everything behind it for as long as the thread lives.
    Atomics.notify(this.#words, this.#at(me));
  }

  /** Owner: a record begins its next life. */
  reset(thread: number): void {
    Atomics.store(this.#words, this.#at(thread), 0);
  }
}
