/**
 * The life of a pool, on its owner's thread.
 *
 *     open ──drain──> draining ──close──> closing ──end──> ended
 *       └────────────────close───────────────┘
 *
 * draining: no new borrower is let in, and the pool closes when everything is back. closing: no waiter is left, and what comes back is
 * destroyed. ended: there is nothing left to come back.
 */
import { CLOSED, DRAINING } from '../../shared/words/state.ts';

/** While closing, settles once the owner has no slot in hand. All callers of `drain` and `close` get this one promise. */
interface Closed {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

type Now =
  | { readonly state: 'open' }
  | { readonly state: 'draining'; readonly closed: Closed }
  | { readonly state: 'closing'; readonly closed: Closed }
  | { readonly state: 'ended'; readonly closed: Closed };

const IMPOSED = { open: 0, draining: DRAINING, closing: CLOSED, ended: CLOSED } as const;

export class Life {
  #now: Now = { state: 'open' };

  get state(): Now['state'] {
    return this.#now.state;
  }

  /** Closing, or past that. */
  get isClosing(): boolean {
    return this.#now.state === 'closing' || this.#now.state === 'ended';
  }

  /** The bits of the state word that this implies, whatever else may write there. */
  get imposed(): number {
    return IMPOSED[this.#now.state];
  }

  /** open -> draining. Gives what settles when the pool is closed. */
  drain(): Promise<void> {
    if (this.#now.state === 'open') this.#now = { state: 'draining', closed: closed() };
    return this.#now.closed.promise;
  }

  /** open, draining -> closing. Gives what settles when the pool is closed. */
  close(): Promise<void> {
    if (this.#now.state === 'open') this.#now = { state: 'closing', closed: closed() };
    else if (this.#now.state === 'draining') this.#now = { state: 'closing', closed: this.#now.closed };
    return this.#now.closed.promise;
  }

  /** While closing: nothing is in the owner's hands. */
  swept(): void {
    if (this.#now.state === 'closing') this.#now.closed.resolve();
  }

  /** closing -> ended. False: it was no such moment. */
  end(): boolean {
    if (this.#now.state !== 'closing') return false;
    this.#now = { state: 'ended', closed: this.#now.closed };
    return true;
  }
}

function closed(): Closed {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
