/**
 * What ends a thread's waits from outside: a part of the program that can be cancelled (a job) has a `Cancellation`. A thread on which
 * such parts run has one `Canceller`, which knows the part that the present code belongs to. Without a Canceller nothing here costs more
 * than a comparison.
 *
 * A part that is asleep hears of its end by two steps of the thread that ends it: a word of shared memory is set, and then every bell is
 * rung on which the sleeper's thread may sleep. The sleeper reads its bell, then the word, then sleeps. So either it sees the word, or
 * the ring keeps it awake.
 */

export interface Cancellation {
  /** What tells other threads for which part something is borrowed, or waited for: see `Lending.tagWith`. A job's number, as 32 bits. */
  readonly tag: number;
  /** Why the part is to end, in a box, as it may be undefined; or undefined: it goes on. Asked after each wake, so it must be cheap. */
  cancelled(): { readonly reason: unknown } | undefined;
  /** The same, but only until the part has been told once: afterwards it may still use what it holds, to clean up. */
  untold(): { readonly reason: unknown } | undefined;
  /** Its code has come to its end. What still runs in its name is left behind. */
  readonly hasEnded: boolean;
  /** Aborts when the waits that give promises are to end. Undefined: they are not to end now. */
  readonly signal: AbortSignal | undefined;
}

/** A pool that this thread has attached to, as a Canceller sees it. */
export interface CancellablePool {
  /** The word that this thread sleeps on in this pool: an index of the 32-bit words of the buffer. For `ringAt`. */
  readonly bell: { readonly buffer: SharedArrayBuffer; readonly at: number };
  /**
   * Takes back what this part has borrowed and not given back, and tells the owner, which emits a leak of `job`. `heldFor` in ms. A
   * resource on which a call of the part still runs is destroyed. Gives how many there were.
   */
  takeBackFrom(part: Cancellation, job: string | number, heldFor: number): number;
}

export interface Canceller {
  /** The part that the present code belongs to. */
  present(): Cancellation | undefined;
  /** Runs `body` as code of that part, or of none. */
  within<V>(part: Cancellation | undefined, body: () => V): V;
  /** This thread has attached to a pool: from now on it may sleep on this pool's bell. */
  attached(pool: CancellablePool): void;
  detached(pool: CancellablePool): void;
}

/** This thread's, if it has one. */
export let canceller: Canceller | undefined;

/** Once on a thread, before it attaches to a pool. */
export function setCanceller(of: Canceller): void {
  canceller = of;
}

/** Throws the reason if the part is to end: by default the one that the present code belongs to. From then on it has been told. */
export function throwIfCancelled(part = canceller?.present()): void {
  const box = part?.cancelled();
  if (box === undefined) return;
  part!.untold();
  throw box.reason;
}

/** Throws what is in the box, if there is one. */
export function throwReason(box: { readonly reason: unknown } | undefined): void {
  if (box !== undefined) throw box.reason;
}
