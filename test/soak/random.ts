/** Seeded random numbers (mulberry32). What real threads make of them is not repeatable; what each of them sets out to do is. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** 0 <= x < 1 */
  unit(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** 0 .. limit - 1 */
  below(limit: number): number {
    return Math.floor(this.unit() * limit);
  }

  from(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<V>(values: readonly V[]): V {
    return values[this.below(values.length)];
  }

  /** A seed for somebody else. */
  seed(): number {
    return this.below(2 ** 31);
  }
}
