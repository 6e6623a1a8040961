/**
 * What is there now, of what comes and goes with every query. Where things come and go all the time, a Set replaces its table again and
 * again, and each table that it has left keeps the next one alive: then what was in them outlives the collector's quick rounds, which take
 * many times as long.
 */

/** Where something is on its roster; undefined: on none. */
export const PLACE: unique symbol = Symbol('place');

/** What may be on a roster, on one at a time. The roster alone sets its place. */
export interface Rostered {
  [PLACE]: number | undefined;
}

export class Roster<T extends Rostered> {
  readonly #there: T[] = [];

  add(one: T): void {
    one[PLACE] ??= this.#there.push(one) - 1;
  }

  /** False: it was not there. */
  delete(one: T): boolean {
    const place = one[PLACE];
    if (place === undefined || this.#there[place] !== one) return false;
    const last = this.#there.pop()!;
    if (last !== one) {
      this.#there[place] = last;
      last[PLACE] = place;
    }
    one[PLACE] = undefined;
    return true;
  }

  has(one: T): boolean {
    const place = one[PLACE];
    return place !== undefined && this.#there[place] === one;
  }

  /** Those that are there now, in no order. */
  all(): T[] {
    return [...this.#there];
  }
}
