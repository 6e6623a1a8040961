/**
 * Which statements other statements may stand behind, on a connection where all of them have been sent: those that only read, and that
 * have answered quickly so far. One that only reads may be sent again to another connection if the one before it takes its time: it does
 * nothing that could be done twice. (What no text tells, as a view with a function of its own in it, is not seen here either: see dirt.ts.)
 */
import { CLEAN, readStatement } from './dirt.ts';

/** Milliseconds from the turn of a statement to its answer, and bytes of the answer. */
const QUICK = 20;
const SMALL = 65_536;
/** How much a time counts that is longer than those before: the machine may be busy, and then all statements take their time. */
const LONGER = 0.1;

/** Longer texts are not looked at, in characters. */
const LONG = 2000;
const MOST = 1000;

const READS = /^\s*(?:select|values|table)\b/i;
/**
 * Words of what locks or writes, and functions that do, of those that leave nothing in the session. A text with one of them in a literal
 * does not count as reading either, which costs nothing but time.
 */
const DOES_MORE =
  /\b(?:for|into|insert|update|delete|merge|nextval|setval|currval|lastval|txid_current|pg_current_xact_id|pg_notify|pg_sleep\w*|pg_cancel_backend|pg_terminate_backend|pg_(?:try_)?advisory\w*)\b/i;

/** True if the statement reads, and does nothing else that its text tells. */
export function onlyReads(text: string): boolean {
  if (text.length > LONG || !READS.test(text) || DOES_MORE.test(text)) return false;
  const { dirt, isPreparable } = readStatement(text);
  return dirt === CLEAN && isPreparable;
}

/** A text, and how long its statements have taken. */
export class Habit {
  readonly isRead: boolean;
  /** Undefined: that is not known. */
  #took: number | undefined;
  #size = 0;

  constructor(text: string) {
    this.isRead = onlyReads(text);
  }

  /** Others may stand behind it. */
  get isQuick(): boolean {
    return this.isRead && this.#took !== undefined && this.#took <= QUICK && this.#size <= SMALL;
  }

  note(took: number, size: number): void {
    this.#took = this.#took === undefined || took < this.#took ? took : this.#took + (took - this.#took) * LONGER;
    this.#size = size;
  }
}

const habits = new Map<string, Habit>();

/** The text's habits, which are remembered for those that came last. */
export function habitOf(text: string): Habit {
  const known = habits.get(text);
  if (known !== undefined) return known;
  const habit = new Habit(text);
  if (text.length > LONG) return habit;
  habits.set(text, habit);
  if (habits.size > MOST)
    for (const oldest of habits.keys()) {
      habits.delete(oldest);
      break;
    }
  return habit;
}
