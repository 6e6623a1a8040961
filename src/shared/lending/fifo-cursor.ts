/**
 * The first waiters in line, as one thread remembers them. The cost of a look at every cell grows with the waiters; what it has found stays
 * true until they go, as a later joiner is behind all of them. So one look serves for as many matches as it has found waiters.
 *
 * Why that is FIFO. The counter of tickets is read first, then the high water, then the cells; only tickets drawn before that count. A
 * waiter that was in line before another of those drew its ticket is seen, by plain reads too: it stored WAITING before that draw, and the
 * draw came before our read of the counter. A waiter that is missed has entered while we looked, or later, and so after, or at the same
 * time as, all that were found: either may go first.
 */
import { type Line, NONE, type Waiting } from '../words/line.ts';

export class FifoCursor implements Waiting {
  readonly #line: Line;
  /** What the last look has found, oldest first: see `keyOf`. */
  readonly #keys: Float64Array;
  #found = 0;
  #next = 0;
  #counter = 0;
  /** The waiter that `first` has found: its cell, and the word that a grant must still find. */
  cell: number = NONE;
  word = 0;

  constructor(line: Line) {
    this.#line = line;
    this.#keys = new Float64Array(line.count);
  }

  /** Is there a waiter? Then `cell` and `word` are those of the one that has waited longest. False decides nothing: `Line.scan` does. */
  first(): boolean {
    return this.#remembered() || (this.#rescan() && this.#remembered());
  }

  /** The first of the waiters found that is still there. */
  #remembered(): boolean {
    for (; this.#next < this.#found; this.#next++) {
      const key = this.#keys[this.#next];
      const word = this.#line.wordIfStillWaiting(cellOf(key), (this.#counter - ageOf(key)) | 0);
      if (word === NONE) continue;
      this.cell = cellOf(key);
      this.word = word;
      return true;
    }
    return false;
  }

  #rescan(): boolean {
    const keys = this.#keys;
    let found = 0;
    this.#counter = this.#line.scanOldest((cell, age) => {
      keys[found++] = keyOf(age, cell);
    });
    if (found > 1) keys.subarray(0, found).sort();
    this.#found = found;
    this.#next = 0;
    return found > 0;
  }
}

/** Sorts by age, oldest first, and holds the cell. */
const CELLS = 2 ** 16;
const AGES = 2 ** 31;
const keyOf = (age: number, cell: number): number => (AGES - age) * CELLS + cell;
const cellOf = (key: number): number => key % CELLS;
const ageOf = (key: number): number => AGES - Math.floor(key / CELLS);
