/** All threads do the same over and over, from one moment on until another. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PAD } from './permits.ts';
import type { BenchThread } from './thread.ts';

/** Words of `signals`: how many threads are ready; 1 go, 2 stop; then a line for each thread's count. */
const READY = 0;
const PHASE = 1;
const GO = 1;
const STOP = 2;
const countOf = (thread: number): number => (thread + 1) * PAD;

export interface Heat {
  readonly seconds: number;
  /** What each thread has counted. */
  readonly counts: readonly number[];
}

/** Has every thread run `module`'s export `name` with these arguments, its number and the signals, for `slice` milliseconds. `during` is called at both ends of the slice. */
export async function heat(
  threads: readonly BenchThread[],
  module: string,
  name: string,
  args: readonly unknown[],
  slice: number,
  during: { begin?(): void; end?(): void } = {},
): Promise<Heat> {
  const signals = new Int32Array(new SharedArrayBuffer(countOf(threads.length) * Int32Array.BYTES_PER_ELEMENT));
  const done = Promise.all(threads.map((thread, me) => thread.run(module, name, [...args, me, signals])));
  while (Atomics.load(signals, READY) < threads.length) await Promise.race([sleep(1), done]);
  const started = performance.now();
  during.begin?.();
  Atomics.store(signals, PHASE, GO);
  Atomics.notify(signals, PHASE);
  await Promise.race([sleep(slice), done]);
  Atomics.store(signals, PHASE, STOP);
  Atomics.notify(signals, PHASE);
  const seconds = (performance.now() - started) / 1000;
  during.end?.();
  const counts = threads.map((_, me) => Atomics.load(signals, countOf(me)));
  await done;
  return { seconds, counts };
}

export const totalOf = ({ counts }: Heat): number => counts.reduce((sum, count) => sum + count, 0);

/** A thread's end of it. */
export class Runner {
  readonly #signals: Int32Array;
  readonly #mine: number;

  constructor(me: number, signals: Int32Array) {
    this.#signals = signals;
    this.#mine = countOf(me);
  }

  /** Sleeps until everybody is ready. */
  start(): void {
    Atomics.add(this.#signals, READY, 1);
    while (Atomics.load(this.#signals, PHASE) === 0) Atomics.wait(this.#signals, PHASE, 0);
  }

  stopped(): boolean {
    return Atomics.load(this.#signals, PHASE) === STOP;
  }

  /** For so many milliseconds, or until the end. */
  sleep(ms: number): void {
    Atomics.wait(this.#signals, PHASE, GO, ms);
  }

  count(): void {
    Atomics.store(this.#signals, this.#mine, this.#signals[this.#mine] + 1);
  }
}
