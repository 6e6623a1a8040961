// Whose turn it is. Exactly one thread runs; the others sleep on their turn word. A hand-over is a futex wake and a futex sleep,
// which is what an exploration's time goes into: an operation without a switch costs a few plain reads and writes.
import { type Control, MAX_THREADS, TURN_STRIDE } from './control.ts';

/** The real one: by the time anything here runs, the global is replaced. */
const { load, notify, store, wait } = Atomics;

/** Gives the turn to a thread. Whoever calls this touches nothing shared until its own turn comes. */
export function handOver({ turns }: Control, thread: number): void {
  store(turns, thread * TURN_STRIDE, 1);
  notify(turns, thread * TURN_STRIDE);
}

export function awaitTurn({ turns }: Control, me: number): void {
  const at = me * TURN_STRIDE;
  while (load(turns, at) === 0) wait(turns, at, 0);
  store(turns, at, 0);
}

/** The exploration is over: everybody may look. */
export function wakeAll(control: Control, me: number): void {
  for (let thread = 0; thread < MAX_THREADS; thread++) if (thread !== me) handOver(control, thread);
}
