/**
 * Whose a session is, and whether it is of use: one closed set of states, and a named function for each way from one to another. They are
 * drawn in docs/pg-states.md, which a test holds to this. What is open on the connection is not stored here: see `Session`.
 */

/**
 * NEW: it has had no borrower. LENT: a borrower has it, or had it last. LEFT: that borrower says nothing more. UNDONE: what that borrower
 * had open was ended by something else. LOST: the connection is gone. TAKEN_BACK: it was taken from its borrower. ENDED: the owner ends it.
 */
export const SESSION_STATES = ['NEW', 'LENT', 'LEFT', 'UNDONE', 'LOST', 'TAKEN_BACK', 'ENDED'] as const;
export type SessionStateName = (typeof SESSION_STATES)[number];

export const SESSION_TRANSITIONS: Readonly<Record<SessionStateName, readonly SessionStateName[]>> = {
  NEW: ['LENT', 'LEFT', 'LOST', 'TAKEN_BACK', 'ENDED'],
  LENT: ['LENT', 'LEFT', 'UNDONE', 'LOST', 'TAKEN_BACK', 'ENDED'],
  LEFT: ['LENT', 'LEFT', 'UNDONE', 'LOST', 'TAKEN_BACK', 'ENDED'],
  UNDONE: ['LENT', 'LEFT', 'LOST', 'TAKEN_BACK', 'ENDED'],
  LOST: ['TAKEN_BACK', 'ENDED'],
  TAKEN_BACK: [],
  ENDED: ['TAKEN_BACK'],
};

export class SessionState {
  #state: SessionStateName = 'NEW';
  #borrow = '';
  /** The borrower that has said last that it says nothing more. Its turn may not have come yet. */
  #leaver: string | undefined;
  /** What is answered to all that is asked of a session that is of no use. */
  #why: Error | undefined;
  #broken: Error | undefined;

  get name(): SessionStateName {
    return this.#state;
  }

  /** The borrower that has the session, or had it last. */
  get borrow(): string {
    return this.#borrow;
  }

  get isNew(): boolean {
    return this.#state === 'NEW';
  }

  /** It is of no use: lost, taken back, or ended. */
  get isOver(): boolean {
    return this.#state === 'LOST' || this.#state === 'TAKEN_BACK' || this.#state === 'ENDED';
  }

  /** The owner ends it, or has ended it. */
  get isEnded(): boolean {
    return this.#state === 'TAKEN_BACK' || this.#state === 'ENDED';
  }

  /** Why it was taken from its borrower, if it was. */
  get takenBack(): Error | undefined {
    return this.#state === 'TAKEN_BACK' ? this.#why : undefined;
  }

  /** Why it is of no use; undefined if it is. */
  get why(): Error | undefined {
    return this.#why;
  }

  /** Why the connection is lost, if it is. */
  get broken(): Error | undefined {
    return this.#broken;
  }

  /** That borrower has the session, and may say more. */
  isWith(borrow: string | undefined): boolean {
    return borrow === this.#borrow && borrow !== this.#leaver;
  }

  /** What that borrower had open was ended by something else: nothing that it asks is done. */
  isUndoneFor(borrow: string | undefined): boolean {
    return this.#state === 'UNDONE' && borrow === this.#borrow;
  }

  /** That borrower says nothing more, whether its turn has come or not. */
  hasLeft(borrow: string): boolean {
    return borrow === this.#leaver;
  }

  // ── transitions. Each says whether it was made

  /** A borrower's first call has its turn. What the last one forgot has to be undone now. */
  begin(borrow: string): boolean {
    if (this.isOver) return false;
    this.#borrow = borrow;
    return this.#to(borrow === this.#leaver ? 'LEFT' : 'LENT');
  }

  /** The borrower says nothing more. If its turn has not come yet, this counts when it comes. */
  leave(borrow: string): boolean {
    this.#leaver = borrow;
    return borrow === this.#borrow && (this.#state === 'LENT' || this.#state === 'LEFT') && this.#to('LEFT');
  }

  /** What the borrower had open was ended by something else than its statements. */
  undo(): boolean {
    return (this.#state === 'LENT' || this.#state === 'LEFT') && this.#to('UNDONE');
  }

  /** The connection is gone. */
  lose(error: Error): boolean {
    this.#broken ??= error;
    if (this.isOver) return false;
    this.#why = error;
    return this.#to('LOST');
  }

  /** The owner takes the connection from its borrower, and ends it. */
  takeBack(why: Error): boolean {
    if (this.#state === 'TAKEN_BACK') return false;
    this.#why = why;
    return this.#to('TAKEN_BACK');
  }

  /** The owner ends the connection. */
  end(): boolean {
    if (this.#state === 'ENDED' || this.#state === 'TAKEN_BACK') return false;
    this.#why ??= new Error('Connection terminated');
    return this.#to('ENDED');
  }

  #to(state: SessionStateName): true {
    this.#state = state;
    return true;
  }
}
