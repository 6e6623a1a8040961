// Seeded random numbers (mulberry32), for threads that run without a loader for TypeScript.
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed | 0;
  }

  unit() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(limit) {
    return Math.floor(this.unit() * limit);
  }

  pick(values) {
    return values[this.below(values.length)];
  }

  chance(probability) {
    return this.unit() < probability;
  }
}
