// What may happen next: a thread goes on, time passes for a sleeper, a thread dies. One small number, so that it can stand in shared memory.
export const EXPIRE = 0x100;
export const KILL = 0x200;

export const run = (thread: number): number => thread;
export const expire = (thread: number): number => thread | EXPIRE;
export const kill = (thread: number): number => thread | KILL;
export const threadOf = (choice: number): number => choice & 0xff;

/** Where a choice is due: before the next operation of `current`, or, if `current` is -1, because the thread that ran cannot go on. */
export interface Point {
  current: number;
  /** Masks of the threads that can run (the current one included), whose wait may time out now, that may die now. */
  runnable: number;
  expirable: number;
  mortal: number;
  /** Time has just passed at this very point: to go on with another thread is part of that. */
  free: boolean;
  step: number;
}

export interface Strategy {
  /** A new schedule starts. */
  begin(): void;
  pick(point: Point): number;
  /** The current thread has run for long while others could: whoever follows priorities has to lower its. */
  yield?(thread: number): void;
  /** A schedule is over, after so many operations; is there another one? */
  end(steps: number): boolean;
  /** Nothing is left to try, as opposed to: it was enough. */
  readonly complete?: boolean;
  /** Follows a script to the letter: no switch for fairness in between. */
  readonly scripted?: boolean;
}

/** The n-th set bit of a mask. */
export function nth(mask: number, n: number): number {
  let rest = mask;
  for (let i = 0; i < n; i++) rest &= rest - 1;
  return 31 - Math.clz32(rest & -rest);
}

export function count(mask: number): number {
  let n = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) n++;
  return n;
}

export const lowest = (mask: number): number => nth(mask, 0);
