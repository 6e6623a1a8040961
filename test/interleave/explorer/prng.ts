// Seeded random numbers whose state is one word of shared memory, since the next number may be drawn by another thread.
export class Prng {
  readonly #words: Int32Array;
  readonly #at: number;
  constructor(words: Int32Array, at: number) {
    this.#words = words;
    this.#at = at;
  }
  seed(seed: number): void {
    this.#words[this.#at] = seed;
  }
  /** 32 random bits (mulberry32). */
  bits(): number {
    const a = (this.#words[this.#at] + 0x6d2b79f5) | 0;
    this.#words[this.#at] = a;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }
  /** 0 .. below - 1 */
  below(limit: number): number {
    return Math.floor((this.bits() / 4294967296) * limit);
  }
  unit(): number {
    return this.bits() / 4294967296;
  }
}
