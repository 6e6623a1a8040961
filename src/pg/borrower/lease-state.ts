/**
 * A borrowed connection as its borrower has it: one closed set of states, and a named function for each way from one to another. They are
 * drawn in docs/pg-states.md, which a test holds to this.
 */

/**
 * HELD: the borrower has it. BROKEN: it has it, and the connection is lost. BACK: it was given back. GIVEN_UP: it was given back to be
 * destroyed. GONE: it was given back, and the connection is lost.
 */
export const LEASE_STATES = ['HELD', 'BROKEN', 'BACK', 'GIVEN_UP', 'GONE'] as const;
export type LeaseStateName = (typeof LEASE_STATES)[number];

export const LEASE_TRANSITIONS: Readonly<Record<LeaseStateName, readonly LeaseStateName[]>> = {
  HELD: ['BROKEN', 'BACK', 'GIVEN_UP'],
  BROKEN: ['GONE'],
  BACK: ['GONE'],
  GIVEN_UP: ['GONE'],
  GONE: [],
};

export class LeaseState {
  #state: LeaseStateName = 'HELD';
  /** Why the connection is lost, or was given up. */
  #why: Error | undefined;
  /** Why what was open on it has gone. */
  #lost: Error | undefined;
  #isTold = false;

  get name(): LeaseStateName {
    return this.#state;
  }

  /** It was given back. */
  get isOver(): boolean {
    return this.#state === 'BACK' || this.#state === 'GIVEN_UP' || this.#state === 'GONE';
  }

  /** The connection is of no use any more: it is lost, or its borrower has given it up. */
  get isBroken(): boolean {
    return this.#why !== undefined;
  }

  /** Why the connection is lost, if it is. */
  get broken(): Error | undefined {
    return this.#state === 'BROKEN' || this.#state === 'GONE' ? this.#why : undefined;
  }

  /**
   * Why the connection was lost or given up, if that was in the middle of something (a transaction, say) and the borrower has not been told
   * so. The next statement must not go to another connection as if nothing had happened.
   */
  get untold(): Error | undefined {
    return this.#isTold ? undefined : this.#lost;
  }

  /** The same, told or not. */
  get lost(): Error | undefined {
    return this.#lost;
  }

  // ── transitions. Each says whether it was made

  /** The connection is lost. `wasOpen`: something was open on it, which has gone with it. */
  lose(error: Error, wasOpen: boolean): boolean {
    if (this.#state === 'BROKEN' || this.#state === 'GONE') return false;
    if (wasOpen) this.#lost ??= error;
    this.#why = error;
    this.#state = this.#state === 'HELD' ? 'BROKEN' : 'GONE';
    return true;
  }

  /** It goes back; with `destroy` to be destroyed. `isOpen`: something is open on it, which goes with it then. */
  giveBack(destroy: Error | undefined, isOpen: boolean): boolean {
    if (this.isOver) return false;
    if (destroy !== undefined && isOpen) this.#lost ??= destroy;
    this.#state = this.#state === 'BROKEN' ? 'GONE' : destroy === undefined ? 'BACK' : 'GIVEN_UP';
    this.#why ??= destroy;
    return true;
  }

  // ── what has gone with it

  /** What was under way when it was given up has opened something. */
  opened(): void {
    if (this.#state === 'GIVEN_UP') this.#lost ??= this.#why;
  }

  /** All that was lost is a transaction that has ended, and its caller knows: what comes after it may go on. */
  told(): void {
    this.#isTold = this.isBroken;
  }
}
