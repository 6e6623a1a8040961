/**
 * What has become of a waiter. A borrow that need not wait has no outcome: the fast path gives a slot or NONE, as it must not make an
 * object. Here one is made for each wait, which takes microseconds at least.
 */
import { REASON_DAMAGED } from '../words/line.ts';

/** It still stands in line. */
export const PENDING = { kind: 'pending' } as const;
/** It has left the line, as its time was over. */
export const TIMED_OUT = { kind: 'timed-out' } as const;

/** The slot is lent to it. */
export interface Served {
  readonly kind: 'served';
  readonly slot: number;
}

/** It was sent away; `reason` is a REASON_ of line.ts. */
export interface Refused {
  readonly kind: 'refused';
  readonly reason: number;
}

/** The end of a place in line. */
export type Ended = Served | Refused;
export type Outcome = typeof PENDING | Ended;

export const served = (slot: number): Served => ({ kind: 'served', slot });
export const refused = (reason: number): Refused => ({ kind: 'refused', reason });

/** Of a waiter that could not leave the line, as it had been served or refused first. That it is pending all the same is damage. */
export const ended = (outcome: Outcome): Ended => (outcome.kind === 'pending' ? refused(REASON_DAMAGED) : outcome);
